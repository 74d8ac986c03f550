"""Families whose smoke runs are slow, in tiny runs: their evaluators give their metrics."""

import numpy as np
import pytest

from gen_jax.evaluation import evaluate

METRICS = {  # (the run, its experiment's evaluators): metrics
  ('gm vae', ('means', 'clustering', 'likelihood')): {'elbo', 'clustering_accuracy', 'nll'},
  ('categorical vae', ('means',)): {'elbo', 'kl', 'squared_error'},
  ('conditional vae', ('means', 'active_units')): {'elbo', 'active_units'},
  ('sprites', ('means', 'active_units', 'spearman')): {'elbo', 'active_units', 'spearman_1'},
}


@pytest.mark.parametrize(('name', 'evaluators'), METRICS)
def test_evaluators_of_a_family_work_on_a_run_of_it(name, evaluators, run_of):
  run = run_of(name)
  assert list(evaluate.problems(evaluators, run.module, run.source)) == []
  values = evaluate.run(evaluators, run.model, run.source)
  assert METRICS[name, evaluators] <= values.keys(), values.keys()
  assert all(np.isfinite(value).all() for value in values.values() if not isinstance(value, str))
