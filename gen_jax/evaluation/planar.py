"""Modes covered, Jensen-Shannon and Wasserstein distances: how well points follow a distribution of the plane."""

import math
from collections.abc import Iterator

import jax
import numpy as np

from gen_jax.data.sets.planar import Target, sample_classes
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import methods, needs, points_target
from gen_jax.evaluation.samples import draw_samples, labels_like_data
from gen_jax.evaluation.source import Source, collect
from gen_jax.gaussian_mixtures import GaussianMixture
from gen_jax.metrics import Metric, measures

BATCH = 1000
FRESH = 1_000  # the seed of a real sample that is no split
OUTLIERS = 0.001  # the share of real points of a class that count as such
LIMIT_POINTS = 100_000  # real points of each class, whose densities say which are so rare
DENSITY_BATCH = 4_096  # points whose densities are computed at a time


@measures({
  'modes_covered': Metric(
    'how many modes of the target have at least a fifth of their share of samples within 3 sigma', '', 'higher', True
  ),
  'modes': Metric('modes of the target', beside='modes_covered'),
  'high_quality': Metric('the share of samples within 3 sigma of a mode; .989 of the target itself', better='higher'),
  'jensen_shannon': Metric(
    'the Jensen-Shannon divergence of the histograms of samples and of data, 0 to log 2', 'nats', 'lower', True
  ),
  'wasserstein': Metric(
    'how far each sample must be moved, on average, so that all become the data; of 1,000 points', better='lower'
  ),
  'sliced_wasserstein': Metric(
    'the Wasserstein distance of the points projected on a line, averaged over lines', better='lower'
  ),
  'log_density': Metric(
    'the mean log density of samples in the distribution of their class; near that of the target, as samples that lie '
    'beside it have less, and those that crowd in its middle more', 'nats'
  ),
  'outliers': Metric(
    'the share of samples where their class is less dense than at 99.9 % of its own points; .001 of the target itself',
    '', 'lower'
  ),
  '{metric}_real': Metric('a fresh sample of the target'),
})
@needs(points_target, methods('sample'))
def points(model: BoundModel, source: Source) -> Iterator[tuple[str, float]]:
  """Distances of as many samples as the split has points; `_real`: of a fresh sample of the target, the least expected.

  Modes are those of a target that is a mixture; densities those of one whose classes are known, beside a conditional
  model. Wasserstein distances are NaN where a sample is not finite.
  """
  target = source.data.target
  columns = {'points': 'image'} | ({'labels': 'label'} if target.classes else {})
  split = collect(source.batches(), **columns)
  real, rng = split['points'].reshape(-1, 2), np.random.default_rng(FRESH)
  label = labels_like_data(model, source, len(real))
  samples = draw_samples(model, len(real), BATCH, label, source.first_row).reshape(-1, 2)
  fresh = sample_classes(target.classes, rng, split['labels']) if target.classes else target.sample(rng, len(real))
  if target.modes is not None:
    yield from modes_covered(samples, target.modes, target.sigma).items()
  for distance in (jensen_shannon, wasserstein, sliced_wasserstein):
    yield distance.__name__, distance(samples, real)
    yield f'{distance.__name__}_real', distance(fresh, real)
  if target.classes and label is not None:
    limits = outlier_limits(target)
    for suffix, x, y in (('', samples, label), ('_real', fresh, split['labels'])):
      yield f'log_density{suffix}', mean_log_density(x, y, target)
      yield f'outliers{suffix}', outlier_share(x, y, target, limits)


def mean_log_density(points: np.ndarray, labels: np.ndarray, target: Target) -> float:
  """The mean of log p(x|y) over points [N,2] of the classes `labels` [N], in nats; NaN where one is not finite."""
  return float(class_log_densities(points, labels, target).mean(dtype=np.float64))


def outlier_share(points: np.ndarray, labels: np.ndarray, target: Target, limits: np.ndarray) -> float:
  """The share of points [N,2] of the classes `labels` [N] at which log p(x|y) is below limits[y], or no number."""
  return float((~(class_log_densities(points, labels, target) >= limits[labels])).mean())


def outlier_limits(target: Target, quantile: float = OUTLIERS) -> np.ndarray:
  """The log density of each class below which lies the share `quantile` of its own points, [classes]: of a sample."""
  rng = np.random.default_rng(FRESH + 1)
  densities = [log_densities(part, part.sample(rng, LIMIT_POINTS)) for part in target.classes]
  return np.quantile(densities, quantile, axis=1)


def class_log_densities(points: np.ndarray, labels: np.ndarray, target: Target) -> np.ndarray:
  """log p(x|y) [N] of points [N,2] of the classes `labels` [N]."""
  of_classes = np.stack([log_densities(part, points) for part in target.classes])
  return of_classes[labels, np.arange(len(points))]


