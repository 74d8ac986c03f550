"""What a VAE's objective may add to beta KL, alike in form: `(codes, every, rows, step) -> (penalty [], {name: []})`.

All couple the examples of a batch: `codes` are those of this device's `rows` [b] of it, `every` those of all devices. A
penalty may have players of its own.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.distributions import Normal, softplus
from gen_jax.schedules import Schedule, value_at
from gen_jax.types import Player

Penalty = tuple[jax.Array, dict[str, jax.Array]]


class Drawn(NamedTuple):
  """One z ~ q(z|x) for each example."""

  q: Normal  # [B,D]
  z: jax.Array  # [B,D]


def gathered(tree: Any) -> Any:
  """Arrays [b, ...] of every device as one [B, ...], in the order of the rows."""
  return jax.tree.map(lambda x: jax.lax.all_gather(x, 'batch', tiled=True), tree)


class TotalCorrelation(nn.Module):
  """weight KL(q(z) || prod_j q(z_j)): with weight = beta - 1 the beta-TCVAE (Chen et al., 2018, eq. 4).

  q(z) is estimated from the minibatch by stratified sampling (appendix C.2), without bias; its logarithm is too low.
  """

  num_examples: int  # N of the training split
  weight: Schedule = 5.0

  players = {}

  def __call__(self, codes: Drawn, every: Drawn, rows: jax.Array, step: jax.Array) -> Penalty:
    """`total_correlation`: the estimate, nats."""
    q = every.q
    log_w = stratified_log_weights(rows, len(q.mu), self.num_examples)[:, :, None]
    log_density = jax.vmap(lambda z: q.log_prob(jnp.broadcast_to(z, q.mu.shape)))(codes.z)  # log q(z_n|x_m), [b,B,D]
    log_q = jax.nn.logsumexp(log_w + log_density.sum(-1, keepdims=True), axis=1).sum(-1)
    log_q_dims = jax.nn.logsumexp(log_w + log_density, axis=1).sum(-1)
    value = (log_q - log_q_dims).mean()
    return value_at(self.weight, step) * value, {'total_correlation': value}


def stratified_log_weights(rows: jax.Array, batch: int, examples: int) -> jax.Array:
  """log W_nm with which sum_m W_nm q(z|x_m) is q(z) = 1/N sum_i q(z|x_i) in expectation, [b,B].

  z comes from x_n, which is always in the batch, the other M = B - 1 are drawn without it: W_nn = 1 / N, one of the
  others stands for what is left, (N - M) / (N M), the rest have 1 / M. N and B are at least 2 and N >= B.
  """
  others, column = batch - 1, jnp.arange(batch)
  n, m = jnp.broadcast_to(rows[:, None], (len(rows), batch)), jnp.broadcast_to(column, (len(rows), batch))
  weights = jnp.where(m == (n + 1) % batch, (examples - others) / (examples * others), 1 / others)
  return jnp.log(jnp.where(m == n, 1 / examples, weights))


class Moments(nn.Module):
  """off_diagonal sum_{i != j} C_ij^2 + diagonal sum_i (C_ii - 1)^2: the DIP-VAE (Kumar et al., 2018, eq. 6 and 7).

  C is the covariance of the posterior's means, DIP-VAE-I; or with `of_samples` of z itself, Cov(mu) + E[diag sigma^2],
  DIP-VAE-II.
  """

  off_diagonal: float = 10.0
  diagonal: float = 100.0
  of_samples: bool = False

  players = {}

  def __call__(self, codes: Drawn, every: Drawn, rows: jax.Array, step: jax.Array) -> Penalty:
    """The two sums: `covariance` and `variance`."""
    q = every.q
    centred = q.mu - q.mu.mean(0, keepdims=True)
    c = centred.T @ centred / len(q.mu)
    if self.of_samples:
      c = c + jnp.diag(jnp.exp(2 * q.log_sigma).mean(0))
    variance = ((jnp.diag(c) - 1) ** 2).sum()
    covariance = (jnp.where(jnp.eye(len(c), dtype=bool), 0.0, c) ** 2).sum()
    value = self.off_diagonal * covariance + self.diagonal * variance
    return value, {'covariance': covariance, 'variance': variance}


class DensityRatio(nn.Module):
  """weight KL(q(z) || prod_j q(z_j)), the ratio by a discriminator: the FactorVAE (Kim & Mnih, 2018, eq. 2 and 3).

  D(z) = sigmoid(logit) is the probability that z comes from q(z) and not from prod_j q(z_j), of which codes permuted
  over the batch, each latent by itself, are samples; E_q(z)[logit] estimates the divergence. The codes permuted are
  those that stand for q(z), where the paper draws a second batch.
  """

  weight: Schedule = 35.0
  hidden: Sequence[int] = (1_000,) * 6
  slope: float = 0.2
  dtype: Any = jnp.float32

  players = {'discriminator': Player('discriminator_loss', ('penalty',))}

  @nn.compact
  def logit(self, z: jax.Array) -> jax.Array:
    """log D(z) / (1 - D(z)), [b]."""
    for width in self.hidden:
      z = nn.leaky_relu(nn.Dense(width, dtype=self.dtype)(z), self.slope)
    return nn.Dense(1, dtype=self.dtype)(z)[:, 0].astype(jnp.float32)

  def __call__(self, codes: Drawn, every: Drawn, rows: jax.Array, step: jax.Array) -> Penalty:
    """`total_correlation`: the estimate, nats."""
    value = self.logit(codes.z).mean()
    return value_at(self.weight, step) * value, {'total_correlation': value}

  def loss(self, codes: Drawn, every: Drawn, rows: jax.Array, key: jax.Array) -> Penalty:
    """The cross-entropy of the discriminator, 1/2 E_q(z)[-log D] + 1/2 E_prod q(z_j)[-log(1 - D)], and its accuracy."""
    z, permuted = codes.z, permuted_latents(every.z, key)[rows]
    real, product = jnp.split(self.logit(jnp.concatenate([z, permuted])), 2)
    value = 0.5 * (softplus(-real) + softplus(product)).mean()
    return value, {'discriminator_accuracy': 0.5 * ((real > 0).mean() + (product <= 0).mean())}


def permuted_latents(z: jax.Array, key: jax.Array) -> jax.Array:
  """Each column of z [B,D] in an order of its own."""
  return jax.vmap(jax.random.permutation, (0, 1), 1)(jax.random.split(key, z.shape[1]), z)
