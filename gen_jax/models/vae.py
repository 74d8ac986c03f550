"""The variational autoencoder, with beta and an annealed capacity."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.distributions import Normal, kl_divergence, log_likelihood, sample_rows, standard_normal, sum_dims
from gen_jax.types import Batch, Player

Schedule = float | Callable[[jax.Array], jax.Array]


def value_at(schedule: Schedule, step: jax.Array) -> jax.Array | float:
  """A constant itself, or the schedule's value at `step`."""
  return schedule(step) if callable(schedule) else schedule


class VAE(nn.Module):
  """E_q(z|x)[-log p(x|z)] + beta |KL(q(z|x) || p(z)) - C|, p(z) = N(0, I) (Kingma & Welling, 2014).

  beta > 1 is the beta-VAE (Higgins et al., 2017); a capacity C that grows with the step, with a large beta, is
  the annealed VAE (Burgess et al., 2018, eq. 8); C = 0, beta = 1 is the negative ELBO. Nats per example.
  """

  encoder: nn.Module  # (x, outputs) -> [B, outputs]
  decoder: nn.Module  # (z, shape) -> [B, *shape]
  likelihood: nn.Module  # (decoder output, target) -> p(x|z)
  image_shape: tuple[int, int, int]
  latent_dim: int = 10
  beta: Schedule = 1.0
  capacity: Schedule = 0.0  # C in nats

  players = {'model': Player('loss', ('encoder', 'decoder', 'likelihood'))}

  def __call__(self, batch: Batch) -> jax.Array:
    """The reconstruction [B,H,W,C]."""
    return self.reconstruct(batch)

  def posterior(self, batch: Batch) -> Normal:
    """q(z|x) = N(mu, diag sigma^2), [B,D]."""
    mu, log_variance = jnp.split(self.encoder(batch['image'], 2 * self.latent_dim), 2, axis=-1)
    return Normal(mu, 0.5 * log_variance)

  def observation(self, z: jax.Array, target: jax.Array | None = None):
    """p(x|z) for z [B,D]; `target` is x in training."""
    height, width, channels = self.image_shape
    h = self.decoder(z, (height, width, channels * self.likelihood.outputs))
    return self.likelihood(h, target)

  def loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective above, averaged over the batch."""
    x, q = batch['image'], self.posterior(batch)
    z = sample_rows(q, self.make_rng('noise'), batch['row'])

    # 1. RECONSTRUCTION  E_q[-log p(x|z)], one sample
    reconstruction = -log_likelihood(self.observation(z, target=x), x).mean()

    # 2. LATENT  KL(q(z|x) || p(z)), held at the capacity C
    kl = sum_dims(kl_divergence(q, standard_normal(z.shape))).mean()
    capacity = value_at(self.capacity, step)
    # |KL - C| takes the mean of the global batch, as it couples the examples
    loss = reconstruction + value_at(self.beta, step) * jnp.abs(jax.lax.pmean(kl, 'batch') - capacity)
    return loss, {'reconstruction': reconstruction, 'kl': kl, 'elbo': -reconstruction - kl}

  def evaluate(self, batch: Batch) -> dict[str, jax.Array]:
    """Terms of the ELBO for each example [B], `kl_dim` [B,D], one sample of z; squared error from the mean code."""
    x, q = batch['image'], self.posterior(batch)
    z = sample_rows(q, self.make_rng('noise'), batch['row'])
    reconstruction = -log_likelihood(self.observation(z), x)
    kl_dim = kl_divergence(q, standard_normal(z.shape))
    elbo = -reconstruction - kl_dim.sum(-1)
    terms = {
      'elbo': elbo,
      'reconstruction': reconstruction,
      'kl': kl_dim.sum(-1),
      'kl_dim': kl_dim,
      'squared_error': sum_dims((x - self.decode(q.mu, batch)) ** 2),
    }
    bits = self.likelihood.bits_per_dim(elbo, x[0].size)
    return terms if bits is None else terms | {'bits_per_dim': bits}

  def encode(self, batch: Batch) -> jax.Array:
    """The mean code [B,D]."""
    return self.posterior(batch).mu

  def decode(self, z: jax.Array, batch: Batch) -> jax.Array:
    """E[x|z] for z [B,D] -> [B,H,W,C] in the model's range."""
    return self.observation(z).mean

  def reconstruct(self, batch: Batch) -> jax.Array:
    """The image decoded from the mean code."""
    return self.decode(self.encode(batch), batch)

  def latents(self, batch: Batch) -> jax.Array:
    """z ~ p(z), [B,D]; what `sample` decodes."""
    prior = standard_normal((batch['row'].shape[0], self.latent_dim))
    return sample_rows(prior, self.make_rng('noise'), batch['row'])

  def sample(self, batch: Batch) -> jax.Array:
    """E[x|z] for z ~ p(z)."""
    return self.decode(self.latents(batch), batch)
