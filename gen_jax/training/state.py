"""TrainState, all that a run must not lose: the step, parameters, optimizers, averages, the state of the data."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from gen_jax.diffusion.settings import sampler_variables
from gen_jax.errors import UserError, show
from gen_jax.schedules import step_variables
from gen_jax.types import Batch, Model

DecayRule = Callable[[jax.Array, int], jax.Array | float]
"""(step [], the step at which a parameter was born) -> the decay with which an average of it moves then, in [0, 1)."""


class TrainState(NamedTuple):
  """The state of a training run; with the config it determines the rest of the run."""

  step: jax.Array  # int32 [], training steps done
  params: Mapping[str, Any]  # {group: ...}
  variables: Mapping[str, Any]  # {collection: ...}, whatever changes besides parameters
  opt_state: Mapping[str, Any]  # {player: ...}
  ema: Mapping[str, Any]  # {average: {'params': {group: ...}, 'batch_stats': {group: ...}}}, of each average
  data: Any  # state of the data set's order, e.g. resampling weights; `Dataset.rows` reads it


def check_players(model: Model) -> None:
  """Raises UserError where a model's players are none, have no such loss, or share a module or a group."""
  if not getattr(model, 'players', None):
    raise UserError(f'{type(model).__name__} has no players: {{\'model\': Player(loss=METHOD, trains=(GROUP, ...))}}')
  for name, player in model.players.items():
    if not callable(getattr(model, player.loss, None)):
      raise UserError(f'{type(model).__name__} has no method {player.loss!r}, the loss of its player {name}')
  fields = [(field.name, getattr(model, field.name)) for field in dataclasses.fields(model)]
  modules = [(name, value) for name, value in fields if isinstance(value, nn.Module) and name != 'parent']
  for (name, module), (other, twin) in itertools.combinations(modules, 2):
    if module is twin:
      raise UserError(f'fields {name} and {other} hold one module: they would share parameters silently')
  for (name, player), (other, rival) in itertools.combinations(model.players.items(), 2):
    if shared := set(player.trains) & set(rival.trains):
      raise UserError(f'players {name} and {other} both train the group {min(shared)}')


def averaged_trees(model: Model, params: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
  """What an average is of: the groups that `model.averaged` names, by default all, with their batch statistics.

  An average of the parameters beside the statistics of the last of them would be neither's network.
  """
  trees = {'params': params, 'batch_stats': variables.get('batch_stats', {})}
  groups = getattr(model, 'averaged', {**trees['params'], **trees['batch_stats']})
  return {name: {group: tree[group] for group in groups if group in tree} for name, tree in trees.items()}


def evaluated_average(state: TrainState, name: str = '') -> str:
  """The name of the average that evaluation uses: `name`, or 'ema', or the first by name; '' where there is none."""
  return name or ('ema' if 'ema' in state.ema else min(state.ema, default=''))


def evaluated_variables(
  state: TrainState, name: str = '', sampler: Mapping[str, Any] | None = None
) -> dict[str, Any]:
  """The variables {collection: {group: ...}} that evaluation and samples use, of the average of this name.

  With those of `step_variables`, and of `sampler_variables` of the section config.sampler.
  """
  average = state.ema.get(evaluated_average(state, name), {})
  variables = {'params': state.params, **state.variables}
  averaged = {name: {**tree, **average.get(name, {})} for name, tree in variables.items()}
  return averaged | step_variables(state.step) | (sampler_variables(sampler) if sampler else {})


def create_state(
  model: Model,
  optimizers: Mapping[str, optax.GradientTransformation],
  rng: jax.Array,
  batch: Batch,
  averages: Iterable[str] = (),
  data: Any = (),
) -> TrainState:
  """The state at step 0.

  Args:
    model: declares its players.
    optimizers: one for each player.
    rng: key of the initial parameters.
    batch: a preprocessed one of any size.
    averages: names of the averages of the parameters that begin here.
    data: `Dataset.initial_state`.
  """
  check_players(model)
  variables = dict(jax.jit(model.init)(rng, batch))
  params = variables.pop('params')
  frozen = set(params) - {group for player in model.players.values() for group in player.trains}
  if frozen and jax.process_index() == 0:
    show(f'frozen, as no player trains them: {", ".join(sorted(frozen))}')
  opt_state = {
    name: optimizers[name].init({g: params[g] for g in player.trains if g in params})
    for name, player in model.players.items()
  }
  # a copy each: an average that aliases the parameters must not be donated beside them
  ema = {name: jax.tree.map(jnp.copy, averaged_trees(model, params, variables)) for name in averages}
  return TrainState(jnp.zeros((), jnp.int32), params, variables, opt_state, ema, data)
