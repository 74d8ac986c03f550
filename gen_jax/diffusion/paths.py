"""Paths from data to noise, alike in form so that a diff is the idea: x_t = a(t) (x_0 + sigma(t) eps), eps ~ N(0, I).

Time runs from data, t = 0, to noise, t = 1, here and everywhere. sigma = s / a is the noise by the signal where
x_t = a x_0 + s eps, and rises with t. Seen as x_t / a, all paths are the same images with more and more noise, and
their probability-flow ODE is dx / dsigma = (x - E[x_0 | x]) / sigma (Karras et al., 2022, eq. 1 and 3): they differ in
how the network sees an image, in how training spends its time, and in the steps of a sampler, and in nothing else.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

BETA_MIN, BETA_MAX = 0.1, 20.0  # Song et al. (2021), whose 1,000 steps are those of Ho et al. (2020)
SIGMA_MIN, SIGMA_MAX, RHO = 0.002, 80.0, 7.0  # Karras et al. (2022), table 1


class Path(NamedTuple):
  """How data become noise; functions of arrays of any shape."""

  sigma: Callable[[jax.Array], jax.Array]  # of t
  time: Callable[[jax.Array], jax.Array]  # its inverse
  scale: Callable[[jax.Array], jax.Array]  # a of sigma
  t_min: float  # the ends of the times that are trained and sampled
  t_max: float


def preserve_variance(sigma: jax.Array) -> jax.Array:
  """a with a^2 + s^2 = 1."""
  return jax.lax.rsqrt(1 + sigma**2)


# dx = -beta(t) x / 2 dt + sqrt(beta(t)) dW with a linear beta (Ho et al., 2020; Song et al., 2021, eq. 11 and 33):
# a = e^(-b(t) / 2), b(t) = integral of beta
def variance_preserving_sigma(t: jax.Array) -> jax.Array:
  """sqrt(e^b(t) - 1)."""
  return jnp.sqrt(jnp.expm1(BETA_MIN * t + (BETA_MAX - BETA_MIN) * t**2 / 2))


def variance_preserving_time(sigma: jax.Array) -> jax.Array:
  """The root of b(t) = log(1 + sigma^2); of its two forms the one without a difference of like numbers."""
  b = jnp.log1p(sigma**2)
  return 2 * b / (BETA_MIN + jnp.sqrt(BETA_MIN**2 + 2 * (BETA_MAX - BETA_MIN) * b))


def karras_sigma(t: jax.Array, low: float = SIGMA_MIN, high: float = SIGMA_MAX, rho: float = RHO) -> jax.Array:
  """Evenly spaced in sigma^(1 / rho) (Karras et al., 2022, eq. 5)."""
  return (low ** (1 / rho) + t * (high ** (1 / rho) - low ** (1 / rho))) ** rho


def karras_time(sigma: jax.Array, low: float = SIGMA_MIN, high: float = SIGMA_MAX, rho: float = RHO) -> jax.Array:
  """The inverse of `karras_sigma`."""
  return (sigma ** (1 / rho) - low ** (1 / rho)) / (high ** (1 / rho) - low ** (1 / rho))


PATHS = {
  # a = 1, s = sigma (Karras et al., 2022)
  'edm': Path(karras_sigma, karras_time, jnp.ones_like, 0.0, 1.0),
  'variance_preserving': Path(
    variance_preserving_sigma, variance_preserving_time, preserve_variance, 1e-3, 1.0
  ),
  # a = cos(pi t / 2), s = sin(pi t / 2) (Nichol & Dhariwal, 2021)
  'cosine': Path(
    lambda t: jnp.tan(jnp.pi / 2 * t), lambda sigma: 2 / jnp.pi * jnp.arctan(sigma), preserve_variance, 1e-3, 0.998
  ),
  # a = 1 - t, s = t (Liu et al., 2023; Lipman et al., 2023, whose time runs the other way)
  'linear': Path(lambda t: t / (1 - t), lambda sigma: sigma / (1 + sigma), lambda sigma: 1 / (1 + sigma), 1e-3, 0.998),
}
