"""The one train step, which trains any model."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gen_jax.errors import UserError
from gen_jax.schedules import step_variables
from gen_jax.training.state import DecayRule, TrainState, averaged_trees
from gen_jax.types import Batch, Model


def updates_per_step(model: Model) -> int:
  """The number of batches that one training step consumes."""
  return sum(player.steps for player in model.players.values())


def mean_over_devices(tree):
  """Averages float leaves; integer leaves are equal on all devices already, and would turn float."""
  if jax.lax.axis_size('batch') == 1:  # XLA would copy every array
    return tree
  return jax.tree.map(lambda x: jax.lax.pmean(x, 'batch') if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def norm(tree) -> jax.Array:
  """The Euclidean norm of all numbers in it, [].

  The barrier keeps XLA from storing squares that Adam needs as well: computing them twice is faster.
  """
  return optax.tree.norm(jax.lax.optimization_barrier(tree))


def objective(trained, params, variables, batch: Batch, step: jax.Array, key: jax.Array, model: Model, loss: str):
  """A player's loss as a function of the groups that it trains -> (loss [], (metrics, changed variables))."""
  (value, metrics), changed = model.apply(
    {'params': params | trained, **variables, **step_variables(step)},
    batch,
    step,
    rngs=key,
    method=loss,
    mutable=list(variables),
  )
  return value, (metrics, dict(changed))


def train_step(
  state: TrainState,
  batch: Batch,
  *,
  model: Model,
  optimizers: Mapping[str, optax.GradientTransformation],
  preprocess: Callable[[Batch, jax.Array], Batch],
  rng: jax.Array,
  averages: Mapping[str, DecayRule],
  births: Any = None,
) -> tuple[TrainState, dict[str, jax.Array]]:
  """Each player in turn descends its loss in its own groups, all others held fixed.

  Runs inside an axis named 'batch' (`pmap`, or `vmap` in tests), over which gradients, metrics and float variables
  are averaged. Pure: all noise comes from `rng`, the step, the update and `batch['row']`.

  Args:
    state: the state before the step.
    batch: leaves [updates, B, ...], one batch for each update of each player, in the order of the players.
    model: declares its players.
    optimizers: one for each player.
    preprocess: (raw batch, key) -> the batch as the model sees it.
    rng: the base key of the run.
    averages: {name: rule} of those in `state.ema`.
    births: the step at which each averaged leaf was added, as numbers in a tree of their structure; None: 0 for all.

  Returns:
    The state after the step, and scalar metrics: those of the losses, `<player>/loss` and `<player>/grad_norm`,
    of the player's last update. UserError where two players give a metric of one name.
  """
  params, variables, opt_state = dict(state.params), dict(state.variables), dict(state.opt_state)
  metrics, metrics_of = {}, {}
  key = jax.random.fold_in(rng, state.step)
  schedule = [name for name, player in model.players.items() for _ in range(player.steps)]
  for update, name in enumerate(schedule):
    player = model.players[name]
    data_key, model_key = jax.random.split(jax.random.fold_in(key, update))
    data = preprocess(jax.tree.map(lambda x: x[update], batch), data_key)  # noqa: B023, called at once
    trained = {group: params[group] for group in player.trains if group in params}
    (loss, (own_metrics, changed)), gradients = jax.value_and_grad(objective, has_aux=True)(
      trained, params, variables, data, state.step, model_key, model, player.loss
    )
    # counts and flags are averaged as well
    own_metrics = {name: jnp.asarray(x, jnp.float32) for name, x in own_metrics.items()}
    gradients, loss, own_metrics = mean_over_devices((gradients, loss, own_metrics))
    variables |= mean_over_devices(changed)
    deltas, opt_state[name] = optimizers[name].update(gradients, opt_state[name], trained)
    params |= optax.apply_updates(trained, deltas)
    metrics_of[name] = own_metrics
    metrics |= own_metrics | {f'{name}/loss': loss, f'{name}/grad_norm': norm(gradients)}

  check_names_of_metrics(metrics_of)
  current = averaged_trees(model, params, variables)
  births = jax.tree.map(lambda x: 0, current) if births is None else births
  ema = {name: move_average(state.ema[name], current, births, state.step, decay) for name, decay in averages.items()}
  return TrainState(state.step + 1, params, variables, opt_state, ema, state.data), metrics


def move_average(average: Any, current: Any, births: Any, step: jax.Array, decay: DecayRule) -> Any:
  """decay average + (1 - decay) current, the decay of each leaf by its birth."""
  share = {born: 1 - decay(step, born) for born in set(jax.tree.leaves(births))}
  move = lambda old, new, born: share[born] * new + (1 - share[born]) * old
  return jax.tree.map(move, average, current, births)


def check_names_of_metrics(metrics_of: Mapping[str, Mapping[str, jax.Array]]) -> None:
  """Raises UserError where two players give a metric of one name, of which one would be lost."""
  for (name, metrics), (other, others) in itertools.combinations(metrics_of.items(), 2):
    if shared := set(metrics) & set(others):
      raise UserError(f'players {name} and {other} both give the metric {min(shared)!r}: name one of them otherwise')