@jax.jit
def log_densities(mixture: GaussianMixture, points: np.ndarray) -> jax.Array:
  """log p(x) [N] of points [N,2], some at a time."""
  return jax.lax.map(lambda x: mixture.log_prob(x[None])[0], points, batch_size=DENSITY_BATCH)


def modes_covered(points: np.ndarray, modes: np.ndarray, sigma: float) -> dict[str, float]:
  """What points [N,2] make of K equal normals at `modes` [K,2], each point counted at its nearest one.

  modes_covered: how many have at least a fifth of their share, N / (5 K) points, within 3 sigma; modes: K;
  high_quality: the share of points within 3 sigma of a mode, which is 1 - exp(-9/2) = .989 of the mixture itself.
  """
  from scipy.spatial.distance import cdist  # slow to import

  distances = cdist(points, modes)  # [N,K]
  near = distances.argmin(axis=1)[distances.min(axis=1) <= 3 * sigma]
  counts = np.bincount(near, minlength=len(modes))
  covered = (counts * 5 * len(modes) >= len(points)).sum()
  return {
    'modes_covered': float(covered),
    'modes': float(len(modes)),
    'high_quality': len(near) / len(points),
  }


def jensen_shannon(points: np.ndarray, real: np.ndarray, bins: int = 40) -> float:
  """1/2 KL(p || m) + 1/2 KL(q || m), m = (p + q) / 2, of the histograms of [N,2] and [M,2]: in nats, 0 to log 2.

  Cells are bins x bins equal ones over the box that holds `real`, by a twentieth larger on each side, and one for all
  that lies outside. Two samples of one distribution over k cells are some (k - 1) (1/N + 1/M) / 8 apart.
  """
  from scipy.special import rel_entr  # slow to import

  margin = np.ptp(real, axis=0) / 20
  low, high = real.min(axis=0) - margin, real.max(axis=0) + margin
  p, q = (cell_shares(x, low, high, bins) for x in (points, real))
  m = (p + q) / 2
  return float((rel_entr(p, m) + rel_entr(q, m)).sum() / 2)


def cell_shares(points: np.ndarray, low: np.ndarray, high: np.ndarray, bins: int) -> np.ndarray:
  """The share of points [N,2] in each of bins x bins cells between `low` and `high`, and outside: [bins^2 + 1]."""
  inside = ((points >= low) & (points <= high)).all(axis=1)
  cells = np.minimum((points[inside] - low) / np.maximum(high - low, 1e-12) * bins, bins - 1).astype(int)
  counts = np.bincount(cells @ [bins, 1], minlength=bins**2)
  return np.append(counts, len(points) - len(cells)) / len(points)


def wasserstein(points: np.ndarray, real: np.ndarray, most: int = 1_000, pairs: int = 5) -> float:
  """W_1 = min over permutations s of 1/n sum_i |x_i - y_s(i)|, exact, for n points of each; NaN if not all are finite.

  n is the size of the smaller of [N,2] and [M,2], but at most `most`; where there are more, the mean over up to
  `pairs` disjoint pairs of such subsets, which are random but always the same. Samples of one distribution are apart as
  well, the less the larger n is, so W_1 means something only beside theirs.
  """
  from scipy.optimize import linear_sum_assignment  # slow to import
  from scipy.spatial.distance import cdist

  x, y = equal_size_subsets(points, real)
  if not np.isfinite([x, y]).all():
    return math.nan
  n, distances = min(len(x), most), []
  for start in range(0, min(len(x) // n, pairs) * n, n):
    costs = cdist(x[start : start + n], y[start : start + n])
    distances.append(costs[linear_sum_assignment(costs)].mean())
  return float(np.mean(distances))


def sliced_wasserstein(points: np.ndarray, real: np.ndarray, directions: int = 128, seed: int = 0) -> float:
  """The mean over random unit vectors u of W_1 between the points' projections on u (Rabin et al., 2011).

  All points, or as many of the larger of [N,2] and [M,2] as the smaller has. NaN where points are not finite.
  """
  x, y = equal_size_subsets(points, real)
  u = np.random.default_rng(seed).standard_normal((2, directions))
  u /= np.linalg.norm(u, axis=0)
  # on a line the best permutation pairs points in order
  return float(np.abs(np.sort(x @ u, axis=0) - np.sort(y @ u, axis=0)).mean())


def equal_size_subsets(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """As many rows of both as the smaller has, float64, in a random order that is always the same."""
  n, rng = min(len(x), len(y)), np.random.default_rng(0)
  return tuple(np.asarray(part, np.float64)[rng.permutation(len(part))[:n]] for part in (x, y))
