"""Runs the evaluators that a config names."""

import functools
from collections.abc import Iterator

from ml_collections import ConfigDict

from gen_jax import build, evaluation
from gen_jax.data.batches import evaluation_batches
from gen_jax.data.dataset import Dataset
from gen_jax.types import Batch
from gen_jax.verbs import Verbs

EVALUATION_BATCH = 256


def evaluate(config: ConfigDict, verbs: Verbs, data: Dataset, examples: int) -> dict[str, float | str]:
  """{name: value} of all evaluators of `config.evals` on a split, or on `examples` of it."""
  batches = functools.partial(split_batches, config, data, examples)
  found = {}
  for evaluator in build.evaluators(config, data):
    if evaluator.__name__ in evaluation.NEED_TRAIN:
      train_batches = functools.partial(split_batches, config, build.dataset(config, 'train'))
      found.update(evaluator(verbs, batches, train_batches))
    else:
      found.update(evaluator(verbs, batches))
  return found


def split_batches(config: ConfigDict, data: Dataset, examples: int = 0) -> Iterator[Batch]:
  """Preprocessed batches of a split, or of `examples` of it, always the same ones."""
  process = build.preprocessor(config, data, train=False)
  return evaluation_batches(data, process, EVALUATION_BATCH, examples)
