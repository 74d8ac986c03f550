"""Heads that read a decoder's output as the distribution p(x|z), alike in form.

`outputs` says how many numbers the decoder gives for each value of x, in the last axis: [..., C * outputs]. Calling
the head with the `target` x, as training does, lets it update statistics; without, it uses those it has.
`bits_per_dim` turns a bound on log p(x) in nats into bits for each dimension where x is discrete, or dequantized.
"""

import itertools
import math
from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax import distributions
from gen_jax.errors import fraction, positive
from gen_jax.metrics import Metric, measures
from gen_jax.types import Facts

# Floors of what a decoder gives for each value. A softplus approaches them; below a maximum the gradient is 0, and what
# has once fallen there would stay for ever, however large its errors become.
MIN_SIGMA = 0.0025  # a density without a floor rises without bound on pixels that never vary
MIN_LOG_SCALE = -7.0  # a thousandth of the range, as the gradient of a logistic vanishes below


def above_floor(x: jax.Array, floor: float) -> jax.Array:
  """floor + log(1 + e^(x - floor)) > floor: x where it is far above, and strictly increasing everywhere."""
  return floor + distributions.softplus(x - floor)


@measures({
  'bits_per_dim': Metric(
    '-log p(x), or the bound on it, in bits for each channel of each pixel', 'bits/dim', better='lower'
  ),
})
def bits_per_dim_terms(likelihood: nn.Module, log_prob: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
  """{'bits_per_dim': [B]} of log p(x) of x [B,H,W,C], or a bound on it [B] in nats; {} where x has no bits."""
  bits_per_dim = likelihood.bits_per_dim(log_prob, x[0].size)
  return {} if bits_per_dim is None else {'bits_per_dim': bits_per_dim}


def bits(log_prob: jax.Array, dims: int) -> jax.Array:
  """-log_prob [B] in nats -> bits for each of `dims` dimensions."""
  return -log_prob / (dims * math.log(2))


def bits_of_density(log_prob: jax.Array, dims: int, bin_width: float | None) -> jax.Array | None:
  """As `bits` for a density of x + u, u uniform in a bin: -log P(x) <= -E[log p(x + u)] - dims * log(bin width)."""
  return None if bin_width is None else bits(log_prob + dims * math.log(bin_width), dims)


def noise_on_discrete(likelihood: nn.Module, facts: Facts) -> Iterator[str]:
  """The problem of a distribution of discrete values where noise is added to these."""
  if facts.dequantize:
    name = type(likelihood).__name__
    yield f'config.data.dequantize=True: {name} is a distribution of discrete values; choose a Gaussian'


class Bernoulli(nn.Module):
  """x in {0, 1}; with gray x in [0, 1] the cross-entropy, which is no likelihood, so it has no bits/dim."""

  binary: bool = False  # whether the data are binary
  outputs = 1

  def problems(self, facts: Facts) -> Iterator[str]:
    """Values from 0 to 1, without noise."""
    if facts.value_range != (0.0, 1.0):
      yield f'config.data.value_range={facts.value_range}: Bernoulli needs (0.0, 1.0)'
    yield from noise_on_discrete(self, facts)

  @nn.compact
  def __call__(self, h: jax.Array, target: jax.Array | None = None) -> distributions.Bernoulli:
    """h: logits."""
    return distributions.Bernoulli(h)

  def bits_per_dim(self, log_prob: jax.Array, dims: int) -> jax.Array | None:
    """None for gray data."""
    return bits(log_prob, dims) if self.binary else None


class Gaussian(nn.Module):
  """N(h, sigma^2) with a fixed sigma, in units of the model's range."""

  sigma: float = 1.0
  bin_width: float | None = None
  outputs = 1

  def problems(self, facts: Facts) -> Iterator[str]:
    """A sigma above 0."""
    yield from positive(self, 'sigma')

  @nn.compact
  def __call__(self, h: jax.Array, target: jax.Array | None = None) -> distributions.Normal:
    """h: mu."""
    return distributions.Normal(h, jnp.full_like(h, math.log(self.sigma)))

  def bits_per_dim(self, log_prob: jax.Array, dims: int) -> jax.Array | None:
    """None for data that are not dequantized."""
    return bits_of_density(log_prob, dims, self.bin_width)


class Laplace(nn.Module):
  """Density e^(-|x - h| / b) / 2b with a fixed scale b, in units of the model's range: an absolute error."""

  scale: float = 1.0
  bin_width: float | None = None
  outputs = 1

  def problems(self, facts: Facts) -> Iterator[str]:
    """A scale above 0."""
    yield from positive(self, 'scale')

  @nn.compact
  def __call__(self, h: jax.Array, target: jax.Array | None = None) -> distributions.Laplace:
    """h: the median."""
    return distributions.Laplace(h, jnp.full_like(h, math.log(self.scale)))

  def bits_per_dim(self, log_prob: jax.Array, dims: int) -> jax.Array | None:
    """None for data that are not dequantized."""
    return bits_of_density(log_prob, dims, self.bin_width)


class LearnedGaussian(nn.Module):
  """N(h, sigma^2) with one learned sigma for all values."""

  bin_width: float | None = None
  outputs = 1

  @nn.compact
  def __call__(self, h: jax.Array, target: jax.Array | None = None) -> distributions.Normal:
    """h: mu."""
    log_sigma = self.param('log_sigma', nn.initializers.zeros, ())
    return distributions.Normal(h, jnp.full_like(h, log_sigma))

  def bits_per_dim(self, log_prob: jax.Array, dims: int) -> jax.Array | None:
    """None for data that are not dequantized."""
    return bits_of_density(log_prob, dims, self.bin_width)


class OptimalGaussian(nn.Module):
  """N(h, sigma^2) with the maximum-likelihood sigma^2 = mean (x - h)^2 (sigma-VAE, Rybkin et al., 2021).

  The mean runs over the whole batch in training; elsewhere sigma^2 is its running average, so that p(x|z) is a
  density that does not look at x.
  """

  momentum: float = 0.99
  bin_width: float | None = None
  outputs = 1

  def problems(self, facts: Facts) -> Iterator[str]:
    """A momentum of the running average."""
    yield from fraction(self, 'momentum')

  @nn.compact
  def __call__(self, h: jax.Array, target: jax.Array | None = None) -> distributions.Normal:
    """h: mu."""
    # a statistic of batches, as those of BatchNorm are, so that an average of the parameters has its own
    running = self.variable('batch_stats', 'variance', jnp.ones, ())
    variance = running.value
    if target is not None:
      variance = jax.lax.pmean(jnp.mean((target - h) ** 2), 'batch')
      running.value = self.momentum * running.value + (1 - self.momentum) * jax.lax.stop_gradient(variance)
    # the floor comes before the logarithm, whose gradient at 0 is not a number; a maximum does no harm, as sigma is no
    # parameter: it rises with the errors
    log_sigma = 0.5 * jnp.log(jnp.maximum(variance, MIN_SIGMA**2))
    return distributions.Normal(h, jnp.full_like(h, log_sigma))

  def bits_per_dim(self, log_prob: jax.Array, dims: int) -> jax.Array | None:
    """None for data that are not dequantized."""
    return bits_of_density(log_prob, dims, self.bin_width)


class PixelGaussian(nn.Module):
  """N(mu, sigma^2) where the decoder gives mu and sigma for every value."""

  bin_width: float | None = None
  outputs = 2

  @nn.compact
  def __call__(self, h: jax.Array, target: jax.Array | None = None) -> distributions.Normal:
    """h: mu and the sigma before its softplus, side by side in the last axis."""
    mu, raw_sigma = jnp.split(h, 2, axis=-1)
    return distributions.Normal(mu, jnp.log(MIN_SIGMA + distributions.softplus(raw_sigma)))

  def bits_per_dim(self, log_prob: jax.Array, dims: int) -> jax.Array | None:
    """None for data that are not dequantized."""
    return bits_of_density(log_prob, dims, self.bin_width)


class Categorical(nn.Module):
  """Any distribution over the gray values; the channels of a pixel are independent given h."""

  levels: int = 256
  low: float = 0.0

  def problems(self, facts: Facts) -> Iterator[str]:
    """Discrete values."""
    yield from noise_on_discrete(self, facts)

  @property
  def outputs(self) -> int:
    """A logit for each gray value."""
    return self.levels

  @nn.compact
  def __call__(self, h: jax.Array, target: jax.Array | None = None) -> distributions.Categorical:
    """h: logits, of each channel side by side in the last axis."""
    return distributions.Categorical(h.reshape(*h.shape[:-1], -1, self.levels), self.low)

  def bits_per_dim(self, log_prob: jax.Array, dims: int) -> jax.Array:
    """Exact: x is discrete."""
    return bits(log_prob, dims)


class DiscretizedLogistic(nn.Module):
  """A logistic rounded to the gray values, where the decoder gives mu and log s (Salimans et al., 2017).

  log s is `above_floor` -7, where Salimans et al. take the maximum of both.
  """

  levels: int = 256
  low: float = 0.0
  outputs = 2

  def problems(self, facts: Facts) -> Iterator[str]:
    """Discrete values."""
    yield from noise_on_discrete(self, facts)

  @nn.compact
  def __call__(self, h: jax.Array, target: jax.Array | None = None) -> distributions.DiscretizedLogistic:
    """h: mu and log s, side by side in the last axis."""
    mu, log_scale = jnp.split(h, 2, axis=-1)
    return distributions.DiscretizedLogistic(mu, above_floor(log_scale, MIN_LOG_SCALE), self.levels, self.low)

  def bits_per_dim(self, log_prob: jax.Array, dims: int) -> jax.Array:
    """Exact: x is discrete."""
    return bits(log_prob, dims)


class DiscretizedLogisticMixture(nn.Module):
  """A mixture of `components` K logistics rounded to the gray values, whose channels depend on each other.

  (PixelCNN++, Salimans et al., 2017.) A pixel of C channels takes K (1 + 2 C + C (C - 1) / 2) numbers. The scales have
  the floor of DiscretizedLogistic's.
  """

  components: int = 10
  channels: int = 1
  levels: int = 256
  low: float = 0.0

  def problems(self, facts: Facts) -> Iterator[str]:
    """A component, and discrete values."""
    yield from positive(self, 'components')
    yield from noise_on_discrete(self, facts)

  @property
  def sizes(self) -> tuple[int, int, int, int]:
    """Numbers a pixel: of the mixture weights, mu, log s and the coefficients."""
    k, c = self.components, self.channels
    return k, k * c, k * c, k * c * (c - 1) // 2

  @property
  def outputs(self) -> int:
    """A pixel's numbers for each channel, rounded up: a few are not used."""
    return math.ceil(sum(self.sizes) / self.channels)

  @nn.compact
  def __call__(self, h: jax.Array, target: jax.Array | None = None) -> distributions.DiscretizedLogisticMixture:
    """h: logits of the components, mu, log s and coefficients before their tanh, side by side in the last axis."""
    k, c = self.components, self.channels
    ends = list(itertools.accumulate(self.sizes))
    logits, mu, log_scale, below, _ = jnp.split(h, ends, axis=-1)
    mu, log_scale = (a.reshape(*h.shape[:-1], c, k) for a in (mu, log_scale))
    below = jnp.tanh(below).reshape(*h.shape[:-1], -1, k)
    rows, columns = np.tril_indices(c, -1)  # d < c
    coefficients = jnp.zeros((*h.shape[:-1], c, c, k), h.dtype).at[..., rows, columns, :].set(below)
    log_scale = above_floor(log_scale, MIN_LOG_SCALE)
    return distributions.DiscretizedLogisticMixture(logits, mu, log_scale, coefficients, self.levels, self.low)

  def bits_per_dim(self, log_prob: jax.Array, dims: int) -> jax.Array:
    """Exact: x is discrete."""
    return bits(log_prob, dims)
