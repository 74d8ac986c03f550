"""Figures of latents beside factors, from the arrays of an evaluation."""

import numpy as np
import pytest
from pictures import outputs

from gen_jax.errors import UserError
from gen_jax.figures.factors import factor_names, factors
from gen_jax.figures.latents import traverse
from gen_jax.files import save_arrays


@pytest.fixture
def evaluated(run_of):
  """A run on sprites with an evaluation in which only the last latent moves, with the first factor."""
  run, rng = run_of('sprites'), np.random.default_rng(0)
  latents, sizes = run.module.latent_dim, run.source.data.factor_sizes
  information = rng.uniform(0, 0.05, (latents, len(sizes)))
  information[-1, 0] = 0.8
  arrays = {'step': run.state.step, 'factor_information': information, 'factor_importances': information[::-1]}
  for k, size in enumerate(sizes):
    mean = np.zeros((size, latents))
    mean[:, -1] = np.arange(size) if k == 0 else 0
    arrays |= {f'response_mean_{k}': mean, f'response_std_{k}': np.full((size, latents), 0.01)}
  path = run.workdir / 'evaluation.npz'
  save_arrays(path, arrays)
  yield run
  path.unlink()


def test_maps_and_responses_are_those_of_the_evaluation(evaluated):
  made, arrays = outputs(factors, evaluated), evaluated.arrays()
  maps = made['factors'].content.axes
  np.testing.assert_array_equal(maps[0].images[0].get_array(), arrays['factor_information'])
  np.testing.assert_array_equal(maps[1].images[0].get_array(), arrays['factor_importances'])
  assert [label.get_text() for label in maps[0].get_xticklabels()] == factor_names(evaluated.source.data)
  rows = made['responses'].content.axes
  assert len(rows) == len(evaluated.source.data.factor_sizes)  # one latent moves
  assert rows[0].get_ylabel() == f'z{evaluated.module.latent_dim - 1}'
  np.testing.assert_array_equal(rows[0].lines[0].get_ydata(), arrays['response_mean_0'][:, -1])


def test_traversals_name_the_factor_that_a_latent_follows(evaluated):
  codes = np.asarray(evaluated.model.encode(next(evaluated.source.batches(256))))
  texts = [text.get_text() for text in outputs(traverse, evaluated)['traversals_1'].content.texts]
  name, last = factor_names(evaluated.source.data)[0], evaluated.module.latent_dim - 1
  moves = codes.std(0)[last] >= 0.1
  assert [text.endswith(f'  {name}') for text in texts if text.startswith(f'z{last} ')] == [moves]
  assert not any(text.endswith(f'  {name}') for text in texts if text.startswith('z0 '))


def test_without_an_evaluation_there_is_nothing_to_show(run_of):
  with pytest.raises(UserError, match='--mode=factors needs an evaluation of this checkpoint with disentanglement'):
    outputs(factors, run_of('sprites'))


def test_factors_without_names_are_numbered(run_of):
  data = run_of('sprites').source.data
  assert factor_names(data._replace(factor_names=())) == [f'factor {k}' for k in range(len(data.factor_sizes))]
  assert factors.after_evaluation == 'factor_information' and factors.automatic is False
