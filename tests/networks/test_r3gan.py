"""The networks of R3GAN: filters, blocks that begin as the identity, the scale of a fresh network, sizes."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from facts import problems
from scipy.ndimage import convolve1d
from small import random_variables

from gen_jax.networks import R3Discriminator, R3Generator
from gen_jax.networks.r3gan import Block, downsample, upsample

Z = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)


def images(height, width, channels=2):
  return np.random.default_rng(1).normal(size=(3, height, width, channels)).astype(np.float32)


def filtered(x, weights):
  """Along both sides, with zeros beyond the ends."""
  for axis in (1, 2):
    x = convolve1d(x, weights, axis=axis, mode='constant')
  return x


def test_images_are_enlarged_by_the_filter():
  x = images(5, 4)
  spread = np.zeros((3, 10, 8, 2), np.float32)
  spread[:, ::2, ::2] = x
  np.testing.assert_allclose(upsample(x), filtered(spread, [0.5, 1, 0.5]), atol=1e-6)


@pytest.mark.parametrize(('height', 'width'), [(6, 4), (7, 5)])
def test_images_are_reduced_by_the_filter(height, width):
  x = images(height, width)
  expected = filtered(x, [0.25, 0.5, 0.25])[:, ::2, ::2]
  np.testing.assert_allclose(downsample(x), expected, atol=1e-6)


def test_the_two_are_transposes():
  x, y = images(4, 3), images(8, 6)
  np.testing.assert_allclose((upsample(x) * y).sum(), 4 * (x * downsample(y)).sum(), rtol=1e-4)


def test_a_block_begins_as_the_identity_and_all_of_it_learns():
  x, block = images(4, 4, 8), Block(0.5, depth=4)
  params = block.init(jax.random.key(0), x)['params']
  np.testing.assert_array_equal(block.apply({'params': params}, x), x)
  first = jax.grad(lambda params: (block.apply({'params': params}, x) ** 2).sum())(params)
  assert np.abs(first['Conv_2']['kernel']).max() > 0 and np.abs(first['Conv_0']['kernel']).max() == 0
  moved = {**params, 'Conv_2': {'kernel': params['Conv_2']['kernel'] + 0.1}}
  later = jax.grad(lambda params: (block.apply({'params': params}, x) ** 2).sum())(moved)
  assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(later))


def test_convolutions_begin_as_wide_as_the_depth_asks_for():
  params = Block(2.0, depth=16).init(jax.random.key(0), images(4, 4, 100))['params']
  for name, fan_in in (('Conv_0', 100), ('Conv_1', 9 * 200)):
    expected = (2 / 1.04 / fan_in / 4) ** 0.5  # sqrt(16) = 4
    assert np.std(params[name]['kernel']) == pytest.approx(expected, rel=0.03)


def test_groups_are_a_convolution_with_blocks_of_zeros():
  x, block = images(3, 3, 4), Block(1.0, depth=1, group=2)
  params = random_variables(lambda key: block.init(key, x))['params']
  kernel = params['Conv_1']['kernel']
  chex.assert_shape(kernel, (3, 3, 2, 4))
  whole = np.zeros((3, 3, 4, 4), np.float32)
  whole[:, :, :2, :2], whole[:, :, 2:, 2:] = kernel[..., :2], kernel[..., 2:]
  dense = {**params, 'Conv_1': {**params['Conv_1'], 'kernel': whole}}
  expected = Block(1.0, depth=1).apply({'params': dense}, x)
  np.testing.assert_allclose(block.apply({'params': params}, x), expected, atol=1e-4)


@pytest.mark.parametrize(('shape', 'patch'), [((8, 8, 1), 1), ((14, 12, 3), 2), ((7, 7, 1), 1)])
def test_images_of_any_size_that_patches_divide(shape, patch):
  generator, discriminator = R3Generator((8, 6, 4), patch=patch), R3Discriminator((4, 6, 8), patch=patch)
  variables = random_variables(lambda key: generator.init(key, Z, None, shape, True), scale=2.0)
  free, cut = (generator.apply(variables, Z, None, shape, train) for train in (True, False))
  chex.assert_shape([free, cut], (3, *shape))
  np.testing.assert_array_equal(cut, jnp.clip(free, -1, 1))
  assert np.abs(free).max() > 1
  by_tanh = generator.clone(output='tanh').apply(variables, Z, None, shape, True)
  np.testing.assert_allclose(by_tanh, np.tanh(free), atol=1e-6)
  features = discriminator.init_with_output(jax.random.key(0), free, True)[0]
  chex.assert_shape(features, (3, 8))


def test_an_image_is_judged_by_itself():
  x = images(8, 8)
  network = R3Discriminator((4, 8))
  variables = random_variables(lambda key: network.init(key, x, True))
  np.testing.assert_allclose(network.apply(variables, x, True)[:1], network.apply(variables, x[:1], True), atol=1e-4)


@pytest.mark.parametrize(
  ('network', 'changes', 'line'),
  [
    (R3Generator(()), {}, 'features=(): '),
    (R3Generator((8, 8), blocks=0), {}, 'blocks=0: must be above 0'),
    (R3Generator((8, 8), output='relu'), {}, "output='relu': choose one of linear, tanh"),
    (R3Discriminator((8, 8), patch=3), {}, 'patch=3: does not divide images of 8x8; set config.data.size, or patch=1'),
    (R3Discriminator((8, 10), hidden=2.0, group=8), {}, 'group=8: does not divide 20, hidden of 10 channels'),
  ],
)
def test_problems(network, changes, line):
  assert problems(network, **changes)[0].startswith(line)
