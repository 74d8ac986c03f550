"""Likelihood: log p(x) of a split, exact or by importance sampling; and the KL term of the ELBO in three parts."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.distributions import Normal, log_normal
from gen_jax.errors import show
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import methods, needs
from gen_jax.evaluation.source import Source, collect
from gen_jax.metrics import Metric, measures
from gen_jax.networks import Bernoulli, DiagonalNormal, StandardNormal
from gen_jax.types import Batch

CHUNK = 50  # samples of each example at a time
# With 10 effective samples the bias of log 1/S sum w, -1/2 its variance, is about -.05 nats; with fewer neither is told
# by the weights that were drawn. A line says so where half of the examples have fewer.
FEW, FEW_SHARE = 10, 0.5
NEAR_CAP = 1.0  # nats below log N within which a line says that the mutual information cannot be told
Values = Iterator[tuple[str, float | np.ndarray]]


class Weights(NamedTuple):
  """Importance weights w_s = p(x, z_s) / q(z_s|x), z_s ~ q(z|x), of each example [B], gathered without keeping them."""

  count: jax.Array  # S, float32 []
  log_sum: jax.Array  # log sum_s w_s
  log_sum_squares: jax.Array  # log sum_s w_s^2
  mean_log: jax.Array  # 1/S sum_s log w_s, nats
  deviations: jax.Array  # sum_s (log w_s - mean_log)^2

  @classmethod
  def none(cls, examples: int) -> 'Weights':
    """No weights yet."""
    empty, zero = jnp.full(examples, -jnp.inf), jnp.zeros(examples)
    return cls(jnp.zeros(()), empty, empty, zero, zero)

  def add(self, log_w: jax.Array) -> 'Weights':
    """With log w [n,B] of n more samples; a difference of sums of squares would round the deviations away."""
    count, mean = self.count + len(log_w), log_w.mean(0)
    shift = mean - self.mean_log
    between = shift**2 * self.count * len(log_w) / count  # Chan et al. (1979)
    return Weights(
      count,
      jnp.logaddexp(self.log_sum, jax.nn.logsumexp(log_w, axis=0)),
      jnp.logaddexp(self.log_sum_squares, jax.nn.logsumexp(2 * log_w, axis=0)),
      self.mean_log + shift * len(log_w) / count,
      self.deviations + ((log_w - mean[None]) ** 2).sum(0) + between,
    )

  @property
  def log_mean(self) -> jax.Array:
    """log 1/S sum_s w_s."""
    return self.log_sum - jnp.log(self.count)

  @property
  def log_sd(self) -> jax.Array:
    """The standard deviation of log w, nats; not a number with one sample."""
    return jnp.sqrt(self.deviations / (self.count - 1))

  @property
  def effective_samples(self) -> jax.Array:
    """(sum_s w_s)^2 / sum_s w_s^2, from 1, where one weight outweighs all others, to S, where all are equal."""
    return jnp.clip(jnp.exp(2 * self.log_sum - self.log_sum_squares), 1.0, self.count)


def importance_weights(model: nn.Module, batch: Batch, samples: int, key: jax.Array) -> Weights:
  """`samples` S weights of each example, whose `log_mean` is the bound of Burda et al. (2016, eq. 8).

  A lower bound of log p(x) in expectation, which rises with S and converges to it.
  """
  add = lambda i, weights, n: weights.add(model.log_weights(batch, jax.random.fold_in(key, i), n))
  whole, rest = divmod(samples, CHUNK)
  weights = Weights.none(len(batch['image']))
  weights = jax.lax.fori_loop(0, whole, lambda i, weights: add(i, weights, CHUNK), weights)
  return add(whole, weights, rest) if rest else weights


class LogLikelihoods(NamedTuple):
  """log p(x) of each example."""

  log_p: jax.Array  # nats, [B]
  bits_per_dim: jax.Array | None  # [B], None where x is not discrete
  log_weight_sd: jax.Array | None  # see `Weights`, [B]; None where log p(x) is exact
  effective_samples: jax.Array | None


def log_likelihoods(model: nn.Module, batch: Batch, samples: int) -> LogLikelihoods:
  """Exact with 0 samples."""
  bits = lambda log_p: model.likelihood.bits_per_dim(log_p, batch['image'][0].size)
  if not samples:
    log_p = model.log_prob(batch)
    return LogLikelihoods(log_p, bits(log_p), None, None)
  weights = importance_weights(model, batch, samples, model.make_rng('noise'))
  return LogLikelihoods(weights.log_mean, bits(weights.log_mean), weights.log_sd, weights.effective_samples)


@functools.cache
def estimator(samples: int) -> Callable:
  """A cached estimator: one function for the same number of samples, so that it is compiled once."""
  return functools.partial(log_likelihoods, samples=samples)


def binary_for_bernoulli(model: nn.Module, source: Source) -> str | None:
  """p(x|z) is a density of the data: a Bernoulli's cross-entropy with gray values is none."""
  del source
  p_x = getattr(model, 'likelihood', None)
  if isinstance(p_x, Bernoulli) and not p_x.binary:
    return "config.data.binarize='none': Bernoulli is no distribution of gray values; log p(x) needs binary"
  return None


