"""Denoisers: shapes, what they begin as, what an image and its condition reach, and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from facts import problems
from flax import linen as nn
from small import random_variables

from gen_jax import networks
from gen_jax.networks.unet import Attention, GroupNorm, embed_noise, from_patches, to_patches

KEY, ROWS = jax.random.key(0), np.arange(3, dtype=np.int32)
NOISE, LABELS = np.array([-1.0, 0.0, 1.0], np.float32), np.array([0, 1, 2], np.int32)
UNETS = {
  'plain': networks.UNet((4, 8), blocks=1, num_classes=2),
  'odd': networks.UNet((4, 8), blocks=1, group=1, num_classes=2),
  'patches, attention': networks.UNet((4, 8), blocks=2, attention=(1,), patch=2, num_classes=2),
  'dropout': networks.UNet((4,), blocks=1, dropout=0.5, num_classes=2),
}


def images(size=8, seed=0):
  return np.random.default_rng(seed).normal(size=(3, size, size, 2)).astype(np.float32)


def drawn(network, x):
  """A function of the network with parameters that are all random."""
  variables = random_variables(lambda key: network.init(key, x, NOISE, LABELS, ROWS, False))
  return lambda *arguments: network.apply(variables, *arguments, rngs=KEY)


@pytest.mark.parametrize('name', UNETS)
def test_it_begins_at_zero_and_has_the_size_of_its_image(name):
  x = images(7 if name == 'odd' else 8)
  y, _ = UNETS[name].init_with_output(KEY, x, NOISE, LABELS, ROWS, True)
  assert y.shape == x.shape and y.dtype == jnp.float32 and not np.asarray(y).any()


@pytest.mark.parametrize('name', UNETS)
def test_an_image_depends_on_its_own_condition_and_on_no_other_image(name):
  x = images(7 if name == 'odd' else 8)
  apply = jax.jit(drawn(UNETS[name], x), static_argnums=4)
  whole = apply(x, NOISE, LABELS, ROWS, True)
  others = images(x.shape[1], seed=1)
  beside = apply(np.concatenate([others[:2], x[2:]]), NOISE, LABELS, ROWS, True)
  np.testing.assert_allclose(beside[2], whole[2], rtol=1e-3, atol=1e-3)
  for changed in ((x, NOISE + 0.3, LABELS, ROWS), (x, NOISE, LABELS[::-1], ROWS)):
    assert np.abs(apply(*changed, True)[0] - whole[0]).max() > 1e-2
  other_rows = np.abs(apply(x, NOISE, LABELS, ROWS + 5, True) - whole).max()
  assert (other_rows > 1e-2) == (name == 'dropout')
  assert np.abs(apply(x, NOISE, LABELS, ROWS + 5, False) - apply(x, NOISE, LABELS, ROWS, False)).max() == 0


def test_groups_and_heads_divide_any_width():
  x = np.random.default_rng(0).normal(size=(3, 4, 4, 120)).astype(np.float32)
  sixths = nn.GroupNorm(6, epsilon=1e-5, use_bias=False, use_scale=False)  # of 20 channels: 16 do not divide 120
  np.testing.assert_allclose(GroupNorm(16).apply({}, x), sixths.apply({}, x), atol=1e-4)
  wide = np.concatenate([x, x[..., :80]], -1)  # 200 channels: 2 heads, as 3 do not divide them
  assert Attention().init_with_output(KEY, wide)[0].shape == wide.shape
  network = networks.UNet((40, 80), blocks=1, num_classes=2)  # whose maps have 120 channels together
  y, _ = jax.eval_shape(lambda: network.init_with_output(KEY, images(), NOISE, LABELS, ROWS, False))
  assert y.shape == (3, 8, 8, 2)


def test_points_have_a_denoiser_of_their_own():
  network = networks.MLPDenoiser(hidden=8, blocks=2, num_classes=2)
  x = np.random.default_rng(0).normal(size=(3, 1, 1, 2)).astype(np.float32)
  assert not np.asarray(network.init_with_output(KEY, x, NOISE, None, ROWS, True)[0]).any()
  apply = drawn(network, x)
  whole = apply(x, NOISE, LABELS, ROWS, True)
  np.testing.assert_allclose(apply(x[:1], NOISE[:1], LABELS[:1], ROWS[:1], False), whole[:1], rtol=1e-4, atol=1e-4)
  assert np.abs(apply(x, NOISE + 0.3, LABELS, ROWS, True) - whole).max() > 1e-2


def test_patches_are_blocks_of_pixels():
  x = images()
  patches = to_patches(x, 4)
  np.testing.assert_array_equal(patches[1, 0, 1].reshape(4, 4, 2), x[1, :4, 4:])
  np.testing.assert_array_equal(from_patches(patches, 4), x)


def test_group_normalization_is_flaxs():
  x = 3 + 2 * np.random.default_rng(0).normal(size=(2, 5, 6, 12)).astype(np.float32)
  ours = GroupNorm(4).apply({}, x)
  flax = nn.GroupNorm(num_groups=3, epsilon=1e-5, use_bias=False, use_scale=False)
  np.testing.assert_allclose(ours, flax.apply({}, x), atol=2e-5)


def test_noise_levels_are_told_apart():
  """Neighbors of all levels have embeddings about as far apart, of a smooth function."""
  noise = np.linspace(-2, 2, 81, dtype=np.float32)
  h = np.asarray(embed_noise(noise, 32))
  steps = np.linalg.norm(np.diff(h, axis=0), axis=1)
  assert steps.min() > 0.2 and steps.max() < 1.5 * steps.min()


@pytest.mark.parametrize(('network', 'problem'), (
  (networks.UNet(()), 'features=()'),
  (networks.UNet((3,)), 'must be even'),
  (networks.UNet((4,), attention=(1,)), 'is no level'),
  (networks.UNet((4,), patch=3), 'does not divide images of 8x8'),
  (networks.MLPDenoiser(), 'choose UNet'),
))  # fmt: skip
def test_problems(network, problem):
  assert any(problem in line for line in problems(network))
