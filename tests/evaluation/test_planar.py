import functools
import itertools
import math
import types

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist, jensenshannon
from sources import KnownSource

from gen_jax.data.batches import evaluation_batches
from gen_jax.data.dataset import from_arrays
from gen_jax.data.sets import planar
from gen_jax.evaluation import planar as evaluators
from gen_jax.evaluation.planar import (
  jensen_shannon,
  mean_log_density,
  modes_covered,
  outlier_limits,
  outlier_share,
  points,
  sliced_wasserstein,
  wasserstein,
)
from gen_jax.gaussian_mixtures import from_covariances

TREE = planar.TARGETS['tree']
MODES = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def normal(n, seed=0):
  return np.random.default_rng(seed).normal(size=(n, 2))


@pytest.mark.parametrize('name', ['ring', 'grid'])
def test_the_mixture_covers_its_modes_with_the_quality_of_three_sigma(name):
  target = planar.TARGETS[name]
  results = modes_covered(target.sample(np.random.default_rng(0), 20_000), target.modes, target.sigma)
  assert results['modes_covered'] == results['modes'] == len(target.modes)
  inside = stats.chi2(2).cdf(9)
  assert inside == pytest.approx(1 - math.exp(-9 / 2))
  assert abs(results['high_quality'] - inside) < 5 * math.sqrt(inside * (1 - inside) / 20_000)


def test_a_collapsed_sample_covers_one_mode():
  assert modes_covered(np.tile(MODES[2], (50, 1)), MODES, 0.1) == {
    'modes_covered': 1.0, 'modes': 4.0, 'high_quality': 1.0,
  }  # fmt: skip


def test_a_mode_counts_from_a_fifth_of_its_share():
  for few, covered in ((5, 2.0), (4, 1.0)):  # a share is 25 of 100
    points = np.repeat(MODES[:2], (100 - few, few), axis=0)
    assert modes_covered(points, MODES, 0.1)['modes_covered'] == covered


def test_what_lies_beyond_three_sigma_counts_for_no_mode():
  points = np.concatenate([MODES[:1] + [0.299, 0], MODES[1:2] + [0.301, 0], [[np.nan, 0.0]], [[1e9, 0.0]]])
  assert modes_covered(points, MODES, 0.1) == {'modes_covered': 1.0, 'modes': 4.0, 'high_quality': 0.25}


def test_jensen_shannon_is_that_of_the_histograms():
  x, y = 0.5 * normal(3000), np.random.default_rng(1).uniform(-2, 2, (2000, 2))
  margin = np.ptp(y, axis=0) / 20
  edges = np.linspace(y.min(axis=0) - margin, y.max(axis=0) + margin, 6).T
  p, q = (np.histogram2d(*part.T, bins=list(edges))[0].ravel() / len(part) for part in (x, y))
  p, q = (np.append(part, 1 - part.sum()) for part in (p, q))
  assert jensen_shannon(x, y, bins=5) == pytest.approx(jensenshannon(p, q) ** 2)
  assert jensen_shannon(y, y) == 0


def test_jensen_shannon_of_samples_elsewhere_is_log_2():
  elsewhere = normal(200) + 1e6
  elsewhere[:20] = np.nan
  assert jensen_shannon(elsewhere, normal(200)) == pytest.approx(math.log(2))


def test_jensen_shannon_of_two_samples_is_what_it_says():
  rng, cells, n, m = np.random.default_rng(0), 10**2, 5000, 3000
  results = [jensen_shannon(rng.random((n, 2)), rng.random((m, 2)), bins=10) for _ in range(20)]
  assert np.mean(results) == pytest.approx((cells - 1) * (1 / n + 1 / m) / 8, rel=0.1)


def test_wasserstein_is_the_best_of_all_permutations():
  x, y = normal(6), normal(6, seed=1) + 1
  costs = cdist(x, y)
  best = min(costs[range(6), order].mean() for order in itertools.permutations(range(6)))
  assert wasserstein(x, y) == pytest.approx(best)
  assert wasserstein(x, x) == 0


def test_wasserstein_of_a_shift_is_its_length():
  x = normal(300)
  assert wasserstein(x, x + [3, -4]) == pytest.approx(5)


def test_wasserstein_on_a_line_is_that_of_scipy():
  x, y = normal(200) * [1, 0], normal(200, seed=1) * [2, 0]
  assert wasserstein(x, y) == pytest.approx(stats.wasserstein_distance(x[:, 0], y[:, 0]))


def test_wasserstein_of_many_points_is_a_mean_over_subsets():
  x, shift = normal(1000), np.array([0.5, 0.0])
  whole = wasserstein(x, normal(1000, seed=1) + shift)
  parts = wasserstein(x, normal(1000, seed=1) + shift, most=100)
  assert 0.5 < whole < parts < whole + 0.3  # the fewer points, the further apart
  one = wasserstein(x, normal(1000, seed=1) + shift, most=100, pairs=1)
  assert one != parts and one == pytest.approx(parts, abs=0.2)


def test_sliced_wasserstein_is_the_mean_of_lines():
  x, y = normal(150), 2 * normal(150, seed=1) + 1
  u = np.random.default_rng(3).standard_normal((2, 5))
  u /= np.linalg.norm(u, axis=0)
  lines = [stats.wasserstein_distance(x @ direction, y @ direction) for direction in u.T]
  assert sliced_wasserstein(x, y, directions=5, seed=3) == pytest.approx(np.mean(lines))


def test_sliced_wasserstein_of_a_shift_is_its_mean_shadow():
  x = normal(300)
  assert sliced_wasserstein(x, x, directions=10) == 0
  shift = sliced_wasserstein(x, x + [3, -4], directions=4000)
  assert shift == pytest.approx(5 * 2 / math.pi, rel=0.03)  # E|cos| of a uniform angle


