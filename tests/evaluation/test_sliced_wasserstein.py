import math
import types

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
from sources import Repeats, digits_like_mnist, gray_source

from gen_jax.evaluation import sliced_wasserstein as module
from gen_jax.evaluation.sliced_wasserstein import (
  descriptors,
  laplacian,
  number_of_levels,
  pyramid_distances,
  sides_of_a_patch,
  sliced_distance,
  sliced_wasserstein,
  upsample,
)


def textures(count, seed, size=32):
  """Blobs and noise of three channels, uint8 [N,H,W,3]."""
  noise = np.random.default_rng(seed).standard_normal((2, count, size, size, 3))
  images = 128 + 300 * scipy.ndimage.gaussian_filter(noise[0], (0, 3, 3, 0), mode='wrap') + 6 * noise[1]
  return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def sets(count=200):
  return textures(count, 0), textures(count, 1)


@pytest.mark.parametrize(
  ('shape', 'levels'),
  [((128, 128), 4), ((32, 32), 2), ((64, 32), 2), ((48, 48), 2), ((100, 100), 3), ((28, 28), 1), ((33, 33), 1)]
  + [((16, 16), 1), ((64, 33), 1), ((7, 7), 1), ((62, 62), 2)],
)
def test_the_levels_add_up_to_the_image(shape, levels):
  assert number_of_levels(*shape) == levels
  images = np.random.default_rng(0).integers(0, 256, (2, *shape, 3)).astype(np.float32)
  whole = laplacian(images, levels - 1, levels)
  for level in reversed(range(levels - 1)):
    whole = laplacian(images, level, levels) + upsample(whole)
  np.testing.assert_allclose(whole, images, atol=1e-3)
  assert laplacian(images, levels - 1, levels).shape[1:3] == tuple(side >> (levels - 1) for side in shape)


def test_a_level_is_by_the_filter_published():
  image = np.random.default_rng(0).random((64, 32)).astype(np.float32)
  kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
  down = scipy.ndimage.convolve(image, kernel, mode='mirror')[::2, ::2]
  spread = np.zeros_like(image)
  spread[::2, ::2] = down
  up = scipy.ndimage.convolve(spread, 4 * kernel, mode='mirror')
  for level, wanted in ((0, image - up), (1, down)):
    np.testing.assert_allclose(laplacian(image[None, :, :, None], level, 2)[0, :, :, 0], wanted, atol=1e-6)


