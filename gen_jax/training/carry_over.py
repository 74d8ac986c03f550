"""What goes on from one stage of a training to the next, whose networks may be larger."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax

from gen_jax.training.state import TrainState


class Leaf(NamedTuple):
  """What stands for an array."""

  shape: tuple[int, ...]
  born: int  # the step at which it was added


def births_of_stages(stages: Iterable[tuple[int, Any]]) -> Any:
  """The step at which each leaf of the last stage was added.

  stages: (its first step, a tree of arrays or shapes) of each, the first one first.
  """
  trained = {}
  for start, tree in stages:
    trained = lay_over(jax.tree.map(lambda x, start=start: Leaf(x.shape, start), tree), trained)
  return jax.tree.map(lambda leaf: leaf.born, trained, is_leaf=lambda x: isinstance(x, Leaf))


def lay_over(fresh: Any, trained: Any) -> Any:
  """`fresh` with every leaf that `trained` has too, at the same path and of the same shape, in its place."""
  if isinstance(fresh, Mapping) and isinstance(trained, Mapping):
    return {key: lay_over(value, trained[key]) if key in trained else value for key, value in fresh.items()}
  if isinstance(fresh, Mapping) or isinstance(trained, Mapping):
    return fresh
  return trained if fresh.shape == trained.shape else fresh


def carry_over(trained: TrainState, fresh: TrainState) -> TrainState:
  """The state with which a stage begins: trained parameters, statistics and averages laid over those of its networks.

  Optimizers start anew, as their moments are of other losses; the step and the state of the data go on. The code of
  Karras et al. (2018, train.py) clears them at the end of a fade too.
  """
  return fresh._replace(
    step=trained.step,
    data=trained.data,
    params=lay_over(fresh.params, trained.params),
    variables=lay_over(fresh.variables, trained.variables),
    ema=lay_over(fresh.ema, trained.ema),
  )
