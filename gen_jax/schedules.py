"""Hyper-parameters that change with the training step."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Schedule = float | Callable[[jax.Array], jax.Array]


def value_at(schedule: Schedule, step: jax.Array) -> jax.Array | float:
  """A constant itself, or the schedule's value at `step`."""
  return schedule(step) if callable(schedule) else schedule


def warm_up_decay(decay: Schedule) -> Callable[[jax.Array], jax.Array]:
  """step -> min(decay, (1 + step) / (10 + step)), the decay of an average of parameters that began at step 0.

  Such an average is of the last tenth of the steps, until the decay itself looks back less far; with the decay alone,
  the initial values would still weigh decay^step.
  """
  return lambda step: jnp.minimum(value_at(decay, step), (1 + step) / (10 + step))
