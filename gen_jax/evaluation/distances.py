"""FID, KID, precision, recall, density and coverage: distances of two sets of images by their features [N,d]."""

import math
from collections.abc import Iterator

import numpy as np

from gen_jax.errors import UserError, show

CHUNK_BYTES = 2**26  # of a matrix of distances
# two rows whose squared distance is less than this share of their squared norms are the same row: a network's float32
# outputs for one image in two batches, or the cancellation in |a|^2 + |b|^2 - 2 a.b
SAME = 1e-10


def finite_features(features: np.ndarray, least: int = 2) -> np.ndarray:
  """Features as float64 [N,d]. UserError where they are no matrix, not finite, or of fewer than `least` rows."""
  features = np.asarray(features, np.float64)
  if features.ndim != 2 or not features.shape[1]:
    raise UserError(f'features must have the shape [N, d]; these have {list(features.shape)}')
  if len(features) < least:
    raise UserError(f'{len(features)} rows of features are too few: at least {least} are needed')
  if not np.isfinite(features).all():
    raise UserError(f'features must be finite; {np.sum(~np.isfinite(features).all(1))} of {len(features)} rows are not')
  return features


def finite_pair(a: np.ndarray, b: np.ndarray, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
  """Both as `finite_features`, of one width."""
  a, b = finite_features(a, least), finite_features(b, least)
  if a.shape[1] != b.shape[1]:
    raise UserError(f'features must be of one width; these are of {a.shape[1]} and {b.shape[1]}')
  return a, b


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
  """The Frechet distance of the Gaussians with the moments of a [N,d] and of b [M,d] (Heusel et al., 2017).

  Its bias falls with N and M, so that distances compare at the same numbers alone.
  """
  a, b = finite_pair(a, b)
  return frechet_from_moments(*moments(a), *moments(b))


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The mean [d] and the unbiased covariance [d,d] of features [N,d]; a line says where it is singular, N <= d."""
  features = finite_features(features)
  if len(features) <= features.shape[1]:
    show(f'the covariance of {len(features)} rows of {features.shape[1]} features is singular: give more rows')
  mean = features.mean(0)
  centered = features - mean  # first: the difference of large second moments would lose the digits of the covariance
  return mean, centered.T @ centered / (len(features) - 1)


def frechet_from_moments(m_a: np.ndarray, s_a: np.ndarray, m_b: np.ndarray, s_b: np.ndarray) -> float:
  """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a^.5 S_b S_a^.5)^.5), of means [d] and covariances [d,d]."""
  values, vectors = np.linalg.eigh(s_a)
  root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
  # symmetric, so that it has real roots even where S_a and S_b are singular, as S_a S_b has not
  spectrum = np.clip(np.linalg.eigvalsh(root @ s_b @ root), 0, None)
  distance = np.sum((m_a - m_b) ** 2) + np.trace(s_a) + np.trace(s_b) - 2 * np.sqrt(spectrum).sum()
  return max(0.0, float(distance))


def kernel_distance(
  a: np.ndarray, b: np.ndarray, subsets: int = 100, size: int = 1000, seed: int = 0, scaled: bool = True
) -> dict[str, float]:
  """The unbiased MMD^2 of a [N,d] and b [M,d] with the kernel (x.y / d + 1)^3 (Binkowski et al., 2018).

  kernel_distance: its mean over `subsets` of `size` rows of each, or half of the rows if those are fewer.
  kernel_distance_stderr: of that mean.

  `scaled`: both are first scaled so that E|y|^2 = d on b, as the cubes of features of another scale drown in their
  noise. Published values, of Inception's features, are not scaled.
  """
  if min(subsets, size) < 2:
    raise UserError(f'subsets={subsets}, size={size}: both must be at least 2')
  a, b = finite_pair(a, b, least=4)
  rows, width = min(len(a), len(b)), a.shape[1]
  size, noise = min(size, rows // 2), np.random.default_rng(seed)
  norm = np.mean(np.sum(b**2, axis=1))
  if not norm > 0:
    raise UserError('the features of the reference are all 0')
  if scaled:
    scale = math.sqrt(width / norm)
    a, b = scale * a, scale * b
  random_rows = lambda x: x[noise.choice(len(x), size, replace=False)]
  estimates = [mmd2(random_rows(a), random_rows(b)) for _ in range(subsets)]
  independent = min(subsets, rows / size)  # of subsets that overlap, no more than are disjoint tell something new
  return {
    'kernel_distance': float(np.mean(estimates)),
    'kernel_distance_stderr': float(np.std(estimates, ddof=1) / math.sqrt(independent)),
  }


def mmd2(x: np.ndarray, y: np.ndarray) -> float:
  """The unbiased estimate of MMD^2 of x [n,d] and y [n,d], k(x, y) = (x.y / d + 1)^3 (Gretton et al., 2012, eq. 3)."""

  def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    k = x @ y.T / x.shape[1] + 1
    return k * k * k  # five times as fast as k**3

  def within(x: np.ndarray) -> float:
    k = kernel(x, x)
    return (k.sum() - np.trace(k)) / (len(x) * (len(x) - 1))

  return float(within(x) + within(y) - 2 * kernel(x, y).mean())


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> dict[str, float]:
  """How real fakes are, and how much of the real they reach, by balls up to the k-th nearest of one's own set.

  real [N,d], fake [M,d]; B(x) is the ball around a row to its k-th nearest neighbor among the other rows of its set.

  precision: of the fakes in some B(real); recall: of the real in some B(fake) (Kynkaanniemi et al., 2019).
  density: the number of B(real) that a fake lies in, by k; coverage: of B(real) with a fake in (Naeem et al., 2020).
  """
  real, fake = finite_pair(real, fake, least=k + 1)
  real, fake = real - real.mean(0), fake - real.mean(0)  # distances stay, and lose fewer digits
  real_radius, fake_radius = radii(real, k), radii(fake, k)
  inside = np.zeros(len(fake))  # in how many B(real) each fake lies
  covered, reached = [], []  # [N]: whether B(real) has a fake, whether the real lies in some B(fake)
  for start, distances in squared_distances(real, fake):
    of_real = distances <= real_radius[start : start + len(distances), None]
    inside += of_real.sum(0)
    covered.append(of_real.any(1))
    reached.append((distances <= fake_radius).any(1))
  return {
    'precision': float((inside > 0).mean()),
    'recall': float(np.concatenate(reached).mean()),
    'density': float(inside.mean() / k),
    'coverage': float(np.concatenate(covered).mean()),
  }


def radii(features: np.ndarray, k: int) -> np.ndarray:
  """The squared distance [N] of each row to its k-th nearest among the others."""
  parts = []
  for start, distances in squared_distances(features, features):
    rows = np.arange(len(distances))
    distances[rows, start + rows] = np.inf
    parts.append(np.partition(distances, k - 1, axis=1)[:, k - 1])
  return np.concatenate(parts)


def squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
  """|a_i - b_j|^2 [n,M] of n rows of a [N,d] at a time, from the row that stands beside them; equal rows are at 0."""
  norms = np.sum(b**2, axis=1)
  rows = max(1, CHUNK_BYTES // (8 * len(b)))
  for start in range(0, len(a), rows):
    part = a[start : start + rows]
    most = np.sum(part**2, axis=1)[:, None] + norms
    distances = most - 2 * part @ b.T
    distances[distances < SAME * most] = 0
    yield start, distances
