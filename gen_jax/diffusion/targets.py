"""What a network estimates, alike in form so that a diff is the idea: D(x; sigma) = c_skip x + c_out F(c_in x).

x = x_0 + sigma eps, F is the network and D the denoiser, the estimate of E[x_0 | x] (Karras et al., 2022, eq. 7). All
are trained by one line, |F - F*|^2 with F* = (x_0 - c_skip x) / c_out, which is what the name of each says: eps, x_0,
v, u. So whatever a network was trained for, it is a denoiser, and every sampler takes it.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gen_jax.diffusion.paths import Path


class Coefficients(NamedTuple):
  """What makes a denoiser of a network, of the shape of sigma."""

  skip: jax.Array
  out: jax.Array
  input: jax.Array


Target = Callable[[Path, jax.Array, jax.Array], Coefficients]  # (path, sigma, sigma_data)


def epsilon(path: Path, sigma: jax.Array, sigma_data: jax.Array) -> Coefficients:
  """F* = eps (Ho et al., 2020, eq. 14)."""
  del sigma_data
  return Coefficients(jnp.ones_like(sigma), -sigma, path.scale(sigma))


def data(path: Path, sigma: jax.Array, sigma_data: jax.Array) -> Coefficients:
  """F* = x_0."""
  del sigma_data
  return Coefficients(jnp.zeros_like(sigma), jnp.ones_like(sigma), path.scale(sigma))


def v(path: Path, sigma: jax.Array, sigma_data: jax.Array) -> Coefficients:
  """F* = v = a eps - s x_0 of a path that preserves the variance (Salimans & Ho, 2022, appendix D)."""
  del sigma_data
  a = jax.lax.rsqrt(1 + sigma**2)
  return Coefficients(a**2, -a * sigma, path.scale(sigma))


def velocity(path: Path, sigma: jax.Array, sigma_data: jax.Array) -> Coefficients:
  """F* = u = eps - x_0, the velocity of the linear path (Lipman et al., 2023)."""
  del sigma_data
  a = 1 / (1 + sigma)
  return Coefficients(a, -a * sigma, path.scale(sigma))


def edm(path: Path, sigma: jax.Array, sigma_data: jax.Array) -> Coefficients:
  """F* and c_in x of unit variance at every sigma, c_out as small as that allows (Karras et al., 2022, appendix B.6).

  With sigma_data = 1 it is -v.
  """
  del path
  a = jax.lax.rsqrt(sigma_data**2 + sigma**2)
  return Coefficients((sigma_data * a) ** 2, sigma_data * sigma * a, a)


TARGETS = {'epsilon': epsilon, 'data': data, 'v': v, 'velocity': velocity, 'edm': edm}
