"""Where a sampler stops on its way from noise to data: grids of noise levels, (i, steps) -> sigma [], i = 0..steps.

The levels fall, and that of i = steps is 0. `i` and `steps` may be traced, so that nothing is compiled anew for them.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Grid = Callable[[jax.Array, jax.Array], jax.Array]


def karras(sigma_min: jax.Array | float, sigma_max: jax.Array | float, rho: jax.Array | float = 7.0) -> Grid:
  """sigma_i^(1/rho) falls evenly from sigma_max to sigma_min, then 0 (EDM, Karras et al., 2022, eq. 5)."""

  def sigma(i, steps):
    low, high = jnp.power(sigma_min, 1 / rho), jnp.power(sigma_max, 1 / rho)
    return before_zero(i, steps, mix(high, low, i, steps) ** rho)

  return sigma


def uniform_time(
  sigma_of: Callable[[jax.Array], jax.Array], t_min: jax.Array | float, t_max: jax.Array | float
) -> Grid:
  """sigma_of(t) of a path, t falling evenly from t_max to t_min, then 0."""
  return lambda i, steps: before_zero(i, steps, sigma_of(mix(t_max, t_min, i, steps)))


def mix(first: jax.Array, last: jax.Array, i: jax.Array, steps: jax.Array) -> jax.Array:
  """Even steps from `first` at i = 0 to `last` at steps - 1 and after it; of a single step but `first` is taken."""
  part = jnp.minimum(i / jnp.maximum(steps - 1, 1), 1.0)
  return (1 - part) * first + part * last  # exact at both ends


def before_zero(i: jax.Array, steps: jax.Array, sigma: jax.Array) -> jax.Array:
  """sigma for i < steps, and 0 at the end."""
  return jnp.where(i < steps, sigma, 0.0)