def test_samples_of_two_sizes_and_what_is_not_finite():
  x = normal(400)
  for distance in (wasserstein, sliced_wasserstein):
    assert distance(x, normal(250, seed=1)) < 0.3
    assert math.isnan(distance(np.where(x > 2, np.nan, x), x))
  assert math.isnan(wasserstein(np.where(x > 2, np.inf, x), x))


class Model(types.SimpleNamespace):
  """Samples that are plain functions of their row."""

  classes = 0

  def sample(self, batch):
    rng = np.random.default_rng(batch['row'][0])
    return self.target.sample(rng, len(batch['row'])).reshape(-1, 1, 1, 2)


def measure(name, drawn, n=1200):
  data = from_arrays({'image': planar.load(name, 'test').arrays['image'][:n]}, kind='points')
  batches = functools.partial(evaluation_batches, data, lambda batch, key: batch, 256)
  source = KnownSource(batches, data=types.SimpleNamespace(target=planar.TARGETS[name]))
  return dict(points(Model(target=planar.TARGETS[drawn]), source))


def test_a_perfect_generator_is_as_far_as_a_fresh_sample():
  results = measure('ring', drawn='ring')
  assert results['modes_covered'] == results['modes'] == 8
  assert results['high_quality'] > 0.98
  for name in ('jensen_shannon', 'wasserstein', 'sliced_wasserstein'):
    assert 0 < results[name] < 3 * results[f'{name}_real']
    assert 0 < results[f'{name}_real'] < 0.15


def test_another_distribution_is_further():
  results = measure('swiss_roll', drawn='grid')
  assert 'modes' not in results
  for name in ('jensen_shannon', 'wasserstein', 'sliced_wasserstein'):
    assert results[name] > 3 * results[f'{name}_real']


def disks(*deviations):
  """A target of a round normal of each deviation at the origin, the classes."""
  normals = (from_covariances(np.ones(1), np.zeros((1, 2)), deviation**2 * np.eye(2)[None]) for deviation in deviations)
  return planar.Target(None, classes=tuple(normals))


def test_the_log_density_is_that_of_the_class():
  points, labels = normal(500), np.arange(500) % 2
  expected = stats.norm(0, np.where(labels == 0, 1, 3)[:, None]).logpdf(points).sum(1)
  assert mean_log_density(points, labels, disks(1, 3)) == pytest.approx(np.mean(expected), rel=1e-5)
  assert math.isnan(mean_log_density(np.where(points > 3, np.nan, points), labels, disks(1, 3)))


def test_outliers_lie_where_their_class_is_rare():
  radius = math.sqrt(stats.chi2(2).ppf(0.99))  # of the disk that holds 99 % of a normal
  target, labels = disks(1, 3), np.array([0, 0, 1, 1, 1])
  points = np.array([[radius - 0.1, 0], [0, radius + 0.1], [3 * radius - 0.3, 0], [0, -3 * radius - 0.3], [np.nan, 0]])
  limits = outlier_limits(target, 0.01)
  at_the_radius = stats.norm.logpdf(radius) + stats.norm.logpdf(0)
  np.testing.assert_allclose(limits, at_the_radius - np.log([1, 9]), atol=0.1)
  assert [outlier_share(points[i : i + 1], labels[i : i + 1], target, limits) for i in range(5)] == [0, 1, 0, 1, 1]
  assert outlier_share(points, labels, target, limits) == pytest.approx(3 / 5)


def test_of_real_points_as_many_are_outliers_as_it_says(monkeypatch):
  monkeypatch.setattr(evaluators, 'LIMIT_POINTS', 5_000)
  labels = np.arange(4_000) % 2
  real = planar.sample_classes(TREE.classes, np.random.default_rng(8), labels)
  limits = outlier_limits(TREE, 0.05)
  assert abs(outlier_share(real, labels, TREE, limits) - 0.05) < 5 * math.sqrt(0.05 / 4_000)
  assert outlier_share(real, 1 - labels, TREE, limits) > 0.9  # of the other tree


class Conditional(Model):
  """Points of the classes that are asked for, off by a distance."""

  classes, off = 2, 0.0

  def sample(self, batch):
    rng = np.random.default_rng(batch['row'][0])
    return (planar.sample_classes(TREE.classes, rng, batch['label']) + self.off).reshape(-1, 1, 1, 2)


def measure_tree(model, n=1200):
  arrays = {name: x[:n] for name, x in planar.load('tree', 'test').arrays.items()}
  data = from_arrays(arrays, kind='points', num_classes=2)._replace(target=TREE)
  batches = functools.partial(evaluation_batches, data, lambda batch, key: batch, 256)
  return dict(points(model, KnownSource(batches, data=data, class_counts=lambda: np.array(data.class_counts))))


def test_a_conditional_model_is_measured_by_the_densities_of_its_classes(monkeypatch):
  monkeypatch.setattr(evaluators, 'LIMIT_POINTS', 5_000)
  results, off = measure_tree(Conditional()), measure_tree(Conditional(off=0.05))
  assert results['log_density'] == pytest.approx(results['log_density_real'], abs=0.3)
  assert results['outliers'] < 0.01 and results['outliers_real'] < 0.01
  assert off['outliers'] > 0.2 and off['log_density'] < results['log_density'] - 3
  assert results['sliced_wasserstein'] < 3 * results['sliced_wasserstein_real']
  without_labels = measure_tree(Model(target=TREE))
  assert set(results) - set(without_labels) == {'log_density', 'log_density_real', 'outliers', 'outliers_real'}
  assert without_labels['wasserstein_real'] == results['wasserstein_real']
