"""What models of p(x, z) = p(z) p(x|z) with a posterior q(z|x) share: p(x|z) of many z, and importance weights.

Several codes z of each example stand in one axis [k B, ...]: the first of all examples, then the second of all ...
The functions that take `model` are for the VAE and the IWAE, whose fields encoder, decoder, likelihood, family (of
q(z|x)), prior, open_latents, conditional, num_classes and label_map mean the same.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.distributions import (
  Normal,
  kl_divergence,
  log_likelihood,
  sample_rows,
  standard_normal,
  sum_dims,
)
from gen_jax.errors import non_negative
from gen_jax.metrics import Metric, measures
from gen_jax.models.labels import labels_of
from gen_jax.networks.likelihoods import bits_per_dim_terms
from gen_jax.networks.posteriors import DiagonalNormal
from gen_jax.networks.priors import ClassMixturePrior, StandardNormal, VampPrior
from gen_jax.schedules import step_of, value_at
from gen_jax.types import Batch


def decode_to(
  likelihood: nn.Module, decoder: nn.Module, z: jax.Array, shape: tuple[int, int, int], target: jax.Array | None = None
) -> Any:
  """p(x|z) of z [N,D]: a distribution of images [N, *shape]; `target` is x [N, *shape] in training."""
  height, width, channels = shape
  return likelihood(decoder(z, (height, width, channels * likelihood.outputs)), target)


def tile_rows(x: jax.Array, k: int) -> jax.Array:
  """[B, ...] -> [k B, ...]: all rows, then all once more ..."""
  return jnp.tile(x, (k, *(1,) * (x.ndim - 1)))


def log_likelihoods(p: Any, x: jax.Array) -> jax.Array:
  """log p(x|z) [k,B] of x [B,H,W,C], for distributions p of k z for each, [k B, ...]."""
  by_sample = jax.tree.map(lambda a: a.reshape(-1, len(x), *a.shape[1:]), p)
  # vmap broadcasts x over the k samples instead of storing it k times
  return jax.vmap(log_likelihood, (0, None))(by_sample, x)


class Codes(NamedTuple):
  """k samples z ~ q(z|x) for each example."""

  q: Any  # the posterior of every row, [k B, ...]
  z: jax.Array  # [k B, D]
  log_q: jax.Array  # log q(z|x), [k B]


class LogWeightTerms(NamedTuple):
  """What the logarithm of an importance weight p(x|z) p(z) / q(z|x) is made of, nats, [k,B]."""

  log_likelihood: jax.Array  # log p(x|z)
  log_prior: jax.Array  # log p(z)
  log_posterior: jax.Array  # log q(z|x)

  @property
  def log_weight(self) -> jax.Array:
    """log p(x, z) - log q(z|x), [k,B]."""
    return self.log_likelihood + self.log_prior - self.log_posterior


def latents_in_use(model: Any) -> jax.Array:
  """m [D] in [0, 1], how far each latent is in use: m_j = clip(k - j, 0, 1) for the k of `open_latents` at this step.

  The posterior of a latent is N(m mu, sigma^(2 m)), and the decoder sees m z. So a latent that is not in use yet is at
  its prior and reaches nothing, and at every step the model is one of p(x, z) with a bound that holds.
  """
  return jnp.clip(value_at(model.open_latents, step_of(model)) - jnp.arange(model.latent_dim), 0.0, 1.0)


def posterior_of(model: Any, h: jax.Array) -> Any:
  """q(z|x) of the encoder's output [B,F]."""
  q = model.family(h, model.latent_dim)
  if model.open_latents is None:
    return q
  m = latents_in_use(model)[None]
  return Normal(m * q.mu, m * q.log_sigma)


def encode_to_features(model: Any, batch: Batch) -> jax.Array:
  """The encoder's output [B,F], which `family` reads, of images, and of their labels where the model is conditional."""
  x = batch['image']
  if model.conditional:
    x = jnp.concatenate([x, model.label_map(batch['label'], model.num_classes, x.shape[1:3])], axis=-1)
  return model.encoder(x, model.family.outputs(model.latent_dim))


def sample_codes(model: Any, batch: Batch, key: jax.Array, k: int) -> Codes:
  """k reparameterized z ~ q(z|x) for each example."""
  h = encode_to_features(model, batch)
  q = posterior_of(model, tile_rows(h, k))
  noise = sample_rows(standard_normal((len(h), k, model.latent_dim)), key, batch['row'])
  return Codes(q, *q.reparameterize(noise.swapaxes(0, 1).reshape(-1, model.latent_dim)))


def decode_codes(model: Any, z: jax.Array, labels: jax.Array | None, target: jax.Array | None = None) -> Any:
  """p(x|z), or p(x|z,y) of labels y [N], for z [N,D]; `target` is x in training."""
  if model.open_latents is not None:
    z = z * latents_in_use(model)[None]
  if labels is not None:
    z = jnp.concatenate([z, jax.nn.one_hot(labels, model.num_classes)], axis=-1)
  return decode_to(model.likelihood, model.decoder, z, model.image_shape, target)


