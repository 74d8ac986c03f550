"""The variational autoencoder: beta, annealed capacity, importance weighting, labels, any prior and posterior."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.distributions import (
  Normal,
  kl_divergence,
  log_likelihood,
  log_mean_exp,
  sample_rows,
  standard_normal,
  sum_dims,
)
from gen_jax.models.penalties import Drawn, gathered
from gen_jax.networks.encoders import LabelMap
from gen_jax.networks.posteriors import DiagonalNormal
from gen_jax.networks.priors import ClassMixturePrior, StandardNormal
from gen_jax.randomness import row_keys
from gen_jax.schedules import Schedule, value_at
from gen_jax.types import Batch, Player


@jax.custom_vjp
def scale_gradient(z: jax.Array, scale: jax.Array) -> jax.Array:
  """z, whose gradient is multiplied by `scale`."""
  return z


scale_gradient.defvjp(lambda z, scale: (z, scale), lambda scale, ct: (ct * scale, jnp.zeros_like(scale)))


class Codes(NamedTuple):
  """k samples of q(z|x) for each example: the first of all examples, then the second ..."""

  q: Any  # the posterior of every row, [k B, ...]
  z: jax.Array  # [k B, D]
  log_q: jax.Array  # log q(z|x), [k B]


class Terms(NamedTuple):
  """What an importance weight p(x|z) p(z) / q(z|x) is made of, nats, [k,B]."""

  log_likelihood: jax.Array  # log p(x|z)
  log_prior: jax.Array  # log p(z)
  log_posterior: jax.Array  # log q(z|x)

  @property
  def log_weight(self) -> jax.Array:
    """log p(x, z) - log q(z|x), [k,B]."""
    return self.log_likelihood + self.log_prior - self.log_posterior


class VAE(nn.Module):
  """E_q(z|x)[-log p(x|z)] + beta |KL(q(z|x) || p(z)) - C| + penalty, nats per example (Kingma & Welling, 2014).

  beta > 1 is the beta-VAE (Higgins et al., 2017); a capacity C that grows with the step, with a large beta, is
  the annealed VAE (Burgess et al., 2018, eq. 8); C = 0, beta = 1 is the negative ELBO.

  `samples` = k > 1 is the importance weighted autoencoder instead, -log 1/k sum_j w_j with w_j = p(x, z_j) / q(z_j|x)
  (Burda et al., 2016, eq. 8); `dreg` takes its doubly reparameterised gradient (Tucker et al., 2019, eq. 8).
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
  samples: int = 1  # k
  dreg: bool = False
  family: nn.Module = DiagonalNormal()  # (encoder output, latent_dim) -> q(z|x)
  prior: nn.Module = StandardNormal()  # (latent_dim, posterior of images) -> p(z)
  penalty: nn.Module | None = None  # TotalCorrelation, DensityRatio or Moments
  conditional: bool = False
  num_classes: int = 0
  label_map: nn.Module = LabelMap()  # (labels, classes, shape) -> one more channel of the encoder's image

  @property
  def players(self) -> dict[str, Player]:
    """The model, and those of the penalty."""
    groups = ('encoder', 'decoder', 'likelihood', 'family', 'prior', 'label_map')
    return {'model': Player('loss', groups), **(self.penalty.players if self.penalty else {})}

  def __call__(self, batch: Batch) -> jax.Array:
    """A log weight of each example, [1,B]."""
    codes = self.codes(batch, self.make_rng('noise'), 1)
    if self.penalty and self.penalty.players:
      self.penalty(drawn := Drawn(codes.q, codes.z), drawn, batch['row'], 0)
    return self.terms(codes, batch).log_weight

  def encoded(self, batch: Batch) -> jax.Array:
    """What the encoder says of images, and of their labels where the model is conditional."""
    x = batch['image']
    if self.conditional:
      x = jnp.concatenate([x, self.label_map(batch['label'], self.num_classes, x.shape[1:3])], axis=-1)
    return self.encoder(x, self.family.outputs(self.latent_dim))

  def posterior(self, batch: Batch):
    """q(z|x) of each example."""
    return self.family(self.encoded(batch), self.latent_dim)

  def prior_of_vectors(self, batch: Batch) -> tuple[Any, int | None]:
    """(p(z) of one z [D], None), or (p(z|y) of every row of `batch`, 0), the axis of rows."""
    p = self.prior(self.latent_dim, lambda images: self.posterior({'image': images}))
    if isinstance(self.prior, ClassMixturePrior):
      return jax.tree.map(lambda x: jnp.take(x, batch['label'], axis=0), p), 0
    return p, None

  def observation(self, z: jax.Array, batch: Batch, target: jax.Array | None = None):
    """p(x|z) for z [B,D], with the labels of `batch` where the model is conditional; `target` is x in training."""
    if self.conditional:
      z = jnp.concatenate([z, jax.nn.one_hot(batch['label'], self.num_classes)], axis=-1)
    height, width, channels = self.image_shape
    h = self.decoder(z, (height, width, channels * self.likelihood.outputs))
    return self.likelihood(h, target)

  def codes(self, batch: Batch, key: jax.Array, samples: int) -> Codes:
    """`samples` reparameterised z ~ q(z|x) for each example."""
    h = self.encoded(batch)
    q = self.family(jnp.tile(h, (samples, 1)), self.latent_dim)
    noise = sample_rows(standard_normal((len(h), samples, self.latent_dim)), key, batch['row'])
    return Codes(q, *q.draw(noise.swapaxes(0, 1).reshape(-1, self.latent_dim)))

  def terms(self, codes: Codes, batch: Batch, train: bool = False) -> Terms:
    """The terms of the importance weights."""
    x = batch['image']
    samples = len(codes.z) // len(x)
    by_sample = lambda a: a.reshape(samples, -1, *a.shape[1:])
    rows = {'label': jnp.tile(batch['label'], samples)} if self.conditional else {}
    p = self.observation(codes.z, rows, target=jnp.tile(x, (samples, 1, 1, 1)) if train else None)
    # vmap broadcasts x over the k samples instead of storing it k times
    log_p = jax.vmap(log_likelihood, (0, None))(jax.tree.map(by_sample, p), x)
    prior, axis = self.prior_of_vectors(rows)
    log_prior = sum_dims(jax.vmap(lambda prior, z: prior.log_prob(z), (axis, 0))(prior, codes.z))
    return Terms(log_p, by_sample(log_prior), by_sample(codes.log_q))

  def kl(self, codes: Codes, terms: Terms) -> tuple[jax.Array, bool]:
    """(KL(q || p) of each latent [B,D] and True where it has a closed form, else its estimate [B,1] and False)."""
    if isinstance(codes.q, Normal) and isinstance(self.prior, StandardNormal):
      p = standard_normal(codes.q.mu.shape[1:])
      return kl_divergence(codes.q, jax.tree.map(lambda x: x[None], p)), True
    return (terms.log_posterior - terms.log_prior).T, False

  def loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective above, averaged over the batch."""
    if self.samples > 1:
      return self.importance_weighted_loss(batch)
    codes = self.codes(batch, self.make_rng('noise'), 1)
    terms = self.terms(codes, batch, train=True)

    # 1. RECONSTRUCTION  E_q[-log p(x|z)], one sample
    reconstruction = -terms.log_likelihood.mean()

    # 2. LATENT  KL(q(z|x) || p(z)), held at the capacity C
    kl = self.kl(codes, terms)[0].sum(-1).mean()
    capacity = value_at(self.capacity, step)
    # |KL - C| takes the mean of the global batch, as it couples the examples
    loss = reconstruction + value_at(self.beta, step) * jnp.abs(jax.lax.pmean(kl, 'batch') - capacity)

    metrics = {'reconstruction': reconstruction, 'kl': kl, 'elbo': -reconstruction - kl}
    if not self.penalty:
      return loss, metrics

    # 3. AGGREGATE POSTERIOR  what q(z) is held to
    drawn = Drawn(codes.q, codes.z)
    penalty, found = self.penalty(drawn, gathered(drawn), batch['row'], step)
    return loss + penalty, metrics | found

  def discriminator_loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """That of a DensityRatio, of codes of a batch of its own."""
    key, permutation = jax.random.split(self.make_rng('noise'))
    codes = self.codes(batch, key, 1)
    drawn = Drawn(codes.q, codes.z)
    return self.penalty.loss(drawn, gathered(drawn), batch['row'], permutation)

  def importance_weighted_loss(self, batch: Batch) -> tuple[jax.Array, dict[str, jax.Array]]:
    """-log 1/k sum_j w_j, averaged over the batch."""
    codes = self.codes(batch, self.make_rng('noise'), self.samples)
    if self.dreg:
      codes = self.doubly_reparameterized(codes, batch)
    log_w = self.terms(codes, batch, train=True).log_weight
    bound = log_mean_exp(log_w).mean()
    return -bound, {'bound': bound, 'elbo': log_w.mean()}

  def doubly_reparameterized(self, codes: Codes, batch: Batch) -> Codes:
    """The same codes, with the encoder's gradient as sum_j w~_j^2 d log w_j / dz_j dz_j / dphi.

    The path of phi to log q(z|x) at a fixed z is cut, and what comes through z_j gets the normalised weight w~_j once
    more than log sum_j w_j gives it.
    """
    fixed = jax.lax.stop_gradient(codes)
    log_w = self.terms(fixed, batch).log_weight
    z = scale_gradient(codes.z, jax.nn.softmax(jax.lax.stop_gradient(log_w), axis=0).reshape(-1, 1))
    return codes._replace(z=z, log_q=sum_dims(fixed.q.log_prob(z)))

  def log_weights(self, batch: Batch, key: jax.Array, samples: int) -> jax.Array:
    """log p(x, z) - log q(z|x) at fresh z ~ q(z|x): [samples, B]."""
    return self.terms(self.codes(batch, key, samples), batch).log_weight

  def evaluate(self, batch: Batch) -> dict[str, jax.Array]:
    """Terms of the ELBO for each example [B], one sample of z; squared error from the mean code.

    `kl_dim` [B,D] where the KL has a closed form; `bound` of k samples where k > 1.
    """
    key = self.make_rng('noise')
    codes = self.codes(batch, key, 1)
    terms = self.terms(codes, batch)
    kl_dim, closed = self.kl(codes, terms)
    kl, log_p = kl_dim.sum(-1), terms.log_likelihood[0]
    elbo = log_p - kl
    found = {
      'elbo': elbo,
      'reconstruction': -log_p,
      'kl': kl,
      'squared_error': sum_dims((batch['image'] - self.reconstruct(batch)) ** 2),
    }
    if closed:
      found['kl_dim'] = kl_dim
    if self.samples > 1:
      found['bound'] = log_mean_exp(self.log_weights(batch, key, self.samples))
    bits = self.likelihood.bits_per_dim(elbo, batch['image'][0].size)
    return found if bits is None else found | {'bits_per_dim': bits}

  def encode(self, batch: Batch) -> jax.Array:
    """The mean code [B,D]."""
    return self.posterior(batch).mean

  def decode(self, z: jax.Array, batch: Batch) -> jax.Array:
    """E[x|z] for z [B,D] -> [B,H,W,C] in the model's range."""
    return self.observation(z, batch).mean

  def reconstruct(self, batch: Batch) -> jax.Array:
    """The image decoded from the mean code."""
    return self.decode(self.encode(batch), batch)

  def latents(self, batch: Batch) -> jax.Array:
    """z ~ p(z), [B,D]; what `sample` decodes."""
    prior, axis = self.prior_of_vectors(batch)
    keys = row_keys(self.make_rng('noise'), batch['row'])
    return jax.vmap(lambda prior, key: prior.sample(key), (axis, 0))(prior, keys)

  def sample(self, batch: Batch) -> jax.Array:
    """E[x|z] for z ~ p(z)."""
    return self.decode(self.latents(batch), batch)
