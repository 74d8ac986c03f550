"""The variational autoencoder: beta, annealed capacity, labels, penalties, any posterior and prior."""

from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import non_negative, positive
from gen_jax.metrics import measures
from gen_jax.models.labels import labels_of, missing_labels
from gen_jax.models.latent_variables import (
  decode_codes,
  elbo_terms,
  encode_to_features,
  kl_terms,
  log_weight_terms,
  map_over_prior,
  posterior_of,
  problems_of_prior,
  problems_of_single_latents,
  sample_codes,
)
from gen_jax.networks.encoders import LabelMap
from gen_jax.networks.posteriors import DiagonalNormal
from gen_jax.networks.priors import StandardNormal
from gen_jax.randomness import row_keys
from gen_jax.schedules import Schedule, value_at
from gen_jax.types import Batch, Facts, Player


class VAE(nn.Module):
  """E_q(z|x)[-log p(x|z)] + beta |KL(q(z|x) || p(z)) - C| + penalty, nats per example (Kingma & Welling, 2014).

  beta > 1 is the beta-VAE (Higgins et al., 2017); a capacity C that grows with the step, with a large beta, is
  the annealed VAE (Burgess et al., 2018, eq. 8); C = 0, beta = 1 is the negative ELBO. With `free_nats` L above 0 the
  KL is that of latents whose first nats are free, sum_j max(E_x KL_j, L) (Kingma et al., 2016, eq. 15).

  `outlier_weight` adds w E max(0, m - ELBO(x) + ELBO(x')), for a batch with outliers x' beside its images x: these must
  lie `outlier_margin` m nats below (outlier exposure, Hendrycks et al., 2019).

  `conditional` gives the label y to both networks: p(x|y), q(z|x, y); the prior is the same for all y, or p(z|y) where
  it is a ClassMixturePrior (Sohn et al., 2015).
  """

  encoder: nn.Module  # (x, outputs) -> [B, outputs]
  decoder: nn.Module  # (z, shape) -> [B, *shape]
  likelihood: nn.Module  # (decoder output, target) -> p(x|z)
  image_shape: tuple[int, int, int]
  latent_dim: int = 10
  beta: Schedule = 1.0
  capacity: Schedule = 0.0  # C in nats
  family: nn.Module = DiagonalNormal()  # (encoder output, latent_dim) -> q(z|x)
  prior: nn.Module = StandardNormal()  # (latent_dim, posterior of images) -> p(z)
  free_nats: Schedule | None = None  # L in nats
  open_latents: Schedule | None = None  # how many latents are in use; None: all
  penalty: nn.Module | None = None  # one of `models.penalties`
  outlier_weight: Schedule | None = None  # w; None: no outliers
  outlier_margin: float = 100.0  # m in nats
  conditional: bool = False
  num_classes: int = 0
  label_map: nn.Module = LabelMap()  # (labels, classes, shape) -> one more channel of the encoder's image

  def problems(self, facts: Facts) -> Iterator[str]:
    """Fields that leave others without effect or meaning."""
    yield from positive(self, 'latent_dim')
    yield from non_negative(self, 'beta', 'capacity')
    yield from non_negative(self, 'outlier_margin', *(('outlier_weight',) if self.outlier_weight is not None else ()))
    if self.outlier_weight is not None and not facts.outliers:
      yield 'outlier_weight: needs config.data.outliers=NAME, a set of outliers'
    yield from missing_labels(self, facts)
    yield from problems_of_prior(self)
    yield from problems_of_single_latents(self, 'open_latents', 'free_nats')
    if self.penalty and not isinstance(self.family, DiagonalNormal):
      yield 'penalty: needs a posterior of family DiagonalNormal'

  @property
  def players(self) -> dict[str, Player]:
    """All groups descend one loss; a penalty with a discriminator brings the discriminator as a second player."""
    groups = ('encoder', 'decoder', 'likelihood', 'family', 'prior', 'label_map')
    return {'model': Player('loss', groups), **(self.penalty.players if self.penalty else {})}

  @staticmethod
  def upgrade(section: dict[str, Any]) -> dict[str, Any]:
    """A section written when `samples` above 1 made a VAE the IWAE; what has no effect falls away."""
    without_effect = {'samples': 1, 'dreg': False}
    if section.get('samples', 1) > 1:
      section = section | {'name': 'IWAE'}
      without_effect = {'beta': 1.0, 'capacity': 0.0, 'penalty': None}
    return {key: x for key, x in section.items() if key not in without_effect or x != without_effect[key]}

  def __call__(self, batch: Batch) -> jax.Array:
    """A log weight of each example, [1,B]."""
    codes = sample_codes(self, batch, self.make_rng('noise'), 1)
    if self.penalty and self.penalty.players:
      self.penalty(codes, codes, batch['row'], 0)
    return log_weight_terms(self, codes, batch).log_weight

  def loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective above, averaged over the batch."""
    codes = sample_codes(self, batch, self.make_rng('noise'), 1)
    terms = log_weight_terms(self, codes, batch, train=True)

    # 1. RECONSTRUCTION  E_q[-log p(x|z)], one sample
    reconstruction = -terms.log_likelihood.mean()

    # 2. LATENT  KL(q(z|x) || p(z)), held at the capacity C
    kl_of = kl_terms(self, codes, terms)
    kl = kl_of['kl'].mean()
    # both |KL - C| and max(KL_j, L) take the mean of the global batch, as they couple the examples
    held = jax.lax.pmean(kl, 'batch')
    if self.free_nats is not None:
      held = jnp.maximum(jax.lax.pmean(kl_of['kl_dim'].mean(0), 'batch'), value_at(self.free_nats, step)).sum()
    loss = reconstruction + value_at(self.beta, step) * jnp.abs(held - value_at(self.capacity, step))

    metrics = {'reconstruction': reconstruction, 'kl': kl, 'elbo': -reconstruction - kl}

    # 3. OUTLIERS  below the images by a margin
    if self.outlier_weight is not None:
      outliers = batch | {'image': batch['outlier']}
      of_outliers = sample_codes(self, outliers, self.make_rng('noise'), 1)
      elbo = log_weight_terms(self, of_outliers, outliers, train=True).log_weight[0]
      above = self.outlier_margin - terms.log_weight[0] + elbo
      loss += value_at(self.outlier_weight, step) * jax.nn.relu(above).mean()
      metrics['elbo_outliers'] = elbo.mean()
    if not self.penalty:
      return loss, metrics

    # 4. AGGREGATE POSTERIOR  what q(z) is held to
    penalty, penalty_metrics = self.penalty(codes, gather_over_devices(codes), batch['row'], step)
    return loss + penalty, metrics | penalty_metrics

  def discriminator_loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The loss of a FactorVAEPenalty's discriminator, which sees codes of a batch of its own."""
    noise_key, permutation_key = jax.random.split(self.make_rng('noise'))
    codes = sample_codes(self, batch, noise_key, 1)
    return self.penalty.loss(codes, gather_over_devices(codes), batch['row'], permutation_key)

  def log_weights(self, batch: Batch, key: jax.Array, samples: int) -> jax.Array:
    """log p(x, z) - log q(z|x) at fresh z ~ q(z|x): [samples, B]."""
    return log_weight_terms(self, sample_codes(self, batch, key, samples), batch).log_weight

  @measures(elbo_terms)
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """Terms of the ELBO for each example, see `elbo_terms`."""
    return elbo_terms(self, batch, self.make_rng('noise'))

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


def gather_over_devices(tree: Any) -> Any:
  """Arrays [b, ...] of every device as one [B, ...], in the order of the rows."""
  return jax.tree.map(lambda x: jax.lax.all_gather(x, 'batch', tiled=True), tree)
