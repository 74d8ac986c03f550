"""Two GANs as games, with the networks of the benchmark."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.distributions import sample_rows, standard_normal
from gen_jax.networks.layers import Conv, ConvTranspose
from gen_jax.types import Batch, Player

Loss = tuple[jax.Array, dict[str, jax.Array]]


class GAN(nn.Module):
  """min_D E[softplus(-D(x))] + E[softplus(D(G(z)))], min_G E[softplus(-D(G(z)))] (Goodfellow et al., 2014)."""

  generator: nn.Module  # z [B,Z] -> [B,H,W,C]
  discriminator: nn.Module  # [B,H,W,C] -> [B,1]
  latent_dim: int

  players = {
    'discriminator': Player('discriminator_loss', ('discriminator',)),
    'generator': Player('generator_loss', ('generator',)),
  }

  def __call__(self, batch: Batch) -> jax.Array:
    return self.discriminator(self.sample(batch))

  def sample(self, batch: Batch) -> jax.Array:
    prior = standard_normal((batch['row'].shape[0], self.latent_dim))
    return self.generator(sample_rows(prior, self.make_rng('noise'), batch['row']))

  def discriminator_loss(self, batch: Batch, step: jax.Array) -> Loss:
    # apart, as each of the two has batch statistics of its own
    real, fake = self.discriminator(batch['image']), self.discriminator(self.sample(batch))
    loss = jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean()
    return loss, {'real': real.mean(), 'fake': fake.mean()}

  def generator_loss(self, batch: Batch, step: jax.Array) -> Loss:
    return jax.nn.softplus(-self.discriminator(self.sample(batch))).mean(), {}


def leaky(x: jax.Array) -> jax.Array:
  return jax.nn.leaky_relu(x, 0.2)


def batch_norm(x: jax.Array) -> jax.Array:
  """In a compact method: by the statistics of the global batch."""
  return nn.BatchNorm(use_running_average=False, momentum=0.9, axis_name='batch')(x)


class PointGenerator(nn.Module):
  """[B,Z] -> points of the plane, [B,1,1,2]."""

  @nn.compact
  def __call__(self, z: jax.Array) -> jax.Array:
    for _ in range(3):
      z = jax.nn.relu(nn.Dense(128)(z))
    return nn.Dense(2)(z).reshape(-1, 1, 1, 2)


class PointDiscriminator(nn.Module):
  """Points [B,1,1,2] -> [B,1]."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = x.reshape(-1, 2)
    for _ in range(3):
      x = leaky(nn.Dense(128)(x))
    return nn.Dense(1)(x)


class ImageGenerator(nn.Module):
  """[B,Z] -> [B,32,32,3] in [-1, 1] (Radford et al., 2016)."""

  @nn.compact
  def __call__(self, z: jax.Array) -> jax.Array:
    x = nn.Dense(4 * 4 * 256, use_bias=False)(z).reshape(-1, 4, 4, 256)
    for features in (128, 64):
      x = ConvTranspose(features, 4, strides=2, use_bias=False)(jax.nn.relu(batch_norm(x)))
    return jnp.tanh(ConvTranspose(3, 4, strides=2)(jax.nn.relu(batch_norm(x))))


class ImageDiscriminator(nn.Module):
  """[B,32,32,3] -> [B,1]."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = leaky(Conv(64, 4, strides=2)(x))
    for features in (128, 256):
      x = leaky(batch_norm(Conv(features, 4, strides=2, use_bias=False)(x)))
    return nn.Dense(1)(x.reshape(x.shape[0], -1))