@measures({
  'nll': Metric('-log p(x), exact or bounded from above by importance sampling', 'nats', 'lower', headline=True),
  '{metric}_stderr': Metric('standard error over the examples'),
  'nll_bits_per_dim': Metric('-log p(x) in bits for each channel of each pixel', 'bits/dim', 'lower'),
  'importance_samples': Metric('how many z of each example estimate its log p(x); none where it is exact'),
  'log_weight_sd': Metric('the standard deviation of the logarithms of the importance weights of an example', 'nats'),
  'effective_samples': Metric(
    'how many of the importance samples count, as their weights differ; with few, nll lies too high', better='higher'
  ),
  'nll_importance_stderr': Metric('error that comes from the importance samples', 'nats', beside='nll'),
})
@needs(methods('log_prob', 'log_weights'), binary_for_bernoulli)
def likelihood(model: BoundModel, source: Source) -> Values:
  """`nll`, the mean of -log p(x) in nats an example, and its standard error over the split, `nll_stderr`.

  Exact where the model has `log_prob`, else by `importance_weights` of `settings.importance_samples`, which stands
  beside it, as do those of `trust_in_weights`; `nll_bits_per_dim` where the data are discrete; `nll_each`: the array
  [N] of -log p(x), by which two models are compared example by example.
  """
  samples = 0 if 'log_prob' in model else source.settings.importance_samples
  if samples:
    yield 'importance_samples', float(samples)
  estimates = collect(source.batches(), estimates=functools.partial(model.compute, estimator(samples)))['estimates']
  nll, bits_per_dim = -estimates.log_p.astype(np.float64), estimates.bits_per_dim
  yield 'nll', float(nll.mean())
  if len(nll) > 1:
    yield 'nll_stderr', float(nll.std(ddof=1) / math.sqrt(len(nll)))
  if bits_per_dim is not None:
    yield 'nll_bits_per_dim', float(bits_per_dim.astype(np.float64).mean())
  if samples > 1:  # one weight has no spread
    yield from trust_in_weights(estimates, samples)
  yield 'nll_each', nll


def trust_in_weights(estimates: LogLikelihoods, samples: int) -> Values:
  """What tells whether an importance weighted log p(x) can be trusted.

  log_weight_sd: the standard deviation of log w over the S samples, nats; effective_samples: (sum w)^2 / sum w^2 of the
      S; both averaged over the examples. Below some 10 the estimate is carried by a few samples.
  nll_importance_stderr: the standard error of `nll` that comes from the samples, nats. By the delta method, Var log(1/S
      sum w) = Var w / (S (E w)^2), which is estimated as 1 / effective_samples - 1 / S.

  All know only the weights that were drawn, and are too hopeful where large ones were missed. Where few samples are
  effective the delta method is meaningless, as its error cannot exceed 1 nat an example; and it does not tell the bias,
  by which `nll` lies above -log p(x). A line says so.
  """
  effective = estimates.effective_samples.astype(np.float64)
  yield 'log_weight_sd', float(estimates.log_weight_sd.astype(np.float64).mean())
  yield 'effective_samples', float(effective.mean())
  yield 'nll_importance_stderr', math.sqrt((1 / effective - 1 / samples).sum()) / len(effective)
  if (share := float((effective < FEW).mean())) >= FEW_SHARE:
    show(
      f'nll: fewer than {FEW} of {samples} importance samples are effective for {share:.0%} of the examples, on '
      f'average {effective.mean():.1f}: it may lie far above -log p(x), and nll_importance_stderr cannot tell how far'
    )


