"""The rows of the benchmarks, and our side's steps."""

import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import ours, rows
from gen_jax.diffusion.samplers import evaluations
from gen_jax.training import loop


def dense(*sizes):
  return sum(i * o + o for i, o in itertools.pairwise(sizes))


def convs(*channels):
  """4x4 kernels with biases."""
  return sum(16 * i * o + o for i, o in itertools.pairwise(channels))


BETA_VAE = convs(1, 32, 32, 64, 64) + dense(1024, 256, 20) + dense(10, 256, 1024) + convs(64, 64, 32, 32, 1)
# without biases before batch normalization, which has two numbers a channel
DCGAN_G = 100 * 4096 + 2 * 256 + 16 * 256 * 128 + 2 * 128 + 16 * 128 * 64 + 2 * 64 + convs(64, 3)
DCGAN_D = convs(3, 64) + 16 * 64 * 128 + 2 * 128 + 16 * 128 * 256 + 2 * 256 + dense(4096, 1)
WIDE = 9 * 64 * 64  # a 3x3 kernel of SNGAN's
SNGAN_G = dense(128, 1024) + 3 * (2 * 2 * 64 + 2 * WIDE + 64 * 64) + 2 * 64 + 9 * 64 * 3 + 3
SNGAN_D = 9 * 3 * 64 + 64 + WIDE + 64 + dense(3, 64) + 2 * (WIDE + 64) + dense(64, 64) + 4 * (WIDE + 64) + dense(64, 1)


def unet(*widths):
  """The generator of pix2pix of RGB: two numbers a channel for each normalization, in the place of a bias."""
  last = len(widths) - 1
  down = [16 * i * o + (2 * o if 0 < k < last else o) for k, (i, o) in enumerate(itertools.pairwise((3, *widths)))]
  inputs, outputs = (widths[-1], *(2 * width for width in widths[-2::-1])), (*widths[-2::-1], 3)
  up = [16 * i * o + (o if k == last else 2 * o) for k, (i, o) in enumerate(zip(inputs, outputs, strict=True))]
  return sum(down) + sum(up)


def patches(channels, width):
  """The middle layers have no bias before their normalization."""
  return convs(channels, width) + 16 * (width * 2 * width + 2 * width * 4 * width) + convs(4 * width, 1)


def residual_translator(width, blocks):
  """Of RGB, without biases but for the last layer."""
  halves = 2 * 9 * (width * 2 * width + 2 * width * 4 * width)  # there, and back
  return 2 * 49 * 3 * width + 3 + halves + blocks * 2 * 9 * (4 * width) ** 2


def noisy_block(inputs, outputs, condition=256):
  """Without a bias in its first convolution, as one comes from the condition."""
  shortcut = 0 if inputs == outputs else dense(inputs, outputs)
  return 9 * (inputs + outputs) * outputs + outputs + dense(condition, 2 * outputs) + shortcut


def small_unet(patch, a, b):
  """One block a level of widths a and b, two in the middle, two a level on the way back; ten labels and none."""
  condition = dense(256, 256, 256) + 11 * 256
  blocks = ((a, a), (b, b), (b, b), (b, b), (2 * b, b), (2 * b, b), (b + a, a), (2 * a, a))
  conv = lambda i, o: 9 * i * o + o
  convolutions = conv(patch, a) + conv(a, b) + conv(b, b) + conv(a, patch)
  return condition + convolutions + sum(noisy_block(i, o) for i, o in blocks)


def gated_translator(features, width, blocks, kernel, reach, bands):
  """Of one channel: a gate is as large as what it gates, and two numbers a channel stand in the place of a bias."""
  area, flat = kernel**2, features[-1] * bands // 2 ** (len(features) - 1)
  outer = lambda i, o: reach * kernel * i * o + o
  down = sum(2 * (area * i * o + 2 * o) for i, o in itertools.pairwise(features))
  up = sum(4 * area * i * o + 2 * o for i, o in itertools.pairwise(features[::-1]))
  block = 3 * (2 * width * 2 * width + 2 * width * width) + 2 * (2 * 2 * width + width)
  middle = 2 * width * flat + 2 * (width + flat) + blocks * block
  return 2 * outer(1, features[0]) + down + middle + up + outer(features[0], 1)


