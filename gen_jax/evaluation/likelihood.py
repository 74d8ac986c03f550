"""log p(x) of a test set, and what the ELBO loses and why."""

import functools
import math
from collections.abc import Callable, Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.distributions import Normal, log_normal
from gen_jax.evaluation.means import Batches
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
  """The same function for the same number, so that it is compiled once."""
  return functools.partial(log_likelihoods, samples=samples)


def likelihood(verbs, batches: Batches, *, importance_samples: int) -> Values:
  """`nll`, the mean of -log p(x) in nats an example, and its standard error over the split, `nll_stderr`.

  Exact where the model has `log_prob`, else by `importance_weighted`; `nll_bits_per_dim` where the data are discrete;
  `nll_each`: the array [N] of -log p(x), by which two models are compared example by example.
  """
  samples, nll, bits = 0 if 'log_prob' in verbs else importance_samples, [], []
  if samples:
    yield 'importance_samples', float(samples)
  estimate = estimator(samples)
  for batch in batches():
    there = np.asarray(batch['mask']) > 0
    log_p, bits_per_dim = verbs.compute(estimate, batch)
    nll.append(-np.asarray(log_p, np.float64)[there])
    if bits_per_dim is not None:
      bits.append(np.asarray(bits_per_dim, np.float64)[there])
  nll = np.concatenate(nll)
  yield 'nll', float(nll.mean())
  yield 'nll_stderr', float(nll.std(ddof=1) / math.sqrt(len(nll)))
  if bits:
    yield 'nll_bits_per_dim', float(np.concatenate(bits).mean())
  yield 'nll_each', nll


def elbo_decomposition(verbs, batches: Batches) -> Values:
  """E_x KL(q(z|x) || p(z)) as mutual information + total correlation + dimension-wise KL (Chen et al., 2018, eq. 2).

  Nats. One z ~ q(z|x) for each of the N examples; q(z) = 1/N sum_n q(z|x_n) is that of the split, so that the mutual
  information cannot exceed log N. For diagonal Normal posteriors and the prior N(0, I).
  """
  parts, keep = [], []
  for batch in batches():
    parts.append(verbs.posterior(batch))
    keep.append(np.asarray(batch['mask']) > 0)
  keep = np.concatenate(keep)
  mu, log_sigma = (np.concatenate([np.asarray(getattr(q, name)) for q in parts])[keep] for name in ('mu', 'log_sigma'))
  z = mu + np.exp(log_sigma) * np.random.default_rng(0).standard_normal(mu.shape).astype(np.float32)
  log_q_given_x, log_q, log_q_dims = (np.asarray(x, np.float64).mean(0) for x in aggregated(z, mu, log_sigma))
  yield 'mutual_information', float(log_q_given_x - log_q)
  yield 'total_correlation', float(log_q - log_q_dims.sum())
  yield 'dimension_wise_kl', float(log_q_dims.sum() - np.asarray(log_normal(z), np.float64).sum(-1).mean())


@jax.jit
def aggregated(z: jax.Array, mu: jax.Array, log_sigma: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
  """(log q(z_n|x_n) [N], log q(z_n) [N], log q(z_nd) [N,D]) with q(z) = 1/N sum_m q(z|x_m), all [N,D]."""
  q, log_n = Normal(mu, log_sigma), math.log(len(mu))

  def of_one(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    log_q = q.log_prob(jnp.broadcast_to(z, mu.shape))  # [N,D]
    return jax.nn.logsumexp(log_q.sum(-1)) - log_n, jax.nn.logsumexp(log_q, axis=0) - log_n

  return q.log_prob(z).sum(-1), *jax.lax.map(of_one, z, batch_size=16)
