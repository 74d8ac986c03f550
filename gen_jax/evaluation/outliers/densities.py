"""From a few statistics of an image to a score: densities fitted to held-out images of the data set.

Each is `fit(statistics [V,S]) -> (statistics [N,S] -> scores [N])`. Held-out, as what a model was trained with looks
more usual to it than anything else, and then the rest of the data set would be outliers.
"""

from collections.abc import Callable

import numpy as np
import scipy.stats

Density = Callable[[np.ndarray], np.ndarray]
MIXED = 5  # Gaussians


def mahalanobis(fitted: np.ndarray) -> Density:
  """The squared Mahalanobis distance by their mean and covariance, -2 log of a Gaussian's density but a constant."""
  mean, covariance = fitted.mean(0), np.atleast_2d(np.cov(fitted, rowvar=False))
  scale = np.sqrt(np.diag(covariance))
  live = scale > 1e-6 * max(scale.max(), 1e-12)  # latents that never move say nothing
  inverse = np.linalg.pinv(covariance[np.ix_(live, live)], hermitian=True)
  return lambda values: np.einsum('ni,ij,nj->n', (values - mean)[:, live], inverse, (values - mean)[:, live])


def copula_tails(fitted: np.ndarray) -> Density:
  """COPOD: how far in the tails of the empirical distributions, summed over statistics (Li et al., 2020).

  The largest of sum_s -log P(X_s <= x_s), of sum_s -log P(X_s >= x_s), and of the sum of the one or the other by the
  sign of the skewness of X_s.
  """
  ordered, skewness = np.sort(fitted, axis=0), scipy.stats.skew(fitted, axis=0)
  number = len(fitted)

  def score(values: np.ndarray) -> np.ndarray:
    """Of statistics [N,S], [N]."""
    left = np.stack([np.searchsorted(o, v, 'right') for o, v in zip(ordered.T, values.T, strict=True)], 1)
    right = number - np.stack([np.searchsorted(o, v, 'left') for o, v in zip(ordered.T, values.T, strict=True)], 1)
    # what lies beyond all of them counts as half of one
    left, right = (-np.log(np.maximum(tail, 0.5) / number) for tail in (left, right))
    skewed = np.where(skewness[None] < 0, left, right)
    return np.max([left.sum(1), right.sum(1), skewed.sum(1)], axis=0)

  return score


def kernel_densities(fitted: np.ndarray) -> Density:
  """DoSE: minus the sum over statistics of the logarithms of their kernel densities (Morningstar et al., 2021)."""
  kernels = [scipy.stats.gaussian_kde(column) for column in fitted.T if np.ptp(column) > 0]
  columns = [s for s, column in enumerate(fitted.T) if np.ptp(column) > 0]

  def score(values: np.ndarray) -> np.ndarray:
    """Of statistics [N,S], [N]."""
    return -sum(log_density(kernel, values[:, s]) for kernel, s in zip(kernels, columns, strict=True))

  return score


def gaussian_mixture(fitted: np.ndarray) -> Density:
  """Minus the logarithm of a mixture of 5 Gaussians, of fewer where it has not 50 images for each; as DiffPath has it.

  Each statistic is in units of its deviation; one that never moves says nothing.
  """
  from sklearn.mixture import GaussianMixture  # slow to import

  mean, scale = fitted.mean(0), fitted.std(0)
  scaled = lambda values: ((values - mean) / np.where(scale > 0, scale, 1.0))[:, scale > 0]
  mixture = GaussianMixture(max(1, min(MIXED, len(fitted) // 50)), max_iter=1_000, random_state=0)
  mixture.fit(scaled(fitted))
  return lambda values: -mixture.score_samples(scaled(values))


def mean_deviation(fitted: np.ndarray) -> Density:
  """The mean over statistics of (s - mean s) / deviation of s, large for what is large (Graham et al., 2023)."""
  mean, scale = fitted.mean(0), fitted.std(0)
  return lambda values: ((values - mean) / np.maximum(scale, 1e-12)).mean(1)


def log_density(kernel: scipy.stats.gaussian_kde, values: np.ndarray) -> np.ndarray:
  """log of the kernel density; far outside, where that is 0 in floating point, of its nearest kernel alone."""
  centers, scale = np.sort(kernel.dataset[0]), np.sqrt(kernel.covariance[0, 0])
  place = np.clip(np.searchsorted(centers, values), 1, len(centers) - 1)
  distance = np.minimum(np.abs(values - centers[place - 1]), np.abs(values - centers[place]))
  of_nearest = scipy.stats.norm.logpdf(distance / scale) - np.log(scale * len(centers))
  with np.errstate(divide='ignore'):
    return np.maximum(np.log(kernel(values)), of_nearest)


def distance_from_mean(fitted: np.ndarray) -> Density:
  """|s - mean s| of a single statistic: for -log p(x), typicality (Nalisnick et al., 2019)."""
  mean = fitted.mean(0)
  return lambda values: np.abs(values - mean).sum(1)


def one_sided(fitted: np.ndarray) -> Density:
  """A single statistic as it is."""
  del fitted
  return lambda values: values.sum(1)
