"""Networks from images to images, and discriminators of patches: sizes, what a unit sees, and what images share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax import networks
from gen_jax.networks.normalization import BatchNorm, InstanceNorm
from gen_jax.networks.patches import receptive_field
from gen_jax.networks.translators import drop_out
from gen_jax.networks.voices import NORMS

KEY, ROWS = jax.random.key(0), np.arange(3, dtype=np.int32)
TRANSLATORS = {
  'unet': networks.UNetTranslator((4, 8, 8), dropouts=2),
  'unet_resize': networks.UNetTranslator((4, 8), dropouts=0, upsampling='resize'),
  'resnet': networks.ResNetTranslator((4, 8, 8), blocks=1),
  'resnet_resize': networks.ResNetTranslator((4, 8), blocks=1, upsampling='resize'),
  'gated': networks.GatedTranslator((4, 8, 8), width=8, blocks=1, kernel=3, reach=5),
  'gated_frame': networks.GatedTranslator((4, 8), width=8, blocks=1, kernel=3, reach=5, norm='frame'),
}


def images(rows=3, height=16, width=16, channels=3, seed=0):
  return np.random.default_rng(seed).uniform(-1, 1, (rows, height, width, channels)).astype(np.float32)


@pytest.mark.parametrize('name', TRANSLATORS)
def test_translations_have_the_size_of_their_images_and_any_number_of_channels(name):
  network, x = TRANSLATORS[name], images(height=8, width=24, channels=1)
  y, _ = network.init_with_output(KEY, x, 5, ROWS)
  assert y.shape == (3, 8, 24, 5) and y.dtype == jnp.float32
  assert name.startswith('gated') or np.abs(y).max() <= 1


def test_tanh_can_be_left_out():
  for network in (TRANSLATORS['unet_resize'], TRANSLATORS['resnet']):
    variables, x = network.init(KEY, images(), 3, ROWS), images()
    free = network.clone(bounded=False).apply(variables, x, 3, ROWS)
    np.testing.assert_allclose(np.tanh(free), network.apply(variables, x, 3, ROWS), atol=1e-6)


def test_the_gated_translator_has_the_published_sizes():
  network = networks.GatedTranslator()  # 64 frames of 80 bands and their mask
  shapes = jax.eval_shape(lambda: network.init(KEY, jnp.zeros((1, 64, 80, 2)), 1, ROWS[:1]))['params']
  kernels = {name: layer['kernel'].shape for name, layer in shapes.items() if 'kernel' in layer}
  assert kernels['Conv_0'] == kernels['Conv_1'] == (15, 5, 2, 128)
  assert kernels['Conv_6'] == (1, 1, 5120, 256) and kernels['Conv_7'] == (3, 1, 256, 512)
  assert kernels['Conv_25'] == (1, 1, 256, 5120) and kernels['Conv_26'] == (5, 5, 256, 1024)
  assert kernels['Conv_27'] == (5, 5, 256, 512) and kernels['Conv_28'] == (15, 5, 128, 1) and len(kernels) == 29


def test_norms_of_the_gated_translator_tell_how_far_it_sees():
  x = images(1, height=64, width=8, channels=1)
  changed = x.copy()
  changed[:, 48:] = 2.0
  translated = {}
  for norm in NORMS:
    network = TRANSLATORS['gated_frame'].clone(norm=norm)
    variables = network.init(KEY, x, 1, ROWS[:1])
    translated[norm] = [network.apply(variables, each, 1, ROWS[:1]) for each in (x, changed, np.roll(x, 2, axis=1))]
    before, after, _ = translated[norm]
    assert np.abs(after - before).max() > 1e-2
    assert (np.abs(after - before)[:, :24].max() == 0) == (norm == 'frame')
  before, _, later = translated['frame']  # what is said later is translated as before, but later
  np.testing.assert_allclose(later[:, 26:50], before[:, 24:48], atol=1e-5)


def test_norms_of_frames_are_of_all_bands_and_channels_of_a_frame():
  x = images(height=5, width=4)
  y, variables = NORMS['frame']().init_with_output(KEY, x)
  mean, variance = x.mean((2, 3), keepdims=True), x.var((2, 3), keepdims=True)
  np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-5), atol=1e-5)
  assert jax.tree.map(jnp.shape, variables['params']) == {'bias': (3,), 'scale': (3,)}


@pytest.mark.parametrize('name', TRANSLATORS)
def test_a_translation_depends_on_its_image_and_row_alone(name):
  network, x = TRANSLATORS[name], images()
  variables = network.init(KEY, x, 3, ROWS)
  translate = lambda x, rows: network.apply(variables, x, 3, rows, rngs=KEY)
  whole = translate(x, ROWS)
  alone = translate(x[2:], ROWS[2:])
  np.testing.assert_allclose(alone, whole[2:], atol=1e-6)
  beside = translate(np.concatenate([images(2, seed=1), x[2:]]), ROWS)
  np.testing.assert_allclose(beside[2:], whole[2:], atol=1e-6)
  other_row = np.abs(translate(x[2:], ROWS[:1]) - whole[2:]).max()
  assert (other_row > 1e-3) == (name == 'unet')  # where there is dropout


def test_dropout_keeps_the_mean_and_is_of_the_row():
  x = np.ones((2, 40, 50, 4), np.float32)
  dropped = np.asarray(drop_out(x, 0.3, KEY, np.array([5, 6], np.int32)))
  assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / np.float32(0.7))}
  np.testing.assert_allclose(dropped.mean((1, 2, 3)), 1, atol=4 * (0.3 / 0.7 / 8000) ** 0.5)
  np.testing.assert_array_equal(drop_out(x[:1], 0.3, KEY, np.array([6], np.int32))[0], dropped[1])
  assert (dropped[0] != dropped[1]).any()


def test_instance_normalization_is_batch_normalization_of_one_image():
  x = images(height=5, width=4)
  y, variables = InstanceNorm(affine=True).init_with_output(KEY, x)
  batch_norm = BatchNorm(running=False)
  of_each = [batch_norm.init_with_output(KEY, x[i : i + 1], True)[0] for i in range(3)]
  np.testing.assert_allclose(y, np.concatenate(of_each), atol=1e-5)
  assert jax.tree.map(jnp.shape, variables['params']) == {'bias': (1, 1, 1, 3), 'scale': (1, 1, 1, 3)}
  assert not InstanceNorm().init(KEY, x)


@pytest.mark.parametrize(('halvings', 'field'), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_patch_is_what_gradients_reach(halvings, field):
  network = networks.PatchDiscriminator(1, halvings, norm='none')
  assert receptive_field(network.layers) == field
  size = 2 * field
  x = images(1, size, size, 1)
  # positive kernels, through which no path cancels another
  variables = jax.tree.map(lambda leaf: jnp.ones_like(leaf) / 4, network.init(KEY, x, False))
  logits = network.apply(variables, x, False)
  assert logits.shape == (1, network.patches(size), network.patches(size))
  middle = logits.shape[1] // 2
  gradient = jax.grad(lambda x: network.apply(variables, x, False)[0, middle, middle])(np.abs(x))
  for axis in (0, 1):
    seen = np.flatnonzero(np.asarray(gradient)[0, ..., 0].any(axis))
    assert len(seen) == seen[-1] - seen[0] + 1 == field


def test_fields_that_were_published():
  fields = [receptive_field(networks.PatchDiscriminator(halvings=n).layers) for n in range(1, 6)]
  assert fields == [16, 34, 70, 142, 286]
  assert receptive_field(networks.PatchDiscriminator(kernel=1, halvings=0).layers) == 1
  assert networks.PatchDiscriminator().patches(256) == 30


@pytest.mark.parametrize('norm', ['instance', 'spectral', 'none'])
def test_norms_of_patches(norm):
  network, x = networks.PatchDiscriminator(4, 2, norm=norm), images(height=24, width=32)
  variables = network.init(KEY, x, False)
  assert ('spectral' in variables) == (norm == 'spectral')
  assert network.apply(variables, x, True, mutable=['spectral'])[0].shape == (3, 4, 6)
  np.testing.assert_allclose(network.apply(variables, x[1:], False), network.apply(variables, x, False)[1:], atol=1e-5)


def test_points_are_moved_from_where_they_are():
  points = images(50, 1, 1, 2)
  network = networks.MLPTranslator((16, 16))
  y, _ = network.init_with_output(KEY, points, 2, np.arange(50))
  assert y.shape == points.shape and 0 < np.abs(y - points).max() < 0.1
  logits, _ = networks.PointDiscriminator((8,)).init_with_output(KEY, points, False)
  assert logits.shape == (50, 1, 1)