def map_over_prior(model: Any, labels: jax.Array | None, function: Callable, rows: jax.Array) -> Any:
  """`function(p, row)` for each of `rows` [N, ...], p being p(z), or p(z|y) of the row's label where classes have one.

  p is a distribution of one vector [D].
  """
  p = model.prior(model.latent_dim, lambda images: model.posterior({'image': images}))
  if isinstance(model.prior, ClassMixturePrior):
    return jax.vmap(function)(jax.tree.map(lambda x: jnp.take(x, labels, axis=0), p), rows)
  return jax.vmap(function, (None, 0))(p, rows)


def problems_of_single_latents(model: Any, *names: str) -> Iterator[str]:
  """The problems of fields that speak of each latent by itself, where they are set."""
  for name in names:
    if getattr(model, name) is None:
      continue
    yield from non_negative(model, name)
    if not (isinstance(model.family, DiagonalNormal) and isinstance(model.prior, StandardNormal)):
      yield f'{name}: needs a posterior of family DiagonalNormal and the prior StandardNormal'


def problems_of_prior(model: Any) -> Iterator[str]:
  """The priors that the posterior, or the labels, leave without meaning."""
  if isinstance(model.prior, ClassMixturePrior) and not model.conditional:
    yield 'prior: ClassMixturePrior is p(z|y); set conditional=True, or choose MixturePrior'
  if isinstance(model.prior, VampPrior) and not isinstance(model.family, DiagonalNormal):
    yield 'prior: VampPrior is a mixture of posteriors that are DiagonalNormal'
  if isinstance(model.prior, VampPrior) and model.conditional:
    yield 'prior: VampPrior has no labels for its pseudo-inputs; set conditional=False'


def log_weight_terms(model: Any, codes: Codes, batch: Batch, train: bool = False) -> LogWeightTerms:
  """log p(x|z), log p(z) and log q(z|x) of codes."""
  x, labels = batch['image'], labels_of(model, batch)
  k = len(codes.z) // len(x)
  labels = None if labels is None else tile_rows(labels, k)
  p = decode_codes(model, codes.z, labels, target=tile_rows(x, k) if train else None)
  log_prior = sum_dims(map_over_prior(model, labels, lambda p, z: p.log_prob(z), codes.z))
  return LogWeightTerms(log_likelihoods(p, x), log_prior.reshape(k, -1), codes.log_q.reshape(k, -1))


@measures({
  'kl': Metric('KL(q(z|x) || p(z)), what the code says of an example; a term of -ELBO', 'nats'),
  'kl_dim_{latent}': Metric(
    'the KL of each latent from its prior; one that is off says nothing of an example', 'nats', off_below=0.01
  ),
})
def kl_terms(model: Any, codes: Codes, terms: LogWeightTerms) -> dict[str, jax.Array]:
  """`kl`: KL(q(z|x) || p(z)) of each example [B], in closed form where it has one, else estimated by one code.

  With it in closed form `kl_dim` [B,D], that of each latent.
  """
  if isinstance(codes.q, Normal) and isinstance(model.prior, StandardNormal):
    p = standard_normal(codes.q.mu.shape[1:])
    kl_dim = kl_divergence(codes.q, jax.tree.map(lambda x: x[None], p))
    return {'kl': kl_dim.sum(-1), 'kl_dim': kl_dim}
  return {'kl': (terms.log_posterior - terms.log_prior)[0]}


@measures({
  'squared_error': Metric(
    'the squared difference of an example and what its mean code decodes to, summed over pixels', better='lower'
  ),
  'squared_error_sampled': Metric(
    'the squared difference of an example and what a sampled code z ~ q(z|x) decodes to, summed over pixels',
    better='lower',
  ),
})
def squared_errors(x: jax.Array, of_mean: jax.Array, of_sample: jax.Array) -> dict[str, jax.Array]:
  """|x - reconstruction|^2 of each image [B], from the mean code, and from a code z ~ q(z|x); all [B,H,W,C].

  The first may be far above the second: a decoder that is trained on wide posteriors has hardly seen their means.
  """
  squared_error = lambda reconstruction: sum_dims((x - reconstruction) ** 2)
  return {'squared_error': squared_error(of_mean), 'squared_error_sampled': squared_error(of_sample)}


@measures(
  {
    'elbo': Metric(
      'a lower bound of log p(x): log p(x|z) - KL(q(z|x) || p(z)), by one z for each example', 'nats', 'higher', True
    ),
    'reconstruction': Metric('-log p(x|z), what the code has lost; a term of -ELBO', 'nats', 'lower'),
  },
  squared_errors,
  kl_terms,
  bits_per_dim_terms,
)
def elbo_terms(model: Any, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
  """`elbo`, `reconstruction`, `kl` of each example [B] by one code, and `kl_dim` [B,D] as `kl_terms` says.

  Of that code also `squared_error_sampled`, see `squared_errors`; `bits_per_dim` [B] bounds discrete x.
  """
  codes = sample_codes(model, batch, key, 1)
  terms = log_weight_terms(model, codes, batch)
  log_p, kl = terms.log_likelihood[0], kl_terms(model, codes, terms)
  elbo = log_p - kl['kl']
  # the decoder's output for these codes is that of `terms`, which XLA does not compute twice
  errors = squared_errors(batch['image'], model.reconstruct(batch), model.decode(codes.z, batch))
  bits = bits_per_dim_terms(model.likelihood, elbo, batch['image'])
  return {'elbo': elbo, 'reconstruction': -log_p, **kl, **errors, **bits}
