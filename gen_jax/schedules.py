"""Hyper-parameters that change with the training step."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

Schedule = float | Callable[[jax.Array], jax.Array]
AFTER_ALL = 2**30  # the step of a model that is applied without one: its schedules are at their ends


def value_at(schedule: Schedule, step: jax.Array) -> jax.Array | float:
  """A constant itself, or the schedule's value at `step`."""
  return schedule(step) if callable(schedule) else schedule


def interpolated_schedule(
  steps: Sequence[int], levels: Sequence[float], logarithmic: bool = False
) -> Callable[[jax.Array], jax.Array]:
  """step -> levels[i] at steps[i], straight lines between them, constant before the first and after the last.

  With `logarithmic` the logarithm has the straight lines. ValueError where the steps do not ascend, do not each have a
  level, or a level has no logarithm.
  """
  at, heights = np.asarray(steps, np.float32), np.asarray(levels, np.float32)
  if at.shape != heights.shape or not at.size:
    raise ValueError(f'there are {at.size} steps and {heights.size} levels: there must be a level for each step')
  if not (np.diff(at) > 0).all():
    raise ValueError(f'steps={tuple(steps)}: each must be above the one before')
  if not np.isfinite(heights).all() or (logarithmic and heights.min() <= 0):
    above = ' and above 0, as their logarithms are interpolated' if logarithmic else ''
    raise ValueError(f'levels={tuple(levels)}: all must be finite{above}')
  if logarithmic:
    return lambda step: jnp.exp(jnp.interp(jnp.asarray(step, float), at, np.log(heights)))
  return lambda step: jnp.interp(jnp.asarray(step, float), at, heights)


def step_variables(step: jax.Array) -> dict[str, dict[str, jax.Array]]:
  """What is added to a model's variables, so that its methods know the training step at which they are applied."""
  return {'training': {'step': step}}


def step_of(model: nn.Module) -> jax.Array | int:
  """The training step at which a model is applied: in training that step, elsewhere that of the checkpoint."""
  return model.get_variable('training', 'step', AFTER_ALL)


def warm_up_decay(decay: Schedule) -> Callable[..., jax.Array]:
  """(step, born=0) -> min(decay, (1 + n) / (10 + n)), n = step - born, of an average of parameters born at a step.

  Such an average is of the last tenth of the steps, until the decay itself looks back less far; with the decay alone,
  the initial values would still weigh decay^step.
  """
  return lambda step, born=0: jnp.minimum(value_at(decay, step), (1 + step - born) / (10 + step - born))
