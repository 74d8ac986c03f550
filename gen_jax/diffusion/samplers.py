"""Samplers of diffusion models, alike in form: a step from noise level sigma down to the next, one function each.

All work on x = x0 + sigma eps, in which the probability-flow ODE of every path is dx/dsigma = (x - D(x, sigma)) / sigma
with the denoiser D = E[x0 | x] (EDM, Karras et al., 2022, eq. 1 and 3). Its linear part is solved
exactly (DPM-Solver++, Lu et al., 2022, proposition 4.1): where D is constant over a step from sigma to `to`, the step
is `between(x, D, to / sigma)`, and most samplers differ only in what they put in the place of D. A step is

  (denoise, x [B,...], at, past) -> (the state it started from, the estimate D there, the state at the next level).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gen_jax.diffusion.grids import Grid
from gen_jax.randomness import row_keys

Denoiser = Callable[[jax.Array, jax.Array], jax.Array]  # (x [B,...], sigma []) -> E[x0 | x] [B,...]
SERIES = 9  # terms of phi, enough for float32 where |z| < 1


class At(NamedTuple):
  """Where a step stands."""

  i: jax.Array  # its number, from 0
  older: jax.Array  # the levels of noise: two steps ago,
  before: jax.Array  # a step ago,
  sigma: jax.Array  # now,
  to: jax.Array  # and next, 0 in the end
  growth: jax.Array  # by which `heun` first raises sigma, gamma in EDM
  draw: Callable[[], jax.Array]  # noise [B,...] of this step


class Past(NamedTuple):
  """What the last two steps found, each [B,...]; zeros where there was none."""

  x: jax.Array  # the state from which the last step started
  estimate: jax.Array  # its D
  older: jax.Array  # and that of the step before


class Path(NamedTuple):
  """The way from noise to data at evenly spaced steps, the first and the last among them."""

  levels: jax.Array  # of noise, [frames + 1], 0 in the end
  states: jax.Array  # [frames + 1,B,...]
  estimates: jax.Array  # D where these states were met, of the same shape; the last is the sample itself


def between(x: jax.Array, estimate: jax.Array, ratio: jax.Array) -> jax.Array:
  """D + ratio (x - D): from x (ratio 1) to D, exactly D at 0."""
  return estimate + ratio * (x - estimate)


def log_ratio(sigma: jax.Array, to: jax.Array) -> jax.Array:
  """ln(sigma / to), how far a step goes."""
  return jnp.log(sigma) - jnp.log(to)


def phi(k: int, z: jax.Array) -> jax.Array:
  """phi_k(z) = sum_j z^j / (j + k)!, k from 1: (e^z - 1) / z, then phi_k+1(z) = (phi_k(z) - 1 / k!) / z.

  By the series where |z| < 1: the differences would lose all digits of float32.
  """
  series = sum(z**j / math.factorial(j + k) for j in range(SERIES))
  far = jnp.where(jnp.abs(z) < 1, 1.0, z)
  value = jnp.expm1(far) / far
  for j in range(1, k):
    value = (value - 1 / math.factorial(j)) / far
  return jnp.where(jnp.abs(z) < 1, series, value)


def ancestral(denoise: Denoiser, x: jax.Array, at: At, past: Past) -> tuple[jax.Array, jax.Array, jax.Array]:
  """DDPM's posterior q(x_to | x, x0 = D) (Ho et al., 2020, eq. 7): random, and in need of many steps.

  With x_s for x / a, its mean D + (to / sigma)^2 (x - D) and its variance to^2 (1 - (to / sigma)^2) hold for every
  path whose noise is that of the lower level and more, independent of it.
  """
  estimate, ratio = denoise(x, at.sigma), (at.to / at.sigma) ** 2
  return x, estimate, between(x, estimate, ratio) + at.to * jnp.sqrt(1 - ratio) * at.draw()


def ddim(denoise: Denoiser, x: jax.Array, at: At, past: Past) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Euler's step in sigma, which is DDIM without noise (Song et al., 2021, eq. 12) and DPM-Solver++ of order 1."""
  estimate = denoise(x, at.sigma)
  return x, estimate, between(x, estimate, at.to / at.sigma)


