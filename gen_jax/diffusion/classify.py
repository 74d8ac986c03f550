"""A diffusion model as a generative classifier: told the class of an image, its denoiser errs least (Li et al., 2023).

With the optimal D, -log p(x_0) = 1/2 int E |D(x_0 + sigma eps; sigma) - x_0|^2 d sigma^-2 + const, nats, of a constant
that all densities share (Kong et al., 2023), and half of d sigma^-2 is sigma^-2 d ln sigma. So log p(x|y) is, but for
that constant, what the errors of the denoiser of class y say.
"""

import jax
import jax.numpy as jnp

from gen_jax.diffusion.samplers import Denoiser
from gen_jax.distributions import sample_rows, standard_normal, sum_dims


def middles_of_levels(interval: tuple[float, float], levels: int) -> jax.Array:
  """The middles of so many equal parts of ln sigma in the interval, ascending: [levels]."""
  low, high = jnp.log(interval[0]), jnp.log(interval[1])
  return jnp.exp(low + (jnp.arange(levels) + 0.5) / levels * (high - low))


def class_log_prob(
  denoise: Denoiser,
  x_0: jax.Array,
  rows: jax.Array,
  key: jax.Array,
  interval: tuple[float, float],
  levels: int,
  power: float = 2.0,
) -> jax.Array:
  """-int sigma^-power |D(x_0 + sigma eps; sigma) - x_0|^2 d ln sigma of each row [B], by the midpoint rule.

  D is E[x_0 | x, y], with the class y of each row.
  Power 2 is log p(x_0|y) but for a constant, where the interval is wide; a lower one trusts high noise more. At each
  level eps has both its signs, so that whatever of the error is odd in eps cancels. The noise depends on the key and
  the row alone: with the same key it is the same for every class, and what it adds to all of them is in no difference.
  """

  def add(i, total):
    sigma = sigmas[i]
    noise = sigma * sample_rows(standard_normal(x_0.shape), jax.random.fold_in(key, i), rows)
    errors = [sum_dims((denoise(x_0 + sign * noise, sigma) - x_0) ** 2) for sign in (1, -1)]
    return total - sigma**-power * (errors[0] + errors[1]) / 2

  sigmas = middles_of_levels(interval, levels)
  step = (jnp.log(interval[1]) - jnp.log(interval[0])) / levels
  return step * jax.lax.fori_loop(0, levels, add, jnp.zeros(len(x_0)))
