"""Everything that a run must not lose."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from gen_jax.errors import show
from gen_jax.types import Batch, Model


class TrainState(NamedTuple):
  """The state of a game; with the config it determines the rest of the run."""

  step: jax.Array  # int32 [], training steps done
  params: Mapping[str, Any]  # {group: ...}
  variables: Mapping[str, Any]  # {collection: ...}, whatever changes besides parameters
  opt_state: Mapping[str, Any]  # {player: ...}
  ema: Mapping[str, Any]  # {'params': {group: ...}, 'batch_stats': {group: ...}}, empty without averaging
  data: Any  # state of the sampler, e.g. resampling weights


def check_game(model: Model) -> None:
  """Raises ValueError where one module stands in two fields, or one group belongs to two players."""
  fields = [(field.name, getattr(model, field.name)) for field in dataclasses.fields(model)]
  modules = [(name, value) for name, value in fields if isinstance(value, nn.Module) and name != 'parent']
  for (name, module), (other, twin) in itertools.combinations(modules, 2):
    if module is twin:
      raise ValueError(f'fields {name} and {other} hold one module: they would share parameters silently')
  for (name, player), (other, rival) in itertools.combinations(model.players.items(), 2):
    if shared := set(player.trains) & set(rival.trains):
      raise ValueError(f'players {name} and {other} both train the group {min(shared)}')


def averaged(model: Model, params: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
  """What an average is of: the groups that `model.averaged` names, by default all, with their batch statistics.

  An average of the parameters beside the statistics of the last of them would be neither's network.
  """
  groups = getattr(model, 'averaged', tuple(params))
  trees = {'params': params, 'batch_stats': variables.get('batch_stats', {})}
  return {name: {group: tree[group] for group in groups if group in tree} for name, tree in trees.items()}


def create_state(
  model: Model,
  optimizers: Mapping[str, optax.GradientTransformation],
  rng: jax.Array,
  batch: Batch,
  averages: bool = False,
) -> TrainState:
  """Initial state; `batch` is a preprocessed one of any size, `averages` starts an average of the parameters."""
  check_game(model)
  variables = dict(jax.jit(model.init)(rng, batch))
  params = variables.pop('params')
  if frozen := set(params) - {group for player in model.players.values() for group in player.trains}:
    show(f'frozen, as no player trains them: {", ".join(sorted(frozen))}')
  opt_state = {
    name: optimizers[name].init({g: params[g] for g in player.trains if g in params})
    for name, player in model.players.items()
  }
  # a copy: an average that aliases the parameters must not be donated beside them
  ema = jax.tree.map(jnp.copy, averaged(model, params, variables)) if averages else {}
  return TrainState(jnp.zeros((), jnp.int32), params, variables, opt_state, ema, ())
