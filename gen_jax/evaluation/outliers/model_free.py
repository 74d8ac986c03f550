"""Scores of outliers that need no model: what a count of gray pixels, or a nearest neighbor, gets.

A score is fitted to images of the data set, uint8 [N,H,W,C], and then judges others of their shape: `fit(images) ->
(images -> [M])`. Simple statistics are two-sided: what deviates from the median of the data set in either direction is
an outlier, as nobody knows beforehand on which side outliers lie.
"""

import zlib
from collections.abc import Callable

import numpy as np

from gen_jax.evaluation.memorization import nearest_neighbors

Score = Callable[[np.ndarray], np.ndarray]
COMPONENTS = 64
MOST_VALUES = 4_096  # of an image whose covariances are computed
RIDGE = 0.01  # added to the covariance of pixels in [0, 1]
MOST_NEIGHBORS = 10_000  # training images among which the nearest is sought


def distance_from_median(statistic: Score) -> Callable[[np.ndarray], Score]:
  """|s - median s of the data set| of a statistic s."""

  def fit(images: np.ndarray) -> Score:
    median = np.median(statistic(images))
    return lambda others: np.abs(statistic(others) - median)

  return fit


def gray_pixels(images: np.ndarray) -> np.ndarray:
  """The share of values from 21 to 234, neither dark nor bright."""
  return ((images > 20) & (images < 235)).mean((1, 2, 3))


def zero_pixels(images: np.ndarray) -> np.ndarray:
  """The share of values that are 0."""
  return (images == 0).mean((1, 2, 3))


def brightness(images: np.ndarray) -> np.ndarray:
  """The mean gray value."""
  return images.mean((1, 2, 3))


def total_variation(images: np.ndarray) -> np.ndarray:
  """The mean difference of neighboring pixels, down and to the right."""
  x = images.astype(np.float32)
  return np.abs(np.diff(x, axis=1)).mean((1, 2, 3)) + np.abs(np.diff(x, axis=2)).mean((1, 2, 3))


def compressed_size(images: np.ndarray) -> np.ndarray:
  """The bytes that zlib at level 9 makes of an image."""
  return np.array([len(zlib.compress(image.tobytes(), 9)) for image in images], np.float64)


def principal_components(images: np.ndarray) -> Score:
  """The squared error of an image in the span of the data set's first principal components, 64 or half of them."""
  from sklearn.decomposition import PCA  # slow to import

  x = unit_vectors(images)
  pca = PCA(min(COMPONENTS, min(x.shape) // 2), svd_solver='covariance_eigh').fit(x)
  error = lambda y: ((y - pca.inverse_transform(pca.transform(y))) ** 2).sum(1)
  return lambda others: error(unit_vectors(others))


def full_gaussian(images: np.ndarray) -> Score:
  """The squared Mahalanobis distance by the mean and the covariance of the data set's pixels, plus .01 I."""
  x = unit_vectors(images)
  mean, covariance = x.mean(0), np.cov(x, rowvar=False) + RIDGE * np.eye(x.shape[1])
  root = np.linalg.cholesky(np.linalg.inv(covariance))
  return lambda others: (((unit_vectors(others) - mean) @ root) ** 2).sum(1)


def nearest_image(images: np.ndarray) -> Score:
  """The distance in pixels to the nearest of the data set's images, of 10,000 at random where there are more."""
  kept = np.random.default_rng(0).permutation(len(images))[:MOST_NEIGHBORS]
  training = images[np.sort(kept)]
  return lambda others: nearest_neighbors(others, training)[1][:, 0] / 255


def unit_vectors(images: np.ndarray) -> np.ndarray:
  """Gray values as vectors in [0, 1], float32 [N,H W C]."""
  return images.reshape(len(images), -1).astype(np.float32) / 255


MODEL_FREE: dict[str, Callable[[np.ndarray], Score]] = {
  'gray pixels': distance_from_median(gray_pixels),
  'zero pixels': distance_from_median(zero_pixels),
  'brightness': distance_from_median(brightness),
  'total variation': distance_from_median(total_variation),
  'compressed size': distance_from_median(compressed_size),
  'principal components': principal_components,
  'full Gaussian': full_gaussian,
  'nearest image': nearest_image,
}
OF_COVARIANCES = ('principal components', 'full Gaussian')  # of all pairs of values of an image
