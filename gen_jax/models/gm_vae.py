"""The Gaussian-mixture variational autoencoder, which clusters without labels."""

import math
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.distributions import (
  Normal,
  NormalMixture,
  OneHotCategorical,
  kl_divergence,
  sample_rows,
)
from gen_jax.errors import positive
from gen_jax.metrics import Metric, measures
from gen_jax.models.latent_variables import decode_to, log_likelihoods, squared_errors, tile_rows
from gen_jax.networks.encoders import MLPEncoder
from gen_jax.networks.likelihoods import bits_per_dim_terms
from gen_jax.networks.priors import ClusterPrior
from gen_jax.randomness import row_keys
from gen_jax.types import Batch, Facts, Player


class GMVAE(nn.Module):
  """E_q(y|x)[ E_q(z|x,y)[-log p(x|z)] + KL(q(z|x,y) || p(z|y)) ] + KL(q(y|x) || p(y)), the outer mean exact.

  p(y) = 1 / K, p(z|y) = N(mu_y, diag sigma_y^2), learned (the generative model of Jiang et al., 2017; the posterior
  with its sum over y of Kingma et al., 2014, eq. 7). Nats per example.
  """

  encoder: nn.Module  # (x, outputs) -> [B, outputs]: logits of q(y|x), and features for q(z|x,y)
  decoder: nn.Module  # (z, shape) -> [B, *shape]
  likelihood: nn.Module  # (decoder output, target) -> p(x|z)
  image_shape: tuple[int, int, int]
  latent_dim: int = 10
  clusters: int = 10  # K
  features: int = 200
  code: nn.Module = MLPEncoder((200,))  # ([features, y], outputs) -> [B, outputs]
  prior: nn.Module = ClusterPrior()  # (K, latent_dim) -> p(z|y) of all y

  players = {'model': Player('loss', ('encoder', 'code', 'decoder', 'likelihood', 'prior'))}

  def problems(self, facts: Facts) -> Iterator[str]:
    """A latent, a cluster, a feature."""
    yield from positive(self, 'latent_dim', 'clusters', 'features')

  def __call__(self, batch: Batch) -> jax.Array:
    """Log weights, [1,B]."""
    return self.log_weights(batch, self.make_rng('noise'), 1)

  def posterior(self, batch: Batch) -> tuple[OneHotCategorical, Normal]:
    """(q(y|x) [B,K], q(z|x,y) of every y [B,K,D])."""
    h = self.encoder(batch['image'], self.clusters + self.features)
    logits, features = jnp.split(h, (self.clusters,), axis=-1)
    one_hot = jnp.broadcast_to(jnp.eye(self.clusters), (len(h), self.clusters, self.clusters))
    features = jnp.broadcast_to(nn.relu(features)[:, None], (len(h), self.clusters, self.features))
    inputs = jnp.concatenate([features, one_hot], axis=-1).reshape(-1, self.features + self.clusters)
    codes = self.code(inputs, 2 * self.latent_dim).reshape(len(h), self.clusters, -1)
    mu, log_variance = jnp.split(codes, 2, axis=-1)
    return OneHotCategorical(logits), Normal(mu, 0.5 * log_variance)

  def posterior_of_z(self, batch: Batch) -> NormalMixture:
    """q(z|x) = sum_y q(y|x) q(z|x,y) of each example."""
    q_y, q_z = self.posterior(batch)
    return NormalMixture(jax.nn.log_softmax(q_y.logits), q_z)

  def cluster_priors(self) -> Normal:
    """p(z|y) of every y, [K,D]."""
    return self.prior(self.clusters, self.latent_dim)

  def p_x_given_z(self, z: jax.Array, target: jax.Array | None = None) -> Any:
    """p(x|z) for z [B,D]; `target` is x in training."""
    return decode_to(self.likelihood, self.decoder, z, self.image_shape, target)

  @measures({
    'elbo': Metric('a lower bound of log p(x), by one z for each cluster', 'nats', 'higher', True),
    'reconstruction': Metric('-log p(x|z), what the code has lost; a term of -ELBO', 'nats', 'lower'),
    'kl': Metric('kl_z + kl_y, what the code says of an example', 'nats'),
    'kl_z': Metric('the KL of z from the prior of its cluster', 'nats'),
    'kl_y': Metric('the KL of the cluster from the uniform prior; log K where it is certain', 'nats'),
  })
  def elbo_terms(self, batch: Batch, train: bool = False) -> dict[str, jax.Array]:
    """Terms of the ELBO for each example [B], one z for every y."""
    x, (q_y, q_z) = batch['image'], self.posterior(batch)
    # in the order of the clusters: all examples of the first, of the second ...
    z = sample_rows(q_z, self.make_rng('noise'), batch['row']).swapaxes(0, 1).reshape(-1, self.latent_dim)
    log_p = log_likelihoods(self.p_x_given_z(z, target=tile_rows(x, self.clusters) if train else None), x).T  # [B,K]
    kl = jax.vmap(kl_divergence, (0, None))(q_z, self.cluster_priors()).sum(-1)  # [B,K]
    reconstruction, kl_z = -(q_y.mean * log_p).sum(-1), (q_y.mean * kl).sum(-1)
    kl_y = q_y.kl_to_uniform()
    elbo = -reconstruction - kl_z - kl_y
    return {'elbo': elbo, 'reconstruction': reconstruction, 'kl': kl_z + kl_y, 'kl_z': kl_z, 'kl_y': kl_y}

  def loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective above, averaged over the batch."""
    terms = {name: x.mean() for name, x in self.elbo_terms(batch, train=True).items()}
    return -terms['elbo'], terms

  def log_weights(self, batch: Batch, key: jax.Array, samples: int) -> jax.Array:
    """log p(x, z) - log q(z|x), y summed out of both, at fresh z ~ q(z|x): [samples, B]."""
    x, q = batch['image'], self.posterior_of_z(batch)
    p = NormalMixture(jnp.full(self.clusters, -math.log(self.clusters)), self.cluster_priors())

    def of_example(q: NormalMixture, key: jax.Array) -> tuple[jax.Array, jax.Array]:
      z = jax.vmap(q.sample)(jax.random.split(key, samples))
      return z, jax.vmap(lambda z: p.log_prob(z) - q.log_prob(z))(z)

    z, log_ratio = jax.vmap(of_example)(q, row_keys(key, batch['row']))  # [B,samples,D], [B,samples]
    p_x = self.p_x_given_z(z.swapaxes(0, 1).reshape(-1, self.latent_dim))
    return log_likelihoods(p_x, x) + log_ratio.T

  @measures(
    elbo_terms,
    squared_errors,
    {
      'squared_error': Metric(
        'the squared difference of an example and what its likeliest code decodes to, summed over pixels',
        better='lower',
      ),
    },
    bits_per_dim_terms,
  )
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """Terms of the ELBO, and `squared_errors`, of each example [B]."""
    x, terms = batch['image'], self.elbo_terms(batch)
    errors = squared_errors(x, self.reconstruct(batch), self.reconstruct_sampled(batch))
    return terms | errors | bits_per_dim_terms(self.likelihood, terms['elbo'], x)

  def classify(self, batch: Batch) -> jax.Array:
    """The likeliest cluster argmax_y q(y|x), int32 [B]."""
    return self.posterior(batch)[0].logits.argmax(-1)

  def encode(self, batch: Batch) -> jax.Array:
    """The mean code of the likeliest cluster, [B,D]."""
    q_y, q_z = self.posterior(batch)
    return jnp.take_along_axis(q_z.mu, q_y.logits.argmax(-1)[:, None, None], axis=1)[:, 0]

  def decode(self, z: jax.Array, batch: Batch) -> jax.Array:
    """E[x|z] for z [B,D] -> [B,H,W,C] in the model's range."""
    return self.p_x_given_z(z).mean

  def reconstruct(self, batch: Batch) -> jax.Array:
    """The image decoded from the mean code of the likeliest cluster."""
    return self.decode(self.encode(batch), batch)

  def reconstruct_sampled(self, batch: Batch) -> jax.Array:
    """The image decoded from a code z ~ q(z|x)."""
    return self.decode(sample_rows(self.posterior_of_z(batch), self.make_rng('noise'), batch['row']), batch)

  def latents(self, batch: Batch) -> jax.Array:
    """z ~ p(z|y), [B,D], y the clusters in turn; what `sample` decodes."""
    p = jax.tree.map(lambda x: jnp.take(x, batch['row'] % self.clusters, axis=0), self.cluster_priors())
    return sample_rows(p, self.make_rng('noise'), batch['row'])

  def sample(self, batch: Batch) -> jax.Array:
    """E[x|z] for z ~ p(z|y), y the clusters in turn."""
    return self.decode(self.latents(batch), batch)
