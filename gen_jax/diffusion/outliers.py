"""What a denoiser says of an image in a few numbers, by which outliers are told; not a step of sampling.

Noise levels are those between a tenth and ten times the deviation of the data, even in ln sigma.
"""

import jax
import jax.numpy as jnp

from gen_jax.diffusion.samplers import Denoiser
from gen_jax.distributions import sample_rows, standard_normal

LEVELS, DRAWS, STEPS = 8, 3, 10  # 34 evaluations of the denoiser for both
LOW, HIGH = 0.1, 10.0  # noise by the deviation of the data


def levels(deviation: jax.Array, number: int) -> jax.Array:
  """So many noise levels of data of this deviation, rising, [number]."""
  return deviation * jnp.geomspace(LOW, HIGH, number)


def denoising_errors(
  denoise: Denoiser, x_0: jax.Array, sigmas: jax.Array, draws: int, key: jax.Array, rows: jax.Array
) -> jax.Array:
  """|D(x_0 + sigma eps; sigma) - x_0|^2 at each level, a mean over dimensions and draws of eps, [B,levels].

  After Graham et al. (2023), who go from each level back to an image by many steps where this takes one: E[x_0 | x].
  """

  def error(draw):
    """Of one draw at one level, [B]."""
    sigma, number = draw
    eps = sample_rows(standard_normal(x_0.shape), jax.random.fold_in(key, number), rows)
    return ((denoise(x_0 + sigma * eps, sigma) - x_0) ** 2).mean(range(1, x_0.ndim))

  every = jnp.repeat(sigmas, draws)
  errors = jax.lax.map(error, (every, jnp.arange(len(every))))
  return errors.reshape(len(sigmas), draws, -1).mean(1).T


def path_moments(denoise: Denoiser, x_0: jax.Array, sigmas: jax.Array) -> jax.Array:
  """DiffPath: sums over the way of an image to noise of e, e^2, e^3, e', e'^2, e'^3 (Heng et al., 2024), [B,6].

  e = (x - D(x; sigma)) / sigma along Euler's steps of dx/dsigma = e up the levels, from x_0 itself at the first; e' is
  its change by ln sigma from step to step. The sums are means over dimensions and steps.
  """

  def step(x, at):
    sigma, to = at
    slope = (x - denoise(x, sigma)) / sigma
    return x + (to - sigma) * slope, slope

  _, slopes = jax.lax.scan(step, x_0, (sigmas, jnp.append(sigmas[1:], sigmas[-1])))
  intervals = jnp.diff(jnp.log(sigmas)).reshape(-1, *(1,) * x_0.ndim)
  changes = jnp.diff(slopes, axis=0) / intervals
  others = (0, *range(2, slopes.ndim))
  return jnp.stack([(value**power).mean(others) for value in (slopes, changes) for power in (1, 2, 3)], 1)
