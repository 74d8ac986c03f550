"""Runs evaluators by name, says before what they lack, and reads names that evaluators and metrics once had."""

import numbers
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import flax.linen as nn
import numpy as np

from gen_jax.errors import UserError, nearest
from gen_jax.evaluation import evaluators as namespace
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import first_problem
from gen_jax.evaluation.source import Source

Evaluator = Callable[[BoundModel, Source], Iterator[tuple[str, Any]]]
Names = str | Iterable[str]  # on a command line, names are one string


def all_evaluators() -> dict[str, Evaluator]:
  """{name: function} of all evaluators."""
  return {name: x for name, x in vars(namespace).items() if hasattr(x, 'needs')}


def current_evaluator(name: str) -> str:
  """The present name of an evaluator that was renamed; any other name as it is."""
  return next((new for new, x in all_evaluators().items() if name and getattr(x, 'formerly', '') == name), name)


def current_metric(name: str) -> str:
  """The present name of a metric that was renamed; any other name as it is."""
  for evaluator in all_evaluators().values():
    for old, new in getattr(evaluator, 'renamed_metrics', {}).items():
      if name == old:
        return new
      if old.endswith('*') and name.startswith(old[:-1]):
        return new[:-1] + name[len(old) - 1 :]
  return name


def as_tuple(names: Names) -> tuple[str, ...]:
  """Names, old ones as they are now; 'a,b' are two."""
  words = [word.strip() for name in ([names] if isinstance(names, str) else names) for word in str(name).split(',')]
  return tuple(current_evaluator(word) for word in words if word)


def unknown_names(names: Names) -> Iterator[str]:
  """A line for each name that is none."""
  for name in as_tuple(names):
    if name not in all_evaluators():
      yield f'config.evals: {name!r} is unknown{nearest(name, all_evaluators())}'


def evaluators(names: Names) -> dict[str, Evaluator]:
  """{name: function} of the evaluators named, under their present names. UserError for a name that is none."""
  for line in unknown_names(names):
    raise UserError(line)
  return {name: all_evaluators()[name] for name in as_tuple(names)}


def problems(names: Names, module: nn.Module, source: Source) -> Iterator[str]:
  """A line for each evaluator that is none, or cannot work or would say something untrue of this model and data."""
  lines = list(unknown_names(names))
  yield from lines
  for name, evaluator in {} if lines else evaluators(names).items():
    problem = first_problem(evaluator.needs, module, source)
    if problem:
      yield f'config.evals: {name} {problem}' if problem.startswith('needs') else problem


def run(names: Names, model: BoundModel, source: Source) -> dict[str, Any]:
  """{metric: value} of the evaluators: numbers, texts, and arrays, such as one number for each example.

  That they can work is for `problems` to say before.
  """
  results = {}
  for evaluator in evaluators(names).values():
    results.update((name, plain_value(name, value)) for name, value in evaluator(model, source))
  return results


def plain_value(name: str, value: Any) -> float | str | np.ndarray:
  """A number as a float, of whatever type it is; texts and arrays as they are. TypeError that names the metric."""
  if isinstance(value, str):
    return value
  if isinstance(value, numbers.Real) or (np.ndim(value) == 0 and hasattr(value, 'dtype')):
    return float(value)
  if hasattr(value, 'dtype'):
    return np.asarray(value)
  raise TypeError(f'the metric {name} is a {type(value).__name__}, and must be a number, a text or an array')
