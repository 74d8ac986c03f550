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
from gen_jax.evaluation.planar import jensen_shannon, modes_covered, points, sliced_wasserstein, wasserstein

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
