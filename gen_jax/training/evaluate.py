"""Runs the evaluators that a config names."""

import functools

import numpy as np
from ml_collections import ConfigDict

from gen_jax import build
from gen_jax.data.batches import evaluation_batches
from gen_jax.data.dataset import Dataset
from gen_jax.verbs import Verbs

EVALUATION_BATCH = 256


def evaluate(
  config: ConfigDict, verbs: Verbs, data: Dataset, examples: int, final: bool = False
) -> dict[str, float | np.ndarray]:
  """{name: value} of `config.evals`, and of `config.final_evals` if `final`, on a split, or on `examples` of it."""
  batches = functools.partial(
    evaluation_batches, data, build.preprocessor(config, data, train=False), EVALUATION_BATCH, examples
  )
  found = {}
  for evaluator in build.evaluators(config, data, final):
    found.update(evaluator(verbs, batches))
  return found
