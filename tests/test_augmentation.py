"""Differentiable augmentations: what each keeps and moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax.augmentation import AUGMENTATIONS, augment

IMAGE = np.random.default_rng(0).uniform(-1, 1, (16, 16, 3)).astype(np.float32)


def drawn(name, count=400):
  keys = jax.random.split(jax.random.key(0), count)
  return np.asarray(jax.jit(jax.vmap(AUGMENTATIONS[name], (None, 0)))(IMAGE, keys))


def test_brightness_adds_one_number():
  results = drawn('brightness') - IMAGE[None]
  offsets = results.mean((1, 2, 3))
  np.testing.assert_allclose(results, np.broadcast_to(offsets[:, None, None, None], results.shape), atol=1e-5)
  assert -0.5 <= offsets.min() < -0.45 and 0.45 < offsets.max() <= 0.5 and abs(offsets.mean()) < 0.06


@pytest.mark.parametrize(('name', 'axes', 'low', 'high'), [('saturation', -1, 0, 2), ('contrast', None, 0.5, 1.5)])
def test_saturation_and_contrast_scale_about_a_mean(name, axes, low, high):
  results = drawn(name)
  mean = IMAGE.mean(axes, keepdims=True) if axes else IMAGE.mean()
  scales = ((results - mean) * (IMAGE - mean)[None]).sum((1, 2, 3)) / ((IMAGE - mean) ** 2).sum()
  expected = mean + (IMAGE - mean) * scales[:, None, None, None]
  np.testing.assert_allclose(results, expected, atol=1e-5)
  assert low <= scales.min() < low + 0.05 and high - 0.05 < scales.max() <= high


def test_translation_moves_by_an_eighth_and_zeros_come_in():
  seen = set()
  for moved in drawn('translation'):
    matches = []
    for y in range(-2, 3):
      for x in range(-2, 3):
        expected = np.zeros((20, 20, 3), np.float32)
        expected[2 - y : 18 - y, 2 - x : 18 - x] = IMAGE
        matches += [(y, x)] if np.array_equal(expected[2:18, 2:18], moved) else []
    assert len(matches) == 1
    seen.add(matches[0])
  assert len(seen) == 25


def test_cutout_takes_a_square_of_half_the_side():
  areas = []
  for cut in drawn('cutout'):
    out = (cut == 0).all(-1)
    np.testing.assert_array_equal(cut[~out], IMAGE[~out])
    rows, columns = np.flatnonzero(out.any(1)), np.flatnonzero(out.any(0))
    assert out[np.ix_(rows, columns)].all() and max(len(rows), len(columns)) <= 8
    areas.append(out.sum())
  assert max(areas) == 64 and min(areas) == 16  # a quarter of it is inside where its center is a corner


def test_noise_is_that_of_the_row_and_gradients_pass():
  images, rows, names = jnp.array([IMAGE] * 6), jnp.arange(6), tuple(AUGMENTATIONS)
  key = jax.random.key(1)
  whole = augment(images, names, key, rows)
  parts = [augment(images[i : i + 2], names, key, rows[i : i + 2]) for i in (0, 2, 4)]
  np.testing.assert_allclose(whole, jnp.concatenate(parts), atol=1e-6)
  assert np.abs(np.diff(whole, axis=0)).max(axis=(1, 2, 3)).min() > 0.01
  gradient = jax.grad(lambda x: augment(x, ('translation', 'contrast'), key, rows).sum())(images)
  assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
  np.testing.assert_array_equal(augment(images, (), key, rows), images)
