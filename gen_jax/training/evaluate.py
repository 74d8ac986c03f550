"""Runs the evaluators that a config names."""

import functools

from ml_collections import ConfigDict

from gen_jax import build, evaluation
from gen_jax.data.batches import evaluation_batches
from gen_jax.data.dataset import Dataset
from gen_jax.errors import UserError
from gen_jax.settings import nearest
from gen_jax.verbs import Verbs

EVALUATION_BATCH = 256


def evaluate(config: ConfigDict, verbs: Verbs, data: Dataset, examples: int) -> dict[str, float]:
  """{name: value} of all evaluators of `config.evals` on a split, or on `examples` of it."""
  batches = functools.partial(
    evaluation_batches, data, build.preprocessor(config, data, train=False), EVALUATION_BATCH, examples
  )
  found = {}
  names = (config.evals,) if isinstance(config.evals, str) else config.evals
  for name in names:
    if name not in dir(evaluation):
      public = [n for n in dir(evaluation) if callable(getattr(evaluation, n))]
      raise UserError(f'config.evals: {name!r} is unknown{nearest(name, public)}')
    found.update(getattr(evaluation, name)(verbs, batches))
  return found
