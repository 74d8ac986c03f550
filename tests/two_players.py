"""A tiny model of two players for the tests of the step: critic steps, BatchNorm, a collection, a frozen group."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from gen_jax.distributions import sample_rows, standard_normal
from gen_jax.types import Player


class Net(nn.Module):
  """Dense, BatchNorm, dense."""

  outputs: int

  @nn.compact
  def __call__(self, x, train):
    x = nn.Dense(8, use_bias=False)(x)  # a bias before BatchNorm has no gradient: Adam would scale up its noise
    x = nn.BatchNorm(use_running_average=not train, momentum=0.9, axis_name='batch')(x)
    return nn.Dense(self.outputs)(jnp.tanh(x))


class Counter(nn.Module):
  """Counts its calls in an integer collection and keeps the mean of the last ones' inputs over all devices."""

  @nn.compact
  def __call__(self, x):
    calls = self.variable('count', 'calls', jnp.zeros, (), jnp.int32)
    seen = self.variable('pool', 'mean', jnp.zeros, (2,))
    if not self.is_initializing():
      calls.value += 1
      seen.value = 0.5 * seen.value + 0.5 * x.mean(0)


class TwoPlayers(nn.Module):
  """A Wasserstein-like GAN of 2-D points kept in 'image' [B,1,2,1]."""

  generator: nn.Module
  discriminator: nn.Module
  counter: nn.Module
  frozen: nn.Module
  critic_steps: int = 3

  @property
  def players(self):
    return {
      'discriminator': Player('discriminator_loss', ('discriminator', 'counter'), self.critic_steps),
      'generator': Player('generator_loss', ('generator',)),
    }

  def __call__(self, batch):
    fake = self.generate(batch, train=False)
    self.counter(fake)
    return self.discriminator(fake + self.frozen(fake), train=False)

  def generate(self, batch, train):
    z = sample_rows(standard_normal((batch['row'].shape[0], 4)), self.make_rng('noise'), batch['row'])
    return self.generator(z, train)

  def discriminator_loss(self, batch, step):
    real = batch['image'].reshape(-1, 2)
    fake = self.generate(batch, train=False)
    self.counter(real)
    scores = self.discriminator(jnp.concatenate([real, fake]), train=True)
    loss = scores[len(real) :].mean() - scores[: len(real)].mean() + (scores**2).mean()
    return loss, {'real': real.mean()}

  def generator_loss(self, batch, step):
    return -self.discriminator(self.generate(batch, train=True), train=False).mean(), {}


def two_players(**fields):
  """The model with networks of 2-D points."""
  return TwoPlayers(Net(2), Net(1), Counter(), nn.Dense(2), **fields)


def points(seed, updates, rows):
  """A raw batch: leaves [updates, rows, ...]."""
  image = np.random.default_rng(seed).normal(1.0, 0.3, (updates, rows, 1, 2, 1)).astype(np.float32)
  return {'image': image, 'row': np.broadcast_to(np.arange(rows, dtype=np.int32), (updates, rows))}
