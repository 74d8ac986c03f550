"""Hyper-parameters that change with the training step."""

from collections.abc import Callable

import jax

Schedule = float | Callable[[jax.Array], jax.Array]


def value_at(schedule: Schedule, step: jax.Array) -> jax.Array | float:
  """A constant itself, or the schedule's value at `step`."""
  return schedule(step) if callable(schedule) else schedule
