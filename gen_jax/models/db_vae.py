"""The debiasing VAE: a classifier whose features are also the code of a VAE of the positive class."""

from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from gen_jax.distributions import Normal, kl_divergence, log_likelihood, sample_rows, standard_normal, sum_dims
from gen_jax.errors import non_negative, positive
from gen_jax.metrics import Metric, measures
from gen_jax.models.latent_variables import decode_to, log_likelihoods, squared_errors, tile_rows
from gen_jax.networks.likelihoods import OptimalGaussian
from gen_jax.types import Batch, Facts, Player


class DBVAE(nn.Module):
  """c_1 CE(y, x) + y (c_2 E_q(z|x)[-log p(x|z)] + c_3 KL(q(z|x) || N(0, I))), nats per example (Amini et al., 2019).

  y is 1 for images of the class `positive`, such as faces, and 0 for all others, which the decoder never sees. One
  encoder gives the logit of y = 1 beside mu and log sigma^2 of q(z|x). CE is the cross-entropy -log p(y|x). With
  c_2 = c_3 = 0 this is the plain classifier; with a Laplace likelihood, c_2 = 1 / (H W C) and c_3 = .0005 it is that
  of MIT's course on deep learning, 6.S191, but for a constant.
  """

  encoder: nn.Module  # (x, outputs) -> [B, outputs]: the logit, then mu and log sigma^2
  decoder: nn.Module  # (z, shape) -> [B, *shape]
  likelihood: nn.Module  # (decoder output, target) -> p(x|z)
  image_shape: tuple[int, int, int]
  latent_dim: int = 100
  positive: int = 1  # the class of y = 1
  classification_weight: float = 1.0  # c_1
  reconstruction_weight: float = 1.0  # c_2
  kl_weight: float = 1.0  # c_3

  players = {'model': Player('loss', ('encoder', 'decoder', 'likelihood'))}

  def problems(self, facts: Facts) -> Iterator[str]:
    """A latent, weights, a class that the data have, and a likelihood of each example by itself."""
    yield from positive(self, 'latent_dim')
    yield from non_negative(self, 'classification_weight', 'reconstruction_weight', 'kl_weight')
    if isinstance(self.likelihood, OptimalGaussian):
      yield 'likelihood.name=OptimalGaussian: its variance would be that of all images, those of other classes too'
    if not 0 <= self.positive < facts.num_classes:
      classes = f'the classes 0 to {facts.num_classes - 1}' if facts.num_classes else 'no classes'
      yield f'positive={self.positive}: {facts.data_name} has {classes}'

  def __call__(self, batch: Batch) -> jax.Array:
    """Log weights, [1,B]."""
    return self.log_weights(batch, self.make_rng('noise'), 1)

  def logit_and_posterior(self, batch: Batch) -> tuple[jax.Array, Normal]:
    """(log p(y = 1|x) / p(y = 0|x) [B], q(z|x) [B,D])."""
    h = self.encoder(batch['image'], 1 + 2 * self.latent_dim)
    logit, mu, log_variance = jnp.split(h, (1, 1 + self.latent_dim), axis=-1)
    return logit[:, 0], Normal(mu, 0.5 * log_variance)

  def loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective above, averaged over the batch; the terms of the VAE averaged over its positives."""
    del step
    x, y = batch['image'], (batch['label'] == self.positive).astype(jnp.float32)
    logit, q = self.logit_and_posterior(batch)

    # 1. CLASSIFICATION  -log p(y|x)
    cross_entropy = optax.sigmoid_binary_cross_entropy(logit, y)

    # 2. THE VAE OF THE POSITIVES  all terms are [B], as y is: y [B,1] would make a table [B,B] of them
    z = sample_rows(q, self.make_rng('noise'), batch['row'])
    reconstruction = -log_likelihood(self.p_x_given_z(z, x), x)
    kl = sum_dims(kl_divergence(q, standard_normal((1, self.latent_dim))))
    of_vae = self.reconstruction_weight * reconstruction + self.kl_weight * kl

    loss = (self.classification_weight * cross_entropy + jnp.where(y > 0, of_vae, 0.0)).mean()
    share = jax.lax.pmean(y.mean(), 'batch')  # of positives, in the whole batch
    mean_of_positives = lambda term: jnp.where(y > 0, term, 0.0).mean() / jnp.maximum(share, 1e-6)
    return loss, {
      'cross_entropy': cross_entropy.mean(),
      'accuracy': ((logit > 0) == (y > 0)).mean(),
      'reconstruction': mean_of_positives(reconstruction),
      'kl': mean_of_positives(kl),
    }

  def p_x_given_z(self, z: jax.Array, target: jax.Array | None = None) -> Any:
    """p(x|z) for z [N,D]; `target` is x in training."""
    return decode_to(self.likelihood, self.decoder, z, self.image_shape, target)

  def log_weights(self, batch: Batch, key: jax.Array, samples: int) -> jax.Array:
    """log p(x, z) - log q(z|x) at fresh z ~ q(z|x): [samples, B]."""
    x, (_, q) = batch['image'], self.logit_and_posterior(batch)
    noise = sample_rows(standard_normal((len(x), samples, self.latent_dim)), key, batch['row'])
    z = (q.mu[:, None] + jnp.exp(q.log_sigma)[:, None] * noise).swapaxes(0, 1).reshape(-1, self.latent_dim)
    tiled = jax.tree.map(lambda a: tile_rows(a, samples), q)
    log_ratio = sum_dims(standard_normal((1, self.latent_dim)).log_prob(z) - tiled.log_prob(z))
    return log_likelihoods(self.p_x_given_z(z), x) + log_ratio.reshape(samples, -1)

  @measures(
    {
      'cross_entropy': Metric('-log p(y|x), of whether an example is of the positive class', 'nats', 'lower', True),
      'accuracy': Metric('the share of examples whose class the logit tells by its sign', '', 'higher', headline=True),
    },
    squared_errors,
  )
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """`cross_entropy`, `accuracy` (1 or 0), and `squared_errors`, of whatever class, of each image [B]."""
    y = batch['label'] == self.positive
    logit = self.class_logits(batch)
    return {
      'cross_entropy': optax.sigmoid_binary_cross_entropy(logit, y.astype(jnp.float32)),
      'accuracy': ((logit > 0) == y).astype(jnp.float32),
      **squared_errors(batch['image'], self.reconstruct(batch), self.reconstruct_sampled(batch)),
    }

  def class_logits(self, batch: Batch) -> jax.Array:
    """log p(y = 1|x) / p(y = 0|x) of each image, [B]."""
    return self.logit_and_posterior(batch)[0]

  def posterior(self, batch: Batch) -> Normal:
    """q(z|x) of each image."""
    return self.logit_and_posterior(batch)[1]

  def encode(self, batch: Batch) -> jax.Array:
    """The mean code [B,D]."""
    return self.posterior(batch).mu

  def decode(self, z: jax.Array, batch: Batch) -> jax.Array:
    """E[x|z] for z [B,D] -> [B,H,W,C] in the model's range."""
    return self.p_x_given_z(z).mean

  def reconstruct(self, batch: Batch) -> jax.Array:
    """The image decoded from the mean code."""
    return self.decode(self.encode(batch), batch)

  def reconstruct_sampled(self, batch: Batch) -> jax.Array:
    """The image decoded from a code z ~ q(z|x)."""
    return self.decode(sample_rows(self.posterior(batch), self.make_rng('noise'), batch['row']), batch)

  def sample(self, batch: Batch) -> jax.Array:
    """E[x|z] of z ~ N(0, I), a positive each."""
    prior = standard_normal((len(batch['row']), self.latent_dim))
    return self.decode(sample_rows(prior, self.make_rng('noise'), batch['row']), batch)
