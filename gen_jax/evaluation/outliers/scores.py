"""Scores of outliers from what a trained model says of an image, see `statistics`."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from gen_jax.evaluation.memorization import nearest_neighbors
from gen_jax.evaluation.outliers.densities import (
  Density,
  copula_tails,
  distance_from_mean,
  gaussian_mixture,
  kernel_densities,
  mahalanobis,
  mean_deviation,
  one_sided,
)

NEIGHBORS = 5  # of training, to whose features the mean distance is
UNUSED = 0.02  # of the largest deviation: what varies less is left out

Statistics = Mapping[str, np.ndarray]
Score = Callable[[Statistics], np.ndarray]


class ModelScore(NamedTuple):
  """A density of some statistics, which is fitted to those of held-out images of the data set."""

  statistics: tuple[str, ...]
  fit: Callable[[np.ndarray], Density]  # of the statistics [V,S] side by side
  split: str = 'validation'  # whose images it is fitted to

  def of(self, fitted: Statistics) -> Score:
    """The score, fitted."""
    density = self.fit(self.columns(fitted))
    return lambda statistics: density(self.columns(statistics))

  def columns(self, statistics: Statistics) -> np.ndarray:
    """[N,S], a vector statistic as many columns."""
    return np.column_stack([np.asarray(statistics[name], np.float64) for name in self.statistics])


def negated(fitted: np.ndarray) -> Density:
  """A single statistic that is small for outliers."""
  del fitted
  return lambda values: -values.sum(1)


def difference(fitted: np.ndarray) -> Density:
  """The second statistic less the first."""
  del fitted
  return lambda values: values[:, 1] - values[:, 0]


def bits_beyond_compression(fitted: np.ndarray) -> Density:
  """S = -log2 p(x) - L(x), of log p(x) in nats and the L bits of a general compressor (Serra et al., 2020, eq. 1)."""
  del fitted
  return lambda values: -values[:, 0] / np.log(2) - values[:, 1]


def nearest_code(codes: np.ndarray) -> Density:
  """The distance to the nearest of the codes, each latent by its deviation."""
  return mean_distance(codes, lambda values: values / deviations(codes), 1)


def nearest_features(hidden: np.ndarray) -> Density:
  """The mean distance to the 5 nearest of the features, each by its deviation."""
  return mean_distance(hidden, lambda values: (values - hidden.mean(0)) / deviations(hidden), NEIGHBORS)


def nearest_directions(hidden: np.ndarray) -> Density:
  """The same of directions from the mean: features by their deviations, brought to length 1."""
  scaled = lambda values: (values - hidden.mean(0)) / deviations(hidden)
  return mean_distance(hidden, lambda values: unit(scaled(values)), NEIGHBORS)


def deviations(values: np.ndarray) -> np.ndarray:
  """The standard deviation of each column [S]; infinity where it is below .02 of the largest, as of unused latents."""
  scale = values.std(0)
  return np.where(scale > UNUSED * max(scale.max(), 1e-12), scale, np.inf)


def unit(vectors: np.ndarray) -> np.ndarray:
  """Vectors [N,S] of length 1."""
  return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def mean_distance(fitted: np.ndarray, prepare: Callable[[np.ndarray], np.ndarray], neighbors: int) -> Density:
  """The mean Euclidean distance to the nearest so many of `fitted`, [N], both prepared."""
  as_images = lambda values: prepare(values).astype(np.float32)[:, None, None]
  known = as_images(fitted)
  return lambda values: nearest_neighbors(as_images(values), known, neighbors)[1].mean(1)


MODEL_SCORES = {
  'reconstruction error': ModelScore(('residual',), one_sided),
  '-ELBO': ModelScore(('elbo',), negated),
  '-log p(x)': ModelScore(('log_p',), negated),
  'typicality': ModelScore(('log_p',), distance_from_mean),  # Nalisnick et al. (2019), of single images
  'complexity': ModelScore(('log_p', 'bits'), bits_beyond_compression),
  'likelihood ratio': ModelScore(('log_p', 'background_log_p'), difference),  # Ren et al. (2019)
  'Mahalanobis distance': ModelScore(('code',), mahalanobis),  # of the code
  'nearest code': ModelScore(('code',), nearest_code, 'train'),
  'nearest features': ModelScore(('hidden',), nearest_features, 'train'),
  'nearest directions': ModelScore(('hidden',), nearest_directions, 'train'),
  'LPath': ModelScore(('residual', 'code_norm', 'scale_norm'), copula_tails),  # Huang et al. (2024)
  'DoSE': ModelScore(('log_likelihood', 'kl', 'elbo', 'log_p', 'code_norm'), kernel_densities),
  'discriminator': ModelScore(('logit',), negated),
  'denoising errors': ModelScore(('denoising',), mean_deviation),
  'denoising profile': ModelScore(('denoising',), mahalanobis),
  'DiffPath': ModelScore(('path',), gaussian_mixture),  # Heng et al. (2024)
}


def available(statistics: Statistics) -> dict[str, ModelScore]:
  """The scores whose statistics there are."""
  return {name: score for name, score in MODEL_SCORES.items() if set(score.statistics) <= set(statistics)}
