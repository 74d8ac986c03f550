"""The importance weighted autoencoder, with the doubly reparameterized gradient, labels, any posterior and prior."""

from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.distributions import log_mean_exp, sum_dims
from gen_jax.errors import positive
from gen_jax.metrics import Metric, measures
from gen_jax.models.labels import labels_of, missing_labels
from gen_jax.models.latent_variables import (
  Codes,
  decode_codes,
  elbo_terms,
  encode_to_features,
  log_weight_terms,
  map_over_prior,
  posterior_of,
  problems_of_prior,
  problems_of_single_latents,
  sample_codes,
)
from gen_jax.networks.encoders import LabelMap
from gen_jax.networks.likelihoods import OptimalGaussian
from gen_jax.networks.posteriors import DiagonalNormal, InverseAutoregressiveFlow
from gen_jax.networks.priors import StandardNormal
from gen_jax.randomness import row_keys
from gen_jax.schedules import Schedule
from gen_jax.types import Batch, Facts, Player


@jax.custom_vjp
def scale_gradient(z: jax.Array, scale: jax.Array) -> jax.Array:
  """z, whose gradient is multiplied by `scale`."""
  return z


scale_gradient.defvjp(lambda z, scale: (z, scale), lambda scale, ct: (ct * scale, jnp.zeros_like(scale)))


class IWAE(nn.Module):
  """-log 1/k sum_j w_j with w_j = p(x, z_j) / q(z_j|x), z_j ~ q(z|x), nats per example (Burda et al., 2016, eq. 8).

  The bound of log p(x) is closer than the ELBO, with k = `samples`; `dreg` takes its doubly reparameterized gradient
  (Tucker et al., 2019, eq. 8). `conditional` and the networks are those of the VAE.
  """

  encoder: nn.Module  # (x, outputs) -> [B, outputs]
  decoder: nn.Module  # (z, shape) -> [B, *shape]
  likelihood: nn.Module  # (decoder output, target) -> p(x|z)
  image_shape: tuple[int, int, int]
  latent_dim: int = 10
  samples: int = 5  # k
  dreg: bool = False
  family: nn.Module = DiagonalNormal()  # (encoder output, latent_dim) -> q(z|x)
  prior: nn.Module = StandardNormal()  # (latent_dim, posterior of images) -> p(z)
  open_latents: Schedule | None = None  # how many latents are in use; None: all
  conditional: bool = False
  num_classes: int = 0
  label_map: nn.Module = LabelMap()  # (labels, classes, shape) -> one more channel of the encoder's image

  players = {'model': Player('loss', ('encoder', 'decoder', 'likelihood', 'family', 'prior', 'label_map'))}

  def problems(self, facts: Facts) -> Iterator[str]:
    """Fields that leave others without effect or meaning."""
    yield from positive(self, 'latent_dim', 'samples')
    yield from missing_labels(self, facts)
    yield from problems_of_prior(self)
    yield from problems_of_single_latents(self, 'open_latents')
    if self.dreg and self.samples == 1:
      yield 'dreg=True: needs samples above 1'
    if self.dreg and isinstance(self.likelihood, OptimalGaussian):
      yield 'dreg=True: the sigma of OptimalGaussian depends on all samples; choose another one'
    if self.dreg and isinstance(self.family, InverseAutoregressiveFlow):
      yield 'dreg=True: needs the density of any z, which InverseAutoregressiveFlow has not'

  def __call__(self, batch: Batch) -> jax.Array:
    """A log weight of each example, [1,B]."""
    return self.log_weights(batch, self.make_rng('noise'), 1)

  def loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective above, averaged over the batch."""
    codes = sample_codes(self, batch, self.make_rng('noise'), self.samples)
    if self.dreg:
      codes = self.reparameterize_doubly(codes, batch)
    log_w = log_weight_terms(self, codes, batch, train=True).log_weight
    bound = log_mean_exp(log_w).mean()
    return -bound, {'bound': bound, 'elbo': log_w.mean()}

  def reparameterize_doubly(self, codes: Codes, batch: Batch) -> Codes:
    """The same codes, with the encoder's gradient as sum_j w~_j^2 d log w_j / dz_j dz_j / dphi.

    The path of phi to log q(z|x) at a fixed z is cut, and what comes through z_j gets the normalized weight w~_j once
    more than log sum_j w_j gives it.
    """
    fixed = jax.lax.stop_gradient(codes)
    log_w = log_weight_terms(self, fixed, batch).log_weight
    z = scale_gradient(codes.z, jax.nn.softmax(jax.lax.stop_gradient(log_w), axis=0).reshape(-1, 1))
    return codes._replace(z=z, log_q=sum_dims(fixed.q.log_prob(z)))

  def log_weights(self, batch: Batch, key: jax.Array, samples: int) -> jax.Array:
    """log p(x, z) - log q(z|x) at fresh z ~ q(z|x): [samples, B]."""
    return log_weight_terms(self, sample_codes(self, batch, key, samples), batch).log_weight

  @measures(
    {
      'bound': Metric(
        'a lower bound of log p(x), tighter than the ELBO: by as many z as in training', 'nats', 'higher', True
      )
    },
    elbo_terms,
  )
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """`bound` of each example [B], and the terms of its ELBO, see `elbo_terms`."""
    key = self.make_rng('noise')
    return {'bound': log_mean_exp(self.log_weights(batch, key, self.samples)), **elbo_terms(self, batch, key)}

  def posterior(self, batch: Batch) -> Any:
    """q(z|x) of each example."""
    return posterior_of(self, encode_to_features(self, batch))

  def encode(self, batch: Batch) -> jax.Array:
    """The mean code [B,D]."""
    return self.posterior(batch).mean

  def decode(self, z: jax.Array, batch: Batch) -> jax.Array:
    """E[x|z] for z [B,D] -> [B,H,W,C] in the model's range."""
    return decode_codes(self, z, labels_of(self, batch)).mean

  def reconstruct(self, batch: Batch) -> jax.Array:
    """The image decoded from the mean code."""
    return self.decode(self.encode(batch), batch)

  def reconstruct_sampled(self, batch: Batch) -> jax.Array:
    """The image decoded from a code z ~ q(z|x)."""
    return self.decode(sample_codes(self, batch, self.make_rng('noise'), 1).z, batch)

  def latents(self, batch: Batch) -> jax.Array:
    """z ~ p(z), [B,D]; what `sample` decodes."""
    keys = row_keys(self.make_rng('noise'), batch['row'])
    return map_over_prior(self, labels_of(self, batch), lambda p, key: p.sample(key), keys)

  def sample(self, batch: Batch) -> jax.Array:
    """E[x|z] for z ~ p(z)."""
    return self.decode(self.latents(batch), batch)