def heun(denoise: Denoiser, x: jax.Array, at: At, past: Past) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Euler's step, done again with the mean of the slopes at both its ends (EDM, algorithm 1); to sigma 0 just Euler's.

  Before the step, noise raises sigma to sigma (1 + growth) (algorithm 2).
  """
  sigma = at.sigma * (1 + at.growth)
  # of variance sigma^2 - at.sigma^2, which rounded may be below 0
  x = x + at.sigma * jnp.sqrt(at.growth * (2 + at.growth)) * at.draw()
  estimate = denoise(x, sigma)
  euler = between(x, estimate, at.to / sigma)

  def corrected():
    slopes = (x - estimate) / sigma + (euler - denoise(euler, at.to)) / at.to
    return x + (at.to - sigma) * 0.5 * slopes

  return x, estimate, jax.lax.cond(at.to > 0, corrected, lambda: euler)


def dpm_solver_2m(denoise: Denoiser, x: jax.Array, at: At, past: Past) -> tuple[jax.Array, jax.Array, jax.Array]:
  """DPM-Solver++(2M): D at the middle of the step, from this estimate and the last (Lu et al., 2022, algorithm 2)."""
  estimate = denoise(x, at.sigma)
  middle = estimate + half_a_step(at) * (estimate - past.estimate)
  return x, estimate, between(x, middle, at.to / at.sigma)


def half_a_step(at: At) -> jax.Array:
  """Half the step to come in units of the last, both in ln sigma; 0 where there was none, and before sigma 0."""
  second_order = (at.i > 0) & (at.to > 0)
  return jnp.where(second_order, 0.5 * log_ratio(at.sigma, at.to) / log_ratio(at.before, at.sigma), 0.0)


def unipc(denoise: Denoiser, x: jax.Array, at: At, past: Past) -> tuple[jax.Array, jax.Array, jax.Array]:
  """UniPC of order 2 with B(h) = e^h - 1, "bh2" (Zhao et al., 2023): a step of 2M, which the next step corrects.

  The estimate at the predicted state corrects it, and is kept for the corrected one: a step evaluates once.
  """
  estimate = denoise(x, at.sigma)
  x = jnp.where(at.i > 0, corrected_by(estimate, at, past), x)
  middle = estimate + half_a_step(at) * (estimate - past.estimate)
  return x, estimate, between(x, middle, at.to / at.sigma)


def corrected_by(estimate: jax.Array, at: At, past: Past) -> jax.Array:
  """The last step again, now that the estimate D_2 at its end is known: UniC, of order 2, of order 1 where i = 1.

  In ln sigma and units of the step, D_0 stands at its start, D_2 at r_2 = 1, and the older D_1 at r_1 < 0. In place of
  D it takes D_0 + sum_k w_k (D_k - D_0) / r_k, where sum_k w_k r_k^(n-1) = n! phi_n+1(-h) / phi_1(-h) for n = 1, 2.
  """
  h = log_ratio(at.before, at.sigma)
  second_order = at.i > 1
  place = jnp.where(second_order, -log_ratio(at.older, at.before) / h, -1.0)
  first, second = phi(2, -h) / phi(1, -h), 2 * phi(3, -h) / phi(1, -h)
  weight = jnp.where(second_order, (first - second) / (1 - place), 0.0)
  own_weight = jnp.where(second_order, first - weight, 0.5)
  mean = past.estimate + weight / place * (past.older - past.estimate) + own_weight * (estimate - past.estimate)
  return between(past.x, mean, at.sigma / at.before)


SAMPLERS = {step.__name__: step for step in (ancestral, ddim, heun, dpm_solver_2m, unipc)}
CHURNED = ('heun',)  # those in which `churn` has an effect


def evaluations(name: str, steps: int) -> int:
  """How many times a sampler calls the denoiser."""
  return 2 * steps - 1 if name == 'heun' else steps


def sample(
  name: str,
  denoise: Denoiser,
  noise: jax.Array,
  grid: Grid,
  steps: jax.Array | int,
  key: jax.Array,
  rows: jax.Array,
  churn: jax.Array | float = 0.0,
  frames: int = 0,
) -> tuple[jax.Array, Path | None]:
  """(samples [B,...], the way to them or None) from noise [B,...] ~ N(0, I), by `steps` steps of a sampler.

  Frame k of `frames` > 0 is of step k * steps // frames; where the steps are fewer, several are of one. Noise is keyed
  by the global `rows` [B]. With `churn`, EDM's S_churn, each step raises sigma by its min(churn / steps, sqrt(2) - 1).
  `steps`, `churn` and what a grid holds may be traced: nothing is compiled anew when they move.
  """
  at_frames = jnp.arange(frames + 1) * steps // max(frames, 1)  # the steps of the frames

  def fill(path, i, *values):
    """The path with values at all frames of step i."""
    if path is None:
      return None
    first, end = (jnp.searchsorted(at_frames, i, side=side) for side in ('left', 'right'))
    put = lambda j, path: Path(*(frame.at[j].set(value) for frame, value in zip(path, values, strict=True)))
    return jax.lax.fori_loop(first, end, put, path)

  def step(i, carry):
    """Step i, of (x, what the sampler remembers, the frames so far)."""
    x, past, path = carry
    older, before, sigma, to = (grid(jnp.maximum(i + k, 0), steps) for k in (-2, -1, 0, 1))
    keys = row_keys(jax.random.fold_in(key, i), rows)
    draw = lambda: jax.vmap(lambda key: jax.random.normal(key, x.shape[1:], x.dtype))(keys)
    growth = jnp.minimum(churn / steps, math.sqrt(2) - 1)
    start, estimate, end = SAMPLERS[name](denoise, x, At(i, older, before, sigma, to, growth, draw), past)
    return end, Past(start, estimate, past.estimate), fill(path, i, sigma, x, estimate)

  x, nothing = grid(0, steps) * noise, jnp.zeros_like(noise)
  frame = jnp.zeros((frames + 1, *noise.shape), noise.dtype)
  path = Path(jnp.zeros(frames + 1), frame, frame) if frames else None
  x, _, path = jax.lax.fori_loop(0, steps, step, (x, Past(nothing, nothing, nothing), path))
  return x, fill(path, steps, 0.0, x, x)
