"""Layouts that checkpoints once had: where their leaves lay, and how what is read becomes a state of today.

- Of averages there was one, without a name.
- The running variance of `OptimalGaussian` lay in a collection of its own, 'statistics', and was not averaged.

`stored` holds the paths of a checkpoint's leaves, 'params/encoder/Dense_0/kernel', by which an old layout is known.
"""

from collections.abc import Container, Iterable, Mapping
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict

from gen_jax.training.state import TrainState

UNNAMED = 'ema'  # what the average without a name is called today
STATISTICS = 'statistics'  # the former collection, today 'batch_stats'
Path = tuple[str, ...]


def is_unnamed(like: TrainState, stored: Iterable[str]) -> bool:
  """Whether the checkpoint has one average, without a name."""
  return bool(like.ema) and not any(path.startswith(f'ema/{name}/') for name in like.ema for path in stored)


def moved_statistics(like: TrainState, stored: Container[str]) -> list[Path]:
  """The paths in 'batch_stats' of the leaves that the checkpoint has in 'statistics'."""
  paths = flatten_dict(like.variables.get('batch_stats', {}))
  return [path for path in paths if '/'.join(('variables', STATISTICS, *path)) in stored]


def move(variables: Mapping[str, Any], source: str, target: str, paths: Iterable[Path]) -> dict[str, Any]:
  """The variables with the leaves at these paths in the collection `target`, where they were in `source`."""
  names = {(source, *path): (target, *path) for path in paths}
  return unflatten_dict({names.get(path, path): leaf for path, leaf in flatten_dict(variables).items()})


def as_stored(like: TrainState, stored: Mapping[str, Any]) -> TrainState:
  """`like`, of a state of today, in the layout of the checkpoint."""
  moved, ema = moved_statistics(like, stored), like.ema
  if moved:
    like = like._replace(variables=move(like.variables, 'batch_stats', STATISTICS, moved))
    ema = {name: {**x, 'batch_stats': without(x['batch_stats'], moved)} for name, x in ema.items()}
  return like._replace(ema=next(iter(ema.values())) if is_unnamed(like, stored) else ema)


def without(tree: Mapping[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
  """The tree without the leaves at these paths."""
  return unflatten_dict({path: leaf for path, leaf in flatten_dict(tree).items() if path not in set(paths)})


def as_today(state: TrainState, like: TrainState, stored: Mapping[str, Any]) -> TrainState:
  """The state of a checkpoint in the layout of `like`; an average takes over what was not averaged as it is."""
  ema = {UNNAMED: state.ema} if is_unnamed(like, stored) else state.ema
  moved = moved_statistics(like, stored)
  if not moved:
    return state._replace(ema=ema)
  variables = move(state.variables, STATISTICS, 'batch_stats', moved)
  current = flatten_dict(variables['batch_stats'])
  averaged = {path for average in like.ema.values() for path in flatten_dict(average['batch_stats'])}
  known = {path: current[path] for path in moved if path in averaged}
  ema = {name: {**x, 'batch_stats': unflatten_dict(flatten_dict(x['batch_stats']) | known)} for name, x in ema.items()}
  return state._replace(variables=variables, ema=ema)
