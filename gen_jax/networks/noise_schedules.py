"""Noise schedules that a model of variational diffusion may learn: gamma(t) = 2 log sigma(t), alike in form.

gamma(t) = gamma(0) + (gamma(1) - gamma(0)) progress(t), and progress rises from 0 at t = 0, data, to 1 at t = 1, noise.
With continuous time the bound depends on the ends alone, and the variance of its estimate on what lies between
(Kingma et al., 2021, section 5.1). `progress` takes times of any shape.
"""

from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import positive
from gen_jax.types import Facts

Ends = tuple[jax.Array | float, jax.Array | float]


def learned_shift(schedule: nn.Module) -> jax.Array | None:
  """What is added to both ends, [2]: so that a weight decay draws them to where they began. None where they stay."""
  return schedule.param('shift', nn.initializers.zeros, (2,)) if schedule.learned_ends else None


def shifted_ends(schedule: nn.Module) -> Ends:
  """(gamma(0), gamma(1))."""
  low, high = schedule.gamma_min, schedule.gamma_max
  return (low, high) if schedule.shift is None else (low + schedule.shift[0], high + schedule.shift[1])


def problems_of_ends(schedule: nn.Module) -> Iterator[str]:
  """Ends in the wrong order."""
  if not schedule.gamma_min < schedule.gamma_max:
    yield f'gamma_min={schedule.gamma_min}: must be below gamma_max={schedule.gamma_max}'


class LinearSchedule(nn.Module):
  """gamma is linear in t; its ends are given, or learned from there."""

  gamma_min: float = -13.3
  gamma_max: float = 5.0
  learned_ends: bool = False

  def problems(self, facts: Facts) -> Iterator[str]:
    """Ends in order."""
    del facts
    yield from problems_of_ends(self)

  def setup(self):
    """The ends."""
    self.shift = learned_shift(self)

  def ends(self) -> Ends:
    """(gamma(0), gamma(1))."""
    return shifted_ends(self)

  def progress(self, t: jax.Array) -> jax.Array:
    """t."""
    return t


class MonotoneSchedule(nn.Module):
  """gamma is a network that rises with t: a line and `features` sigmoids, of weights |w| (appendix H of the paper).

  It is put between the ends, which such a network would not keep by itself.
  """

  gamma_min: float = -13.3
  gamma_max: float = 5.0
  learned_ends: bool = True
  features: int = 1024

  def problems(self, facts: Facts) -> Iterator[str]:
    """Ends in order, and a width."""
    del facts
    yield from problems_of_ends(self)
    yield from positive(self, 'features')

  def setup(self):
    """The ends; the sigmoids, which stand evenly over the times and say nearly nothing at first."""
    self.shift = learned_shift(self)
    n = self.features
    self.slope = self.param('slope', nn.initializers.ones, ())
    self.centers = self.param('centers', lambda key: (jnp.arange(n) + 0.5) / n)
    self.steepness = self.param('steepness', nn.initializers.constant(10.0), (n,))
    self.weights = self.param('weights', nn.initializers.normal(0.1), (n,))

  def ends(self) -> Ends:
    """(gamma(0), gamma(1))."""
    return shifted_ends(self)

  def progress(self, t: jax.Array) -> jax.Array:
    """(g(t) - g(0)) / (g(1) - g(0))."""
    start = self.rise(jnp.zeros(()))
    return (self.rise(t) - start) / (self.rise(jnp.ones(())) - start)

  def rise(self, t: jax.Array) -> jax.Array:
    """g(t) = |w| t + mean_j |w_j| sigmoid(|a_j| (t - c_j)), of the shape of t."""
    steepness, centers, weights = (
      jnp.expand_dims(a, range(t.ndim)) for a in (jnp.abs(self.steepness), self.centers, jnp.abs(self.weights))
    )
    sigmoids = jax.nn.sigmoid(steepness * (jnp.expand_dims(t, -1) - centers))
    return jnp.abs(self.slope) * t + (weights * sigmoids).mean(-1)
