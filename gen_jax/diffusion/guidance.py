"""Guidance: denoisers made of denoisers, for any sampler. Strengths and intervals of noise levels may be traced."""

from collections.abc import Callable, Sequence

import jax

from gen_jax.diffusion.samplers import Denoiser

Interval = tuple[jax.Array | float, jax.Array | float]  # (low, high]


def within(sigma: jax.Array, interval: Interval) -> jax.Array:
  """low < sigma <= high."""
  return (interval[0] < sigma) & (sigma <= interval[1])


def guide(better: Denoiser, worse: Denoiser, strength: jax.Array | float, interval: Interval) -> Denoiser:
  """D_worse + strength (D_better - D_worse) within the interval, D_better elsewhere and at strength 1.

  Classifier-free guidance, where the worse knows no class (Ho & Salimans, 2022, whose w is strength - 1); autoguidance,
  where it is a poorer model of the same (Karras et al., 2024); the interval is Kynkäänniemi et al.'s (2024). Where
  there is nothing to guide, the worse is not evaluated.
  """

  def denoise(x, sigma):
    estimate = better(x, sigma)
    guided = lambda: estimate + (strength - 1) * (estimate - worse(x, sigma))
    return jax.lax.cond(within(sigma, interval) & (strength != 1), guided, lambda: estimate)

  return denoise


def classifier_guided(
  denoise: Denoiser,
  log_prob: Callable[[jax.Array, jax.Array], jax.Array],
  strength: jax.Array | float,
  interval: Interval,
) -> Denoiser:
  """D + strength sigma^2 grad_x log p(y | x; sigma) within the interval (Dhariwal & Nichol, 2021, section 4).

  For the score is (D - x) / sigma^2. `log_prob` (x [B,...], sigma []) -> [B] is that of a classifier of noisy x, each
  row by itself.
  """

  def guided(x, sigma):
    gradient = lambda: jax.grad(lambda x: log_prob(x, sigma).sum())(x)
    estimate = denoise(x, sigma)
    moved = lambda: estimate + strength * sigma**2 * gradient()
    return jax.lax.cond(within(sigma, interval) & (strength != 0), moved, lambda: estimate)

  return guided


def compose(
  unconditional: Denoiser, conditionals: Sequence[Denoiser], strengths: Sequence[jax.Array | float] | jax.Array
) -> Denoiser:
  """D_u + sum_k w_k (D_k - D_u), for several conditions at once (Liu et al., 2022).

  At sigma > 0 that is the denoiser of p(x) prod_k p(x | k) / p(x) only where the conditions are of independent parts
  of x; else its score is that only as sigma goes to 0 (Du et al., 2023).
  """

  def denoise(x, sigma):
    base = unconditional(x, sigma)
    pairs = zip(conditionals, strengths, strict=True)
    return base + sum(strength * (conditional(x, sigma) - base) for conditional, strength in pairs)

  return denoise


def inpaint(denoise: Denoiser, known: jax.Array, mask: jax.Array) -> Denoiser:
  """D, where the mask is 1 the known x0 in its place; all [B,...], mask in [0, 1].

  There a sampler's x is known + sigma eps at every level, and known in the end. The rest is no exact conditional
  sample: D does not see the known part but through its noise.
  """
  return lambda x, sigma: mask * known + (1 - mask) * denoise(x, sigma)
