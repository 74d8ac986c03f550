import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import sklearn.metrics

from gen_jax.errors import UserError
from gen_jax.evaluation.translation import segmenter
from gen_jax.evaluation.translation.baselines import BASELINES, color_moments, fit_baselines, transport
from gen_jax.evaluation.translation.errors import cycle_error, l1, psnr, ssim, true_map_errors
from gen_jax.evaluation.translation.segmentation import (
  confusion,
  confusions,
  score_intervals,
  segmentation_scores,
)
from gen_jax.evaluation.translation.segmenter import train_segmenter
from gen_jax.evaluation.translation.statistics import mean_interval

RNG = np.random.default_rng(0)


def images(*shape):
  return RNG.integers(0, 256, shape).astype(np.uint8)


# Errors


X, NOISE = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 20, 3))
OTHERS = {'noise': NOISE, 'mixed': (3 * X + NOISE) // 4, 'dark': X // 2}
SCIKIT_IMAGE = {  # 0.26: structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False), PSNR
  'noise': ((-0.014578162, -0.012897496, 0.025186057), (7.571215583, 7.727447161, 7.733290838)),
  'mixed': ((0.919185643, 0.91473783, 0.929345612), (19.605806709, 19.759965517, 19.767839434)),
  'dark': ((0.640074528, 0.64019248, 0.639764691), (10.555570172, 10.636043683, 10.655627115)),
}


@pytest.mark.parametrize('kind', OTHERS)
def test_ssim_and_psnr_are_those_of_scikit_image(kind):
  x, y = X.astype(np.uint8), OTHERS[kind].astype(np.uint8)
  similarities, ratios = SCIKIT_IMAGE[kind]
  np.testing.assert_allclose(ssim(x, y), similarities, atol=1e-8)
  np.testing.assert_allclose(ssim(y, x), similarities, atol=1e-8)
  np.testing.assert_allclose(psnr(x, y), ratios, rtol=1e-8)


def test_errors_of_constants_have_closed_forms():
  dark, bright = np.full((2, 12, 12, 1), 50, np.uint8), np.full((2, 12, 12, 1), 200, np.uint8)
  c1 = 2.55**2
  np.testing.assert_allclose(ssim(dark, bright), (2 * 50 * 200 + c1) / (50**2 + 200**2 + c1))
  np.testing.assert_allclose(l1(dark, bright), 150 / 127.5)
  np.testing.assert_allclose(l1(np.zeros_like(dark), np.full_like(dark, 255)), 2)
  np.testing.assert_allclose(psnr(dark, bright), 20 * np.log10(255 / 150))


def test_identical_images_have_the_best_of_each():
  x = images(2, 12, 14, 3)
  nearly = x ^ (np.arange(x[0].size) == 7).reshape(x.shape[1:]).astype(np.uint8)  # one value by 1
  np.testing.assert_allclose(ssim(x, x), 1)
  np.testing.assert_array_equal(l1(x, x), 0)
  np.testing.assert_allclose(psnr(x, x), 10 * np.log10(255**2 * 12 * 14 * 3))
  np.testing.assert_allclose(psnr(nearly, x), psnr(x, x))


@pytest.mark.parametrize('metric', [l1, psnr, ssim])
def test_images_that_cannot_be_compared_are_refused(metric):
  with pytest.raises(UserError, match='cannot be compared'):
    metric(images(2, 12, 12, 3), images(2, 12, 12, 1))
  with pytest.raises(UserError, match='cannot be compared'):
    metric(images(0, 12, 12, 3), images(0, 12, 12, 3))


def test_ssim_needs_a_whole_window():
  with pytest.raises(UserError, match='11x11 pixels at least, not 10x12'):
    ssim(images(2, 10, 12, 3), images(2, 10, 12, 3))


def test_an_inverse_closes_the_cycle_and_the_true_map_has_no_error():
  x, invert = images(3, 8, 8, 1), lambda x: 255 - x
  np.testing.assert_array_equal(cycle_error(x, invert, invert), 0)
  np.testing.assert_allclose(cycle_error(x, invert, lambda x: x), l1(255 - x, x))
  of_translation, of_images = true_map_errors(x, 255 - x, invert)
  np.testing.assert_array_equal(of_translation, 0)
  np.testing.assert_allclose(of_images, np.abs(2 * (x / 127.5 - 1)).mean((1, 2, 3)))  # |x - (-x)| of x in [-1, 1]


# Baselines


def gaussian_images(mean, covariance, number=8):
  colors = np.random.default_rng(1).multivariate_normal(mean, covariance, (number, 16, 16))
  return np.clip(np.round(colors), 0, 255).astype(np.uint8)


COVARIANCE_A = np.array([[400, 150, 60], [150, 300, -50], [60, -50, 200.0]])
COVARIANCE_B = np.array([[200, -80, 30], [-80, 500, 100], [30, 100, 250.0]])
A, B = gaussian_images((120, 130, 110), COVARIANCE_A), gaussian_images((130, 110, 140), COVARIANCE_B)
ONE_HOT = np.eye(5, dtype=np.uint8)[np.arange(6 * 8 * 8).reshape(6, 8, 8) % 4]  # of whose classes the last is absent
PHOTOS = images(6, 8, 8, 3)


def test_moments_are_those_of_numpy():
  mean, covariance = color_moments(A)
  np.testing.assert_allclose(mean, A.reshape(-1, 3).mean(0))
  np.testing.assert_allclose(covariance, np.cov(A.reshape(-1, 3), rowvar=False, bias=True))


def test_the_transport_is_the_symmetric_map_of_one_covariance_to_another():
  t = transport(COVARIANCE_A, COVARIANCE_B)
  np.testing.assert_allclose(t @ COVARIANCE_A @ t, COVARIANCE_B)
  np.testing.assert_allclose(t, t.T)
  assert (np.linalg.eigvalsh(t) > 0).all()
  # what it costs is the squared Frechet distance of the centered Gaussians
  gone = t - np.eye(3)
  root = scipy.linalg.sqrtm(COVARIANCE_A @ COVARIANCE_B)
  expected = np.trace(COVARIANCE_A + COVARIANCE_B - 2 * root.real)
  np.testing.assert_allclose(np.trace(gone @ COVARIANCE_A @ gone), expected)


def test_colors_are_brought_to_the_moments_of_b():
  mean, covariance = color_moments(B)
  moved_mean, moved_covariance = color_moments(BASELINES['color covariance transfer'](A, B)(A))
  np.testing.assert_allclose(moved_mean, mean, atol=0.1)
  np.testing.assert_allclose(moved_covariance, covariance, atol=2)  # gray values are rounded
  moved_mean, moved_covariance = color_moments(BASELINES['color transfer'](A, B)(A))
  np.testing.assert_allclose(moved_mean, mean, atol=0.1)
  np.testing.assert_allclose(np.diag(moved_covariance), np.diag(covariance), atol=2)
  np.testing.assert_allclose(np.corrcoef(A.reshape(-1, 3).T)[0, 1], 150 / (400 * 300) ** 0.5, atol=0.03)  # stays
  scale = np.sqrt(np.diag(moved_covariance))
  np.testing.assert_allclose((moved_covariance / np.outer(scale, scale))[0, 1], 150 / (400 * 300) ** 0.5, atol=0.03)


@pytest.mark.parametrize('name', ['color transfer', 'color covariance transfer'])
def test_colors_that_do_not_vary_are_brought_to_the_mean(name):
  gray = np.repeat(images(4, 6, 6, 1), 3, axis=-1)
  same = BASELINES[name](gray, gray)(gray)
  np.testing.assert_array_equal(same, gray)
  constant = np.full((2, 6, 6, 3), 7, np.uint8)
  expected = np.broadcast_to(np.round(B.mean((0, 1, 2))).astype(np.uint8), constant.shape)
  np.testing.assert_array_equal(BASELINES[name](constant, B)(constant), expected)


def test_the_identity_repeats_gray_and_takes_the_luma_of_rgb():
  gray, red = images(2, 8, 8, 1), np.zeros((2, 8, 8, 3), np.uint8)
  red[..., 0] = 255
  identity = BASELINES['identity']
  np.testing.assert_array_equal(identity(gray, red)(gray), np.repeat(gray, 3, axis=-1))
  assert (identity(red, gray)(red) == 76).all()  # 299/1000 of red
  assert identity(red, red)(red) is red
  with pytest.raises(UserError, match='images of 5 channels have no counterpart among those of 3'):
    identity(ONE_HOT, PHOTOS)


def test_the_mean_and_the_nearest_images():
  assert (BASELINES['mean of B'](A, PHOTOS)(A)[5] == np.round(PHOTOS.mean(0)).astype(np.uint8)).all()
  others = images(6, 8, 8, 3)
  moved = np.clip(PHOTOS[::-1].astype(int) + 2, 0, 255).astype(np.uint8)
  np.testing.assert_array_equal(BASELINES['nearest in B'](others, PHOTOS)(moved), PHOTOS[::-1])
  np.testing.assert_array_equal(BASELINES['translation of nearest'](PHOTOS, others)(moved), others[::-1])
  np.testing.assert_array_equal(BASELINES['translation of nearest'](ONE_HOT[:2], PHOTOS[:2])(ONE_HOT[:1]), PHOTOS[:1])


def test_colors_of_classes_by_hand():
  a, b = ONE_HOT[:, :, :6].copy(), PHOTOS[:, :, :6]
  a[:, 0] = np.eye(5, dtype=np.uint8)[0]  # the first row is of class 0 alone
  labels = a.argmax(-1)
  of_class = {k: b[labels == k].mean(0) for k in range(4)} | {4: b.mean((0, 1, 2))}
  of_row = {(k, r): b[:, r][labels[:, r] == k] for k in range(5) for r in range(8)}
  seen = np.eye(5, dtype=np.uint8)[np.broadcast_to(np.arange(5), (1, 8, 5))] * 255
  by_class, by_row = (BASELINES[name](a, b)(seen)[0] for name in ('color of class', 'color of class and row'))
  assert by_class.dtype == by_row.dtype == np.uint8
  for r in range(8):
    for k in range(5):
      np.testing.assert_array_equal(by_class[r, k], np.round(of_class[k]))
      expected = of_row[k, r].mean(0) if len(of_row[k, r]) else of_class[k]
      np.testing.assert_array_equal(by_row[r, k], np.round(expected))


def test_those_that_apply_are_fitted():
  everywhere = {'identity', 'mean of B', 'nearest in B', 'color transfer', 'color covariance transfer'}
  assert set(fit_baselines(A, B, paired=False)) == everywhere
  assert set(fit_baselines(A, B, paired=True)) == everywhere | {'translation of nearest'}
  of_labels = {'mean of B', 'translation of nearest', 'color of class', 'color of class and row'}
  assert set(fit_baselines(ONE_HOT, PHOTOS, paired=True, maps=(True, False))) == of_labels
  assert set(fit_baselines(PHOTOS, ONE_HOT, paired=True, maps=(False, True))) == {'translation of nearest'}
  assert set(fit_baselines(A[..., :1], B, paired=False)) == {'identity', 'mean of B'}
  with pytest.raises(UserError, match='6 images of A and 5 of B are no pairs'):
    BASELINES['translation of nearest'](PHOTOS, PHOTOS[:5])
  with pytest.raises(UserError, match='A is no label map'):
    BASELINES['color of class'](PHOTOS, PHOTOS)


# Label maps


def test_the_scores_are_those_of_scikit_learn():
  truth, prediction = RNG.integers(0, 4, (2, 5, 6, 7))
  truth[0, :3] = 255  # no class
  known = truth != 255
  counts = confusion(truth, prediction, 4)
  y, p = truth[known], prediction[known]
  np.testing.assert_array_equal(counts, sklearn.metrics.confusion_matrix(y, p, labels=range(4)))
  np.testing.assert_array_equal(confusions(truth, prediction, 4)[1], confusion(truth[1:2], prediction[1:2], 4))
  scores = segmentation_scores(counts)
  np.testing.assert_allclose(scores['pixel_accuracy'], sklearn.metrics.accuracy_score(y, p))
  np.testing.assert_allclose(scores['class_accuracy'], sklearn.metrics.balanced_accuracy_score(y, p))
  np.testing.assert_allclose(scores['iou'], sklearn.metrics.jaccard_score(y, p, average='macro'))


def test_classes_that_do_not_occur_count_as_nothing():
  truth = np.array([[[0, 0], [1, -1]]])
  scores = segmentation_scores(confusion(truth, np.array([[[0, 0], [1, 2]]]), 4))  # all that has a class is right
  assert scores['pixel_accuracy'] == pytest.approx(1)
  assert scores['class_accuracy'] == scores['iou'] == pytest.approx(2 / 4)


def test_maps_that_cannot_be_compared_are_refused():
  with pytest.raises(UserError, match='cannot be compared'):
    confusion(np.zeros((1, 4, 4), int), np.zeros((1, 8, 8), int), 2)
  with pytest.raises(UserError, match='predicted classes are 0 to 2, not within 0 to 1'):
    confusion(np.zeros((1, 1, 2), int), np.array([[[0, 2]]]), 2)


def test_the_bootstrap_interval_of_pixel_accuracy_is_that_of_the_mean():
  # of images with equally many pixels, where the central limit holds
  shares = RNG.integers(20, 81, 400)
  counts = np.zeros((400, 2, 2), np.int64)
  counts[:, 0, 0], counts[:, 0, 1] = shares, 100 - shares
  value, low, high = score_intervals(counts)['pixel_accuracy']
  mean, mean_low, mean_high = mean_interval(shares / 100)
  assert value == pytest.approx(mean)
  np.testing.assert_allclose([low - value, high - value], [mean_low - mean, mean_high - mean], rtol=0.1)
  assert score_intervals(counts) == score_intervals(counts)
  assert score_intervals(counts, seed=1) != score_intervals(counts)


def test_the_interval_of_a_mean_is_that_of_scipy():
  values = RNG.normal(size=30)
  value, low, high = mean_interval(values)
  expected = scipy.stats.t.interval(0.95, 29, values.mean(), scipy.stats.sem(values))
  np.testing.assert_allclose([value, low, high], [values.mean(), *expected])
  for few in ([1.0], [1.0, np.inf]):
    with pytest.raises(UserError, match='two images at least, all of them finite'):
      mean_interval(np.array(few))


# The segmenter


def striped(number, seed):
  """Photos whose classes are their colors, dark red, green, bright red, with noise, and the maps of them."""
  rng = np.random.default_rng(seed)
  maps = np.repeat(np.repeat(rng.integers(0, 3, (number, 4, 2)), 4, axis=1), 8, axis=2)
  colors = np.array([[80, 0, 0], [0, 160, 0], [240, 0, 0]])[maps]
  return np.clip(colors + rng.normal(0, 20, colors.shape), 0, 255).astype(np.uint8), maps


def test_a_segmenter_learns_classes_that_are_colors():
  photos, maps = striped(48, 0)
  partly = maps.copy()
  partly[:, :2] = 255
  predict = train_segmenter(photos, partly, *striped(16, 1), classes=3, epochs=6)
  test_photos, test_maps = striped(16, 2)
  found = predict(test_photos)
  assert found.shape == test_maps.shape and found.dtype == np.int32
  assert (found == test_maps).mean() > 0.9  # a third by chance
  again = train_segmenter(photos, partly, *striped(16, 1), classes=3, epochs=6)
  np.testing.assert_array_equal(again(test_photos), found)
  np.testing.assert_array_equal(predict(test_photos[:3]), found[:3])
  with pytest.raises(UserError, match='multiples of 8, not 16 of 16x12'):
    predict(test_photos[:, :, :12])


def test_photos_and_maps_are_flipped_and_moved_alike():
  maps = np.arange(4 * 16 * 16).reshape(4, 16, 16)
  moved, labels = segmenter.augment(jax.random.key(0), jnp.asarray(maps[..., None]), jnp.asarray(maps))
  known = np.asarray(labels) != segmenter.IGNORED
  np.testing.assert_array_equal(moved[..., 0][known], labels[known])
  assert 0.7 < known.mean() < 1
  assert len({int(x) for x in np.sign(np.diff(labels[:, 8, 7:9]))[:, 0]}) == 2  # some mirrored, some not


def test_the_cross_entropy_is_of_pixels_that_have_a_class():
  logits, maps = RNG.normal(size=(2, 3, 3, 4)), RNG.integers(-1, 4, (2, 3, 3))
  loss, count = segmenter.cross_entropy(jnp.asarray(logits), jnp.asarray(maps))
  known = maps >= 0
  assert count == known.sum()
  expected = sklearn.metrics.log_loss(maps[known], np.asarray(nn.softmax(logits))[known], labels=range(4))
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_photos_that_cannot_be_segmented_are_refused():
  photos, maps = striped(2, 0)
  with pytest.raises(UserError, match='not of the shape of their photos'):
    train_segmenter(photos, maps[:, :8], photos, maps, classes=3)
  with pytest.raises(UserError, match='multiples of 8, not 2 of 12x16'):
    train_segmenter(photos[:, :12], maps[:, :12], photos, maps, classes=3)
