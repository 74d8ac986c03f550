"""log p(x) of the probability flow, by the change of variables along the ODE (Song et al., 2021, section 4.3).

dx / dsigma = (x - D(x, sigma)) / sigma carries p at sigma_min to p at sigma_max, which is taken to be N(0, sigma_max^2
I). That neglects the data within it: on average (s / sigma_max)^4 / 4 nats a dimension for data of deviation s, and
|m|^2 / (2 sigma_max^2) for their mean m, of a single x more, about |m| / sigma_max. p at sigma_min is that of data with
so much noise, not of the data themselves.

It is a density of its own. Where D is not exact, it is neither that of a sampler with noise nor bounded by the
variational bound, which is of the SDE.
"""

import math

import jax
import jax.numpy as jnp

from gen_jax.diffusion.samplers import Denoiser
from gen_jax.distributions import log_normal, sum_dims
from gen_jax.randomness import row_keys


def rademacher_probes(key: jax.Array, rows: jax.Array, shape: tuple[int, ...], probes: int) -> jax.Array:
  """v in {-1, 1} of each row, [probes,B,*shape]: E v^T J v = tr J (Hutchinson, 1990), of least variance."""
  draw = lambda key: jax.random.rademacher(key, shape, jnp.float32)
  return jax.vmap(lambda i: jax.vmap(draw)(row_keys(jax.random.fold_in(key, i), rows)))(jnp.arange(probes))


def exact_probes(rows: int, shape: tuple[int, ...]) -> jax.Array:
  """sqrt(D) e_i, i = 1..D, [D,B,*shape]: the mean of v^T J v over them is tr J."""
  d = math.prod(shape)
  axes = math.sqrt(d) * jnp.eye(d).reshape(d, 1, *shape)
  return jnp.broadcast_to(axes, (d, rows, *shape))


def log_probs(
  denoise: Denoiser,
  x: jax.Array,
  probes: jax.Array,
  sigma_min: jax.Array | float,
  sigma_max: jax.Array | float,
  steps: int,
) -> jax.Array:
  """log p(x) of x [B,...] at sigma_min with each of the probes [P,B,...] alone, [P,B] nats; the estimate is their mean.

  With u = log sigma, d log p(x(u)) / du = -div (x - D) = tr dD/dx - dim x. `steps` Runge-Kutta steps of order 4, even
  in u, evaluate D four times each, and its derivative along each probe.
  """
  dims = math.prod(x.shape[1:])
  start, end = jnp.log(sigma_min), jnp.log(sigma_max)
  width = (end - start) / steps

  def slope(x: jax.Array, u: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(dx / du, div of it with each probe [P,B])."""
    at_u = lambda x: denoise(x, jnp.exp(u))
    estimate, along = jax.linearize(at_u, x)
    trace = jax.vmap(lambda v: sum_dims(v * along(v)))(probes)
    return x - estimate, dims - trace

  def step(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """One step of the rule, of (x, the divergence so far)."""
    x, divergence = carry
    u = start + i * width
    k1, d1 = slope(x, u)
    k2, d2 = slope(x + width / 2 * k1, u + width / 2)
    k3, d3 = slope(x + width / 2 * k2, u + width / 2)
    k4, d4 = slope(x + width * k3, u + width)
    combine = lambda a, b, c, d: width / 6 * (a + 2 * b + 2 * c + d)
    return x + combine(k1, k2, k3, k4), divergence + combine(d1, d2, d3, d4)

  x, divergence = jax.lax.fori_loop(0, steps, step, (x, jnp.zeros(probes.shape[:2])))
  last = sum_dims(log_normal(x / sigma_max)) - dims * end
  return last[None] + divergence