def standard_vae(model: nn.Module, source: Source) -> str | None:
  """q(z|x) is a diagonal Normal and p(z) is N(0, I)."""
  del source
  q, prior = getattr(model, 'family', None), getattr(model, 'prior', None)
  if isinstance(q, DiagonalNormal) and isinstance(prior, StandardNormal):
    return None
  return 'needs a VAE of family DiagonalNormal and prior StandardNormal'


@measures({
  'mutual_information': Metric('how much a code tells which example it is of; at most log of their number', 'nats'),
  'mutual_information_cap': Metric('the most that it can be, log of the number', 'nats', beside='mutual_information'),
  'total_correlation': Metric('how dependent the latents are on each other, over all examples', 'nats', 'lower'),
  'dimension_wise_kl': Metric("how far each latent's distribution over all examples is from its prior, summed", 'nats'),
})
@needs(standard_vae)
def elbo_decomposition(model: BoundModel, source: Source) -> Values:
  """E_x KL(q(z|x) || p(z)) as mutual information + total correlation + dimension-wise KL (Chen et al., 2018, eq. 2).

  Nats. One z ~ q(z|x) for each of the N examples; q(z) = 1/N sum_n q(z|x_n) is that of the split, so that the mutual
  information cannot exceed `mutual_information_cap`, log N. Within a nat of it, which a line says, it is no more than a
  lower bound, and the total correlation is too large by what it lacks. For diagonal Normal posteriors and the prior
  N(0, I).
  """
  q = collect(source.batches(), q=model.posterior)['q']
  z = q.mu + np.exp(q.log_sigma) * np.random.default_rng(0).standard_normal(q.mu.shape).astype(np.float32)
  log_probs = posterior_log_probs(z, q.mu, q.log_sigma)
  log_q_given_x, log_q, log_q_dims = (np.asarray(x, np.float64).mean(0) for x in log_probs)
  information, cap = float(log_q_given_x - log_q), math.log(len(z))
  yield 'mutual_information', information
  yield 'mutual_information_cap', cap
  # x_n's own posterior has the share e^-gap of the N that make up q(z_n), gap = log N - I. The others alone would say
  # -log(1 - e^-gap) more, an upper bound (Poole et al., 2019): at a gap of 1 nat .46, at one of .1 2.35.
  if cap - information < NEAR_CAP:
    show(
      f'mutual_information {information:.3f} is near its cap log N = {cap:.3f}: no more than a lower bound, which the '
      f'{len(z)} examples set; total_correlation is too large by what it lacks'
    )
  yield 'total_correlation', float(log_q - log_q_dims.sum())
  yield 'dimension_wise_kl', float(log_q_dims.sum() - np.asarray(log_normal(z), np.float64).sum(-1).mean())


@jax.jit
def posterior_log_probs(z: jax.Array, mu: jax.Array, log_sigma: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
  """(log q(z_n|x_n) [N], log q(z_n) [N], log q(z_nd) [N,D]) with q(z) = 1/N sum_m q(z|x_m); arguments [N,D]."""
  q, log_n = Normal(mu, log_sigma), math.log(len(mu))

  def of_one(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    log_q = q.log_prob(jnp.broadcast_to(z, mu.shape))  # [N,D]
    return jax.nn.logsumexp(log_q.sum(-1)) - log_n, jax.nn.logsumexp(log_q, axis=0) - log_n

  return q.log_prob(z).sum(-1), *jax.lax.map(of_one, z, batch_size=16)
