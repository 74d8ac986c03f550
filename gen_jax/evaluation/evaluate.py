"""Runs the evaluators that a config names."""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from gen_jax import build
from gen_jax.data.batches import evaluation_batches
from gen_jax.data.dataset import Dataset
from gen_jax.data.sets import planar
from gen_jax.evaluation.bound import Verbs
from gen_jax.types import Batch

EVALUATION_BATCH = 256


def evaluate(
  config: ConfigDict, verbs: Verbs, data: Dataset, examples: int, final: bool = False
) -> dict[str, float | str | np.ndarray]:
  """{name: value} of `config.evals`, and of `config.final_evals` if `final`, on a split, or on `examples` of it.

  Whether data and model are such as the evaluators need is said before, by `checks.check_evaluators`.
  """
  batches = functools.partial(split_batches, config, data, examples)
  found = {}
  for evaluator in build.evaluators(config, final).values():
    found.update(evaluator(verbs, batches, **keywords(evaluator, config, data, examples)))
  return found


def keywords(evaluator: Callable, config: ConfigDict, data: Dataset, examples: int) -> dict[str, Any]:
  """The keyword-only arguments of an evaluator."""
  given = {
    'train_batches': lambda examples=0: split_batches(config, build.dataset(config, 'train'), examples),
    'all_batches': lambda: itertools.chain.from_iterable(
      split_batches(config, build.dataset(config, split)) for split in ('train', 'validation', 'test')
    ),
    'grey_batches': lambda: split_batches(config, data, examples, binarize='none'),
    'grey_train_batches': lambda: split_batches(config, build.dataset(config, 'train'), binarize='none'),
    'value_range': config.data.value_range,
    'data_name': config.data.name,
    'target': planar.target(config.data.name),
  }
  kinds = inspect.signature(evaluator).parameters.values()
  names = [parameter.name for parameter in kinds if parameter.kind is parameter.KEYWORD_ONLY]
  return {name: given.get(name) or config[name] for name in names}


def split_batches(config: ConfigDict, data: Dataset, examples: int = 0, **changes: Any) -> Iterator[Batch]:
  """Preprocessed batches of a split, or of `examples` of it, always the same ones; `changes` of config.data."""
  process = build.preprocessor(config, data, train=False, **changes)
  return evaluation_batches(data, process, EVALUATION_BATCH, examples)
