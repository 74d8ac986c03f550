"""Penalties of a VAE on its aggregate posterior q(z): those of beta-TCVAE, FactorVAE and DIP-VAE, alike in form.

Each is a module `(codes, all_codes, rows, step) -> (penalty [], {metric: []})` that is added to the VAE's objective.
All couple the examples of a batch: `codes` hold one z ~ q(z|x), q a diagonal Normal, for each of this device's `rows`
[b] of it, `all_codes` those of all devices [B]. A penalty may have a player of its own.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.distributions import softplus
from gen_jax.errors import non_negative, positive
from gen_jax.models.latent_variables import Codes
from gen_jax.schedules import Schedule, value_at
from gen_jax.types import Facts, Player

Penalty = tuple[jax.Array, dict[str, jax.Array]]


def few_examples(penalty: nn.Module, facts: Facts, most: float = math.inf) -> Iterator[str]:
  """The problem of a batch of one example, or of more than `most`, the number of training examples."""
  if most < 2:
    few = f'{type(penalty).__name__} needs at least 2 training examples, and there are {most}'
    yield f'config.data.name={facts.data_name!r}: {few}'
  elif not 2 <= facts.batch_size <= most:
    allowed = 'at least 2' if most == math.inf else f'2 to {most}'
    yield f'config.batch_size={facts.batch_size}: {type(penalty).__name__} needs {allowed}'


class TotalCorrelation(nn.Module):
  """The beta-TCVAE's weight KL(q(z) || prod_j q(z_j)), weight = beta - 1 (Chen et al., 2018, eq. 4).

  q(z) is estimated from the minibatch by stratified sampling (appendix C.2), without bias; its logarithm is too low.
  """

  num_examples: int  # N of the training split
  weight: Schedule = 5.0

  players = {}

  def problems(self, facts: Facts) -> Iterator[str]:
    """A weight, and a batch of 2 to N."""
    yield from non_negative(self, 'weight')
    yield from few_examples(self, facts, most=self.num_examples)

  def __call__(self, codes: Codes, all_codes: Codes, rows: jax.Array, step: jax.Array) -> Penalty:
    """`total_correlation`: the estimate, nats."""
    q = all_codes.q
    log_w = stratified_log_weights(rows, len(q.mu), self.num_examples)[:, :, None]
    log_density = jax.vmap(lambda z: q.log_prob(jnp.broadcast_to(z, q.mu.shape)))(codes.z)  # log q(z_n|x_m), [b,B,D]
    log_q = jax.nn.logsumexp(log_w + log_density.sum(-1, keepdims=True), axis=1).sum(-1)
    log_q_dims = jax.nn.logsumexp(log_w + log_density, axis=1).sum(-1)
    total_correlation = (log_q - log_q_dims).mean()
    return value_at(self.weight, step) * total_correlation, {'total_correlation': total_correlation}


def stratified_log_weights(rows: jax.Array, batch: int, examples: int) -> jax.Array:
  """log W_nm with which sum_m W_nm q(z|x_m) is q(z) = 1/N sum_i q(z|x_i) in expectation, [b,B].

  z comes from x_n, which is always in the batch, the other M = B - 1 are drawn without it: W_nn = 1 / N, one of the
  others stands for what is left, (N - M) / (N M), the rest have 1 / M. N and B are at least 2 and N >= B.
  """
  others, column = batch - 1, jnp.arange(batch)
  n, m = jnp.broadcast_to(rows[:, None], (len(rows), batch)), jnp.broadcast_to(column, (len(rows), batch))
  weights = jnp.where(m == (n + 1) % batch, (examples - others) / (examples * others), 1 / others)
  return jnp.log(jnp.where(m == n, 1 / examples, weights))


class DIPPenalty(nn.Module):
  """The DIP-VAE's off_diagonal sum_{i != j} C_ij^2 + diagonal sum_i (C_ii - 1)^2 (Kumar et al., 2018, eq. 6 and 7).

  C is the covariance of the posterior's means, DIP-VAE-I; or with `of_samples` of z itself, Cov(mu) + E[diag sigma^2],
  DIP-VAE-II.
  """

  off_diagonal: float = 10.0
  diagonal: float = 100.0
  of_samples: bool = False

  formerly = 'Moments'
  players = {}

  def problems(self, facts: Facts) -> Iterator[str]:
    """Weights, and a batch that has a covariance."""
    yield from non_negative(self, 'off_diagonal', 'diagonal')
    yield from few_examples(self, facts)

  def __call__(self, codes: Codes, all_codes: Codes, rows: jax.Array, step: jax.Array) -> Penalty:
    """The two sums: `covariance` and `variance`."""
    q = all_codes.q
    centered = q.mu - q.mu.mean(0, keepdims=True)
    c = centered.T @ centered / len(q.mu)
    if self.of_samples:
      c = c + jnp.diag(jnp.exp(2 * q.log_sigma).mean(0))
    variance = ((jnp.diag(c) - 1) ** 2).sum()
    covariance = (jnp.where(jnp.eye(len(c), dtype=bool), 0.0, c) ** 2).sum()
    penalty = self.off_diagonal * covariance + self.diagonal * variance
    return penalty, {'covariance': covariance, 'variance': variance}


class FactorVAEPenalty(nn.Module):
  """The FactorVAE's weight KL(q(z) || prod_j q(z_j)), the ratio by a discriminator (Kim & Mnih, 2018, eq. 2 and 3).

  D(z) = sigmoid(logit) is the probability that z comes from q(z) and not from prod_j q(z_j), of which codes permuted
  over the batch, each latent by itself, are samples; E_q(z)[logit] estimates the divergence. The codes permuted are
  those that stand for q(z), where the paper draws a second batch.
  """

  weight: Schedule = 35.0
  hidden: Sequence[int] = (1_000,) * 6
  slope: float = 0.2
  dtype: Any = jnp.float32

  formerly = 'DensityRatio'
  players = {'discriminator': Player('discriminator_loss', ('penalty',))}

  def problems(self, facts: Facts) -> Iterator[str]:
    """A weight, widths above 0, and a batch that can be permuted."""
    yield from non_negative(self, 'weight', 'slope')
    yield from positive(self, 'hidden')
    yield from few_examples(self, facts)

  @nn.compact
  def logit(self, z: jax.Array) -> jax.Array:
    """log D(z) / (1 - D(z)), [b]."""
    for width in self.hidden:
      z = nn.leaky_relu(nn.Dense(width, dtype=self.dtype)(z), self.slope)
    return nn.Dense(1, dtype=self.dtype)(z)[:, 0].astype(jnp.float32)

  def __call__(self, codes: Codes, all_codes: Codes, rows: jax.Array, step: jax.Array) -> Penalty:
    """`total_correlation`: the estimate, nats."""
    total_correlation = self.logit(codes.z).mean()
    return value_at(self.weight, step) * total_correlation, {'total_correlation': total_correlation}

  def loss(self, codes: Codes, all_codes: Codes, rows: jax.Array, key: jax.Array) -> Penalty:
    """The cross-entropy of the discriminator, 1/2 E_q(z)[-log D] + 1/2 E_prod q(z_j)[-log(1 - D)], and its accuracy."""
    z, permuted = codes.z, permute_latents(all_codes.z, key)[rows]
    joint, product = jnp.split(self.logit(jnp.concatenate([z, permuted])), 2)
    cross_entropy = 0.5 * (softplus(-joint) + softplus(product)).mean()
    return cross_entropy, {'discriminator_accuracy': 0.5 * ((joint > 0).mean() + (product <= 0).mean())}


def permute_latents(z: jax.Array, key: jax.Array) -> jax.Array:
  """Each column of z [B,D] in an order of its own."""
  return jax.vmap(jax.random.permutation, (0, 1), 1)(jax.random.split(key, z.shape[1]), z)