CYCLEGAN = 2 * (residual_translator(32, 6) + patches(3, 32))
PARAMETERS = {
  'beta_vae_64': BETA_VAE,
  'beta_vae_256': BETA_VAE,
  'mlp_vae': dense(784, 512, 40) + dense(20, 512, 784),
  'gan_2d': dense(2, 128, 128, 128, 2) + dense(2, 128, 128, 128, 1),
  'dcgan_32': DCGAN_G + DCGAN_D,
  'sngan_32': SNGAN_G + SNGAN_D,
  'pix2pix_64': unet(32, 64, 128, 256, 256, 256) + patches(6, 32),
  'pix2pix_128': unet(32, 64, 128, 256, 256, 256, 256) + patches(6, 32),
  'cyclegan_64': CYCLEGAN,
  'cyclegan_128': CYCLEGAN,
  'voices': 2 * (gated_translator((16, 32, 32), 128, 3, 3, 5, 24) + convs(1, 32, 64, 128, 1)),
  'diffusion': small_unet(4, 64, 128),
  'diffusion_sampling': small_unet(4, 64, 128),
}


SLOW = dict.fromkeys(
  ('sngan_32', 'pix2pix_128', 'cyclegan_64', 'cyclegan_128', 'voices'), pytest.mark.slow
)  # to compile


@pytest.mark.parametrize(
  'name', [pytest.param(name, marks=SLOW.get(name, ())) for name in rows.ROWS if name not in rows.SAMPLED]
)
def test_a_row_has_its_parameters_and_takes_a_step(name):
  task = rows.task(name, short=True)
  assert task.config.batch_size == 4
  training = ours.Training(task)
  assert training.parameters == PARAMETERS[name]
  metrics = {metric: np.asarray(values)[0] for metric, values in training.window(1).items()}
  assert np.isfinite(list(metrics.values())).all()
  assert all(metrics[f'{player}/grad_norm'] > 0 for player in task.model.players)
  assert training.state.step == 1


def test_samples_are_drawn():
  """A fresh network is 0, so D = c_skip x, and the ODE dx / dsigma = x sigma / (sigma^2 + sigma_data^2).

  Its solution brings N(0, sigma_max^2) to the deviation of the data up to a factor near 1; the range cuts off tails.
  """
  task = rows.task('diffusion_sampling', short=True)
  assert evaluations(task.config.sampler.name, task.config.sampler.steps) == 35
  sampling = ours.Sampling(task)
  assert sampling.parameters == PARAMETERS['diffusion_sampling']
  sampled = sampling.window(2)
  deviation = 1 / math.sqrt(3)
  drawn = np.random.default_rng(0).normal(0, deviation, 100_000)
  np.testing.assert_allclose(sampled['deviation'], [np.clip(drawn, -1, 1).std()] * 2, rtol=0.05)
  np.testing.assert_allclose(sampled['mean'], 0, atol=0.05)
  assert 0 < sampling.run(0.01, 1.0) < 60_000


@pytest.mark.parametrize('name', ['mlp_vae', 'gan.py:mnist'])
def test_the_precision_reaches_the_networks(name):
  of = lambda task: getattr(task.model, 'encoder', None) or task.model.generator
  assert of(rows.task(name)).dtype == jnp.float32
  assert of(rows.task(name, 'bfloat16')).dtype == jnp.bfloat16


SHAPES = {  # as the model sees the images: MNIST's and CIFAR's, digits as large, dSprites
  'beta_vae.py:paper': (64, 64, 1),
  **dict.fromkeys(rows.DIGITS, (28, 28, 1)),
  **dict.fromkeys(('sngan.py:paper', 'wgan_gp.py:paper', 'conditional_gan.py:paper'), (32, 32, 1)),
  'gan.py:paper': (64, 64, 1),
  'pixelcnn.py:paper': (32, 32, 3),
}


@pytest.mark.parametrize('name', [*rows.EXPERIMENTS, *rows.PAPERS])
def test_an_experiment_has_data_of_its_shape(name):
  task = rows.task(name)
  assert task.model.image_shape == SHAPES[name]
  if name.startswith('conditional'):
    assert task.model.num_classes == 10
  assert loop.shapes_of_state(task).params  # it can be traced on them
  short = rows.task(name, short=True)
  assert short.config.batch_size == 4 and short.config.steps == 20


def test_rounding_is_seen(monkeypatch):
  assert ours.rounding() == {'products': 'float32', 'convolutions': 'float32'}
  convolve, to_ten_bits = ours.convolve, lambda x: x.astype(jnp.float16).astype(jnp.float32)
  monkeypatch.setattr(ours, 'convolve', lambda x, *others: convolve(to_ten_bits(x), *others))
  assert ours.rounding() == {'products': 'float32', 'convolutions': 'TF32'}