def test_patches_are_squares_of_the_image_anywhere_and_standardized(monkeypatch):
  numbers = np.arange(144).reshape(12, 12).astype(np.uint8)  # each pixel says where it is
  images = np.tile(np.stack([numbers, 255 - numbers], -1), (5, 1, 1, 1))
  rows = descriptors(images, 0, 1, 0)
  assert rows.shape == (5 * 128, 2 * 49) and rows.dtype == np.float32
  patches = rows.reshape(-1, 2, 49)
  np.testing.assert_allclose(patches.mean((0, 2)), 0, atol=1e-5)
  np.testing.assert_allclose(patches.std((0, 2)), 1, rtol=1e-5)
  np.testing.assert_allclose(patches[:, 1], -patches[:, 0], atol=1e-5)
  pixel = patches[0, 0, 1] - patches[0, 0, 0]  # a step of one number
  inside = (np.arange(7)[:, None] * 12 + np.arange(7)[None]).ravel()
  np.testing.assert_allclose((patches[:, 0] - patches[:, 0, :1]) / pixel, np.tile(inside, (640, 1)), atol=1e-2)
  corner = np.rint((patches[:, 0, 0] - patches[:, 0, 0].min()) / pixel).astype(int)
  assert set(corner) == {12 * row + column for row in range(6) for column in range(6)}
  counts = np.bincount(corner // 12 * 6 + corner % 12, minlength=36)
  assert scipy.stats.chisquare(counts).pvalue > 0.001
  assert not np.array_equal(descriptors(images, 0, 1, 1), rows)
  monkeypatch.setattr(module, 'IMAGES_AT_ONCE', 2)
  np.testing.assert_array_equal(descriptors(images, 0, 1, 0), rows)


def test_on_a_line_it_is_the_wasserstein_distance():
  noise = np.random.default_rng(0)
  a, b = noise.standard_normal((500, 1)), 1 + noise.gamma(2, size=(500, 1))
  wanted = scipy.stats.wasserstein_distance(a[:, 0], b[:, 0])
  assert sliced_distance(*np.float32([a, b])) == pytest.approx(wanted, rel=1e-5)


def test_a_shift_by_v_is_a_distance_of_the_mean_length_of_v_on_a_line():
  a, v = np.random.default_rng(0).standard_normal((2, 300, 20)).astype(np.float32)
  b = np.random.default_rng(1).permutation(a) + v[:1]
  on_a_line = math.gamma(10) / (math.sqrt(math.pi) * math.gamma(10.5))  # E|u_1| of a random unit vector u of 20
  assert sliced_distance(a, b) == pytest.approx(np.linalg.norm(v[0]) * on_a_line, rel=0.1)  # of 512 u: .033
  assert sliced_distance(a, b) == pytest.approx(sliced_distance(b, a), rel=1e-6)
  assert sliced_distance(3 * a, 3 * b) == pytest.approx(3 * sliced_distance(a, b), rel=1e-5)


def test_the_same_patches_are_at_0_and_halves_of_one_set_at_what_their_number_leaves():
  a, b = sets()
  assert sliced_distance(*[descriptors(a, 0, 2, 0)] * 2) == 0
  halves, quarters = pyramid_distances(a, b), pyramid_distances(a[:50], b[:50])
  assert list(halves) == [32, 16]
  for level in (32, 16):
    # an empirical distribution of N images is N^-1/2 from its own: half as far for four times as many
    assert quarters[level] / halves[level] == pytest.approx(2, rel=0.15)


def test_blur_and_noise_are_seen_where_they_are():
  a, b = sets()
  least = pyramid_distances(a, b)
  blurred = [
    pyramid_distances(np.rint(scipy.ndimage.gaussian_filter(a.astype(float), (0, s, s, 0))).astype(np.uint8), b)
    for s in (0.4, 0.6, 1)
  ]
  noise = np.random.default_rng(2).standard_normal(a.shape)
  noisy = [pyramid_distances(np.clip(np.rint(a + s * noise), 0, 255).astype(np.uint8), b) for s in (10, 20, 40)]
  for worse in (blurred, noisy):
    finest = [least[32], *(distances[32] for distances in worse)]
    assert finest == sorted(finest) and finest[-1] > 3 * finest[0]
    assert worse[-1][16] < 1.2 * least[16]  # the coarse level knows little of detail
    assert worse[0][16] == pytest.approx(least[16], rel=0.01)


def test_contrast_and_color_of_each_channel_are_not_seen():
  a, b = (x // 3 for x in sets(50))
  changed = (a * np.array([1, 2, 3]) + np.array([9, 40, 0])).astype(np.uint8)
  for level in range(2):
    np.testing.assert_allclose(descriptors(changed, level, 2, 0), descriptors(a, level, 2, 0), atol=2e-4)
  assert pyramid_distances(changed, b) == pytest.approx(pyramid_distances(a, b), rel=1e-3)
  np.testing.assert_array_equal(descriptors(np.full_like(a, 77), 0, 2, 0), 0)  # no contrast, and no NaN


def digits_of_32(split):
  return np.pad(digits_like_mnist(split)[0], [(0, 0), (2, 2), (2, 2), (0, 0)])


def measured(model, train, test, **given):
  return dict(sliced_wasserstein(model, gray_source(train, test, **given)))


def test_samples_stand_beside_as_many_training_images():
  train, test = digits_of_32('train'), digits_of_32('test')
  results = measured(Repeats(test), train, test, sample_count=150)
  names = [f'sliced_wasserstein{level}{of}' for of in ('', '_unseen') for level in ('_32', '_16', '')]
  assert list(results) == [*names, 'sliced_wasserstein_protocol']
  for of in ('', '_unseen'):
    levels = [results[f'sliced_wasserstein_{level}{of}'] for level in (32, 16)]
    assert results[f'sliced_wasserstein{of}'] == pytest.approx(np.mean(levels))
  assert results['sliced_wasserstein'] == pytest.approx(results['sliced_wasserstein_unseen'], rel=0.5)
  assert results['sliced_wasserstein_protocol'] == (
    '150 samples (rows from 0) beside as many training images at random, 150 images of the split beside as many, not '
    'binary; 128 patches an image, 4x128 directions; seed 0'
  )
  in_range = measured(Repeats(test, (-1.0, 1.0)), train, test, value_range=(-1.0, 1.0), sample_count=150)
  assert in_range == results
  blurred = measured(Repeats(scipy.ndimage.gaussian_filter(test, (0, 1, 1, 0))), train, test, sample_count=150)
  assert blurred['sliced_wasserstein_32'] > 4 * blurred['sliced_wasserstein_32_unseen']
  few = measured(Repeats(test), train[:60], test[:20], sample_count=150)['sliced_wasserstein_protocol']
  assert few.startswith('60 samples') and '20 images of the split beside as many' in few


@pytest.mark.parametrize(('shape', 'fits'), [((7, 7, 1), True), ((32, 6, 3), False), ((6, 32, 3), False)])
def test_images_smaller_than_a_patch_are_refused(shape, fits):
  problem = sides_of_a_patch(None, types.SimpleNamespace(name='icons', shapes={'image': shape}))
  wanted = f'needs images of at least 7x7 pixels, a patch; these of icons have {shape[0]}x{shape[1]}'
  assert problem == (None if fits else wanted)
