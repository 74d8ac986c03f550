"""The variational autoencoder with categorical latents."""

from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.distributions import OneHotCategorical, log_likelihood, sample_rows, sum_dims
from gen_jax.errors import positive
from gen_jax.metrics import Metric, measures
from gen_jax.models.latent_variables import decode_to, elbo_terms, log_likelihoods, squared_errors
from gen_jax.networks.likelihoods import bits_per_dim_terms
from gen_jax.randomness import row_keys
from gen_jax.schedules import Schedule, value_at
from gen_jax.types import Batch, Facts, Player


class CategoricalVAE(nn.Module):
  """E_q(z|x)[-log p(x|z)] + KL(q(z|x) || p(z)), z: N variables of K categories, p(z) uniform. Nats per example.

  Training replaces the one-hot z by its relaxation softmax((log q + Gumbel noise) / temperature) (Jang et al., 2017;
  Maddison et al., 2017); `straight_through` gives the decoder one-hot z, with the gradient of the relaxation. The KL
  is that of the categories themselves. All but training uses one-hot z.
  """

  encoder: nn.Module  # (x, outputs) -> [B, outputs]
  decoder: nn.Module  # (z, shape) -> [B, *shape]
  likelihood: nn.Module  # (decoder output, target) -> p(x|z)
  image_shape: tuple[int, int, int]
  latent_dim: int = 20  # N
  categories: int = 10  # K
  temperature: Schedule = 1.0
  straight_through: bool = False

  players = {'model': Player('loss', ('encoder', 'decoder', 'likelihood'))}

  def problems(self, facts: Facts) -> Iterator[str]:
    """A latent, a category, a temperature above 0."""
    yield from positive(self, 'latent_dim', 'categories', 'temperature')

  def __call__(self, batch: Batch) -> jax.Array:
    """The reconstruction [B,H,W,C]."""
    return self.reconstruct(batch)

  def posterior(self, batch: Batch) -> OneHotCategorical:
    """q(z|x), [B,N,K]."""
    logits = self.encoder(batch['image'], self.latent_dim * self.categories)
    return OneHotCategorical(logits.reshape(-1, self.latent_dim, self.categories))

  def p_x_given_z(self, z: jax.Array, target: jax.Array | None = None) -> Any:
    """p(x|z) for z [B,N,K] or [B,N K]; `target` is x in training."""
    return decode_to(self.likelihood, self.decoder, z.reshape(len(z), -1), self.image_shape, target)

  def loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective above, averaged over the batch."""
    x, q, temperature = batch['image'], self.posterior(batch), value_at(self.temperature, step)
    keys = row_keys(self.make_rng('noise'), batch['row'])
    z = jax.vmap(lambda q, key: q.sample_relaxed(key, temperature))(q, keys)
    if self.straight_through:
      z += jax.lax.stop_gradient(jax.nn.one_hot(z.argmax(-1), self.categories) - z)

    # 1. RECONSTRUCTION  E_q[-log p(x|z)], one relaxed sample
    reconstruction = -log_likelihood(self.p_x_given_z(z, target=x), x).mean()

    # 2. LATENT  KL(q(z|x) || 1 / K^N)
    kl = sum_dims(q.kl_to_uniform()).mean()
    relaxed = {'temperature': jnp.asarray(temperature), 'relaxed_elbo': -reconstruction - kl}
    return reconstruction + kl, {'reconstruction': reconstruction, 'kl': kl} | relaxed

  def log_weights(self, batch: Batch, key: jax.Array, samples: int) -> jax.Array:
    """log p(x, z) - log q(z|x) at fresh z ~ q(z|x): [samples, B]."""
    x, q = batch['image'], self.posterior(batch)
    tiled = OneHotCategorical(jnp.broadcast_to(q.logits[:, None], (len(x), samples, *q.logits.shape[1:])))
    z = sample_rows(tiled, key, batch['row']).swapaxes(0, 1)  # [samples,B,N,K]
    log_p = log_likelihoods(self.p_x_given_z(z.reshape(-1, *z.shape[2:])), x)
    uniform = OneHotCategorical(jnp.zeros_like(q.logits))
    return log_p + jax.vmap(lambda z: sum_dims(uniform.log_prob(z) - q.log_prob(z)))(z)

  @measures(
    elbo_terms,
    squared_errors,
    {
      'squared_error': Metric(
        'the squared difference of an example and what its likeliest code decodes to, summed over pixels',
        better='lower',
      ),
    },
  )
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """Terms of the ELBO for each example [B], one sample of z; `kl_dim` [B,N]; `squared_errors`."""
    x, q = batch['image'], self.posterior(batch)
    p = self.p_x_given_z(sample_rows(q, self.make_rng('noise'), batch['row']))
    reconstruction = -log_likelihood(p, x)
    kl_dim = q.kl_to_uniform()
    elbo = -reconstruction - kl_dim.sum(-1)
    return {
      'elbo': elbo,
      'reconstruction': reconstruction,
      'kl': kl_dim.sum(-1),
      'kl_dim': kl_dim,
      **squared_errors(x, self.reconstruct(batch), p.mean),
      **bits_per_dim_terms(self.likelihood, elbo, x),
    }

  def encode(self, batch: Batch) -> jax.Array:
    """The probabilities of all categories, [B,N K]."""
    return self.posterior(batch).mean.reshape(len(batch['image']), -1)

  def decode(self, z: jax.Array, batch: Batch) -> jax.Array:
    """E[x|z] for z [B,N K] -> [B,H,W,C] in the model's range."""
    return self.p_x_given_z(z).mean

  def reconstruct(self, batch: Batch) -> jax.Array:
    """The image decoded from the likeliest z."""
    likeliest = self.posterior(batch).logits.argmax(-1)
    return self.p_x_given_z(jax.nn.one_hot(likeliest, self.categories)).mean

  def reconstruct_sampled(self, batch: Batch) -> jax.Array:
    """The image decoded from a one-hot z ~ q(z|x)."""
    return self.p_x_given_z(sample_rows(self.posterior(batch), self.make_rng('noise'), batch['row'])).mean

  def latents(self, batch: Batch) -> jax.Array:
    """z ~ p(z), one-hot [B,N K]; what `sample` decodes."""
    uniform = OneHotCategorical(jnp.zeros((len(batch['row']), self.latent_dim, self.categories)))
    return sample_rows(uniform, self.make_rng('noise'), batch['row']).reshape(len(batch['row']), -1)

  def sample(self, batch: Batch) -> jax.Array:
    """E[x|z] for z ~ p(z)."""
    return self.decode(self.latents(batch), batch)
