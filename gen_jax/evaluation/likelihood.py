"""Likelihood: log p(x) of a split, exact or by importance sampling; and the KL term of the ELBO in three parts."""

import functools
import math
from collections.abc import Callable, Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.distributions import Normal, log_normal
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import methods, needs
from gen_jax.evaluation.source import Source, collect
from gen_jax.metrics import Metric, measures
from gen_jax.networks import Bernoulli, DiagonalNormal, StandardNormal
from gen_jax.types import Batch

CHUNK = 50  # samples of each example at a time
Values = Iterator[tuple[str, float | np.ndarray]]


def importance_weighted(model: nn.Module, batch: Batch, samples: int, key: jax.Array) -> jax.Array:
  """log 1/S sum_s p(x, z_s) / q(z_s|x), z_s ~ q(z|x), S = `samples`: [B] (Burda et al., 2016, eq. 8).

  A lower bound of log p(x) in expectation, which rises with S and converges to it.
  """

  def add(i: int, total: jax.Array, count: int) -> jax.Array:
    log_w = model.log_weights(batch, jax.random.fold_in(key, i), count)
    return jnp.logaddexp(total, jax.nn.logsumexp(log_w, axis=0))

  whole, rest = divmod(samples, CHUNK)
  total = jnp.full(batch['image'].shape[0], -jnp.inf)
  total = jax.lax.fori_loop(0, whole, lambda i, total: add(i, total, CHUNK), total)
  if rest:
    total = add(whole, total, rest)
  return total - math.log(samples)


def log_likelihoods(model: nn.Module, batch: Batch, samples: int) -> tuple[jax.Array, jax.Array | None]:
  """(log p(x) [B], bits for each dimension [B] or None), exact with 0 samples."""
  log_p = importance_weighted(model, batch, samples, model.make_rng('noise')) if samples else model.log_prob(batch)
  return log_p, model.likelihood.bits_per_dim(log_p, batch['image'][0].size)


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
})
@needs(methods('log_prob', 'log_weights'), binary_for_bernoulli)
def likelihood(model: BoundModel, source: Source) -> Values:
  """`nll`, the mean of -log p(x) in nats an example, and its standard error over the split, `nll_stderr`.

  Exact where the model has `log_prob`, else by `importance_weighted` of `settings.importance_samples`, which stands
  beside it; `nll_bits_per_dim` where the data are discrete; `nll_each`: the array [N] of -log p(x), by which two
  models are compared example by example.
  """
  samples = 0 if 'log_prob' in model else source.settings.importance_samples
  if samples:
    yield 'importance_samples', float(samples)
  rows = collect(source.batches(), estimates=functools.partial(model.compute, estimator(samples)))
  log_p, bits_per_dim = rows['estimates']
  nll = -log_p.astype(np.float64)
  yield 'nll', float(nll.mean())
  if len(nll) > 1:
    yield 'nll_stderr', float(nll.std(ddof=1) / math.sqrt(len(nll)))
  if bits_per_dim is not None:
    yield 'nll_bits_per_dim', float(bits_per_dim.astype(np.float64).mean())
  yield 'nll_each', nll


def standard_vae(model: nn.Module, source: Source) -> str | None:
  """q(z|x) is a diagonal Normal and p(z) is N(0, I)."""
  del source
  q, prior = getattr(model, 'family', None), getattr(model, 'prior', None)
  if isinstance(q, DiagonalNormal) and isinstance(prior, StandardNormal):
    return None
  return 'needs a VAE of family DiagonalNormal and prior StandardNormal'


@measures({
  'mutual_information': Metric('how much a code tells which example it is of; at most log of their number', 'nats'),
  'total_correlation': Metric('how dependent the latents are on each other, over all examples', 'nats', 'lower'),
  'dimension_wise_kl': Metric("how far each latent's distribution over all examples is from its prior, summed", 'nats'),
})
@needs(standard_vae)
def elbo_decomposition(model: BoundModel, source: Source) -> Values:
  """E_x KL(q(z|x) || p(z)) as mutual information + total correlation + dimension-wise KL (Chen et al., 2018, eq. 2).

  Nats. One z ~ q(z|x) for each of the N examples; q(z) = 1/N sum_n q(z|x_n) is that of the split, so that the mutual
  information cannot exceed log N. For diagonal Normal posteriors and the prior N(0, I).
  """
  q = collect(source.batches(), q=model.posterior)['q']
  z = q.mu + np.exp(q.log_sigma) * np.random.default_rng(0).standard_normal(q.mu.shape).astype(np.float32)
  log_probs = posterior_log_probs(z, q.mu, q.log_sigma)
  log_q_given_x, log_q, log_q_dims = (np.asarray(x, np.float64).mean(0) for x in log_probs)
  yield 'mutual_information', float(log_q_given_x - log_q)
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
