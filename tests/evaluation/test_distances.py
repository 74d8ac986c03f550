import numpy as np
import pytest
from scipy.linalg import sqrtm

from gen_jax.errors import UserError
from gen_jax.evaluation.distances import (
  frechet_distance,
  frechet_from_moments,
  kernel_distance,
  mmd2,
  moments,
  precision_recall,
  squared_distances,
)


def normal(rows, width, seed=0):
  return np.random.default_rng(seed).standard_normal((rows, width))


def with_moments(mean, covariance, rows=200):
  """Features whose moments are these exactly."""
  x = normal(rows, len(mean))
  x = x - x.mean(0)
  x = x @ np.linalg.inv(np.linalg.cholesky(x.T @ x / (rows - 1))).T
  return x @ np.linalg.cholesky(covariance).T + mean


def covariance(width, seed):
  x = normal(width + 2, width, seed)
  return x.T @ x


def test_the_moments_are_numpys():
  x = normal(50, 4) * [1, 2, 3, 4] + 1e6
  mean, results = moments(x)
  np.testing.assert_allclose(mean, x.mean(0))
  np.testing.assert_allclose(results, np.cov(x, rowvar=False), rtol=1e-9)
  raw = x.T @ x / 50 - np.outer(x.mean(0), x.mean(0))  # what comes of second moments that are not centered
  assert not np.allclose(raw * 50 / 49, results, rtol=1e-6)


def test_frechet_of_diagonal_gaussians_is_that_of_their_means_and_deviations():
  a = with_moments(np.array([0.0, 1, 2]), np.diag([1.0, 4, 9]))
  b = with_moments(np.array([1.0, 1, 4]), np.diag([4.0, 4, 1]))
  # |m_a - m_b|^2 = 1 + 4; |sigma_a - sigma_b|^2 = 1 + 0 + 4
  assert frechet_distance(a, b) == pytest.approx(10)
  assert frechet_distance(a, a + np.array([[3.0, 0, 0]])) == pytest.approx(9)


def test_frechet_of_full_covariances_is_that_by_a_root_of_their_product():
  m_a, m_b = np.array([0.0, 1, -1, 2]), np.array([1.0, 0, 0, 2])
  s_a, s_b = covariance(4, 1), covariance(4, 2)
  wanted = ((m_a - m_b) ** 2).sum() + np.trace(s_a + s_b - 2 * sqrtm(s_a @ s_b).real)
  assert frechet_from_moments(m_a, s_a, m_b, s_b) == pytest.approx(wanted)
  assert frechet_distance(with_moments(m_a, s_a), with_moments(m_b, s_b)) == pytest.approx(wanted)


def test_frechet_is_symmetric_and_sees_neither_rotations_nor_shifts_of_both():
  a, b = normal(300, 6) * np.arange(1, 7), normal(200, 6, seed=1) + 0.5
  rotation, _ = np.linalg.qr(normal(6, 6, seed=2))
  results = frechet_distance(a, b)
  assert frechet_distance(b, a) == pytest.approx(results)
  assert frechet_distance(a @ rotation + 100, b @ rotation + 100) == pytest.approx(results)
  assert frechet_distance(3 * a, 3 * b) == pytest.approx(9 * results)
  assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_singular_covariances_are_said_and_give_a_number(capsys):
  a, b = normal(5, 20), normal(6, 20, seed=1)
  results = frechet_distance(a, b)
  message = capsys.readouterr().err.splitlines()
  assert len(message) == 2 and message[0].startswith('the covariance of 5 rows of 20 features is singular')
  assert isinstance(results, float) and results > 0
  # with a few dead features, too, of which nothing is said
  dead = np.pad(normal(100, 3), [(0, 0), (0, 2)])
  assert frechet_distance(dead, dead + np.eye(5)[3:4]) == pytest.approx(1) and not capsys.readouterr().err


def test_the_kernel_distance_of_one_distribution_is_zero_within_its_error():
  results = [kernel_distance(normal(600, 8, 2 * i), normal(600, 8, 2 * i + 1), 20, 200) for i in range(20)]
  means = np.array([each['kernel_distance'] for each in results])
  errors = np.array([each['kernel_distance_stderr'] for each in results])
  assert abs(means.mean()) < 3 * means.std() / 20**0.5  # unbiased: as often below zero as above
  assert (means < 0).sum() > 3 and (means > 0).sum() > 3
  assert 0.5 < errors.mean() / means.std() < 3  # and the error is said


def test_the_kernel_distance_is_the_mean_over_pairs():
  x, y = normal(5, 3), normal(5, 3, seed=1)
  k = lambda a, b: (a @ b / 3 + 1) ** 3
  pairs = [(i, j) for i in range(5) for j in range(5)]
  off = [(i, j) for i, j in pairs if i != j]
  within = sum(k(x[i], x[j]) + k(y[i], y[j]) for i, j in off) / 20
  assert mmd2(x, y) == pytest.approx(within - 2 * sum(k(x[i], y[j]) for i, j in pairs) / 25)


def test_the_kernel_distance_sees_a_shift_and_not_the_scale_of_features():
  a, b = normal(400, 5) + 0.3, normal(500, 5, seed=1)
  results = kernel_distance(a, b, 10, 100)
  assert results['kernel_distance'] > 5 * results['kernel_distance_stderr'] > 0
  assert kernel_distance(1e3 * a, 1e3 * b, 10, 100) == pytest.approx(results)
  as_they_are = kernel_distance(3 * a, 3 * b, 10, 100, scaled=False)
  assert as_they_are['kernel_distance'] > 5 * results['kernel_distance']
  scale = np.sqrt(b.shape[1] / np.mean(np.sum(b**2, axis=1)))
  assert kernel_distance(scale * a, scale * b, 10, 100, scaled=False) == pytest.approx(results)
  assert kernel_distance(a, b, 10, 100) == results  # the same subsets
  assert kernel_distance(a, b, 10, 100, seed=1) != results


def brute_force(real, fake, k):
  """Precision, recall, density and coverage as their papers define them, pair by pair."""
  distance = lambda a, b: np.sqrt(((a - b) ** 2).sum())

  def radius(rows, i):
    return sorted(distance(rows[i], x) for j, x in enumerate(rows) if j != i)[k - 1]

  real_radius = [radius(real, i) for i in range(len(real))]
  fake_radius = [radius(fake, j) for j in range(len(fake))]
  inside = np.array([[distance(x, y) <= r for y in fake] for x, r in zip(real, real_radius, strict=True)])
  reached = np.array([[distance(x, y) <= r for y, r in zip(fake, fake_radius, strict=True)] for x in real])
  return {
    'precision': inside.any(0).mean(),
    'recall': reached.any(1).mean(),
    'density': inside.sum() / (k * len(fake)),
    'coverage': inside.any(1).mean(),
  }


@pytest.mark.parametrize('k', [1, 3])
def test_precision_and_recall_are_those_of_a_loop_over_pairs(k, monkeypatch):
  real, fake = normal(60, 4), 0.8 * normal(50, 4, seed=1) + 0.4
  wanted = brute_force(real, fake, k)
  assert precision_recall(real, fake, k) == pytest.approx(wanted)
  assert precision_recall(real + 1e4, fake + 1e4, k) == pytest.approx(wanted)  # far from 0, where squares lose digits
  monkeypatch.setattr('gen_jax.evaluation.distances.CHUNK_BYTES', 8 * 60 * 7)  # 7 rows at a time
  assert precision_recall(real, fake, k) == pytest.approx(wanted)


def test_precision_and_recall_of_what_they_are_for():
  real = normal(500, 3)
  same = precision_recall(real, normal(500, 3, seed=1))
  assert same['precision'] > 0.85 and same['recall'] > 0.85
  assert same['density'] == pytest.approx(1, abs=0.15) and same['coverage'] > 0.85
  half = real[real[:, 0] > 0]  # what is drawn is right, and half is missing
  results = precision_recall(real, half)
  assert results['precision'] == 1 and 0.45 < results['recall'] < 0.7 and results['coverage'] < 0.75
  noisy = precision_recall(real, 3 * normal(500, 3, seed=1))
  assert noisy['precision'] < 0.5 and noisy['recall'] > 0.8
  assert set(precision_recall(real, real + 100).values()) == {0.0}
  ten = np.repeat(real[:10], 50, axis=0)  # copies of few: balls of radius 0
  results = precision_recall(real, ten)
  assert results['precision'] == 1 and results['recall'] == 10 / 500


def test_equal_rows_are_at_no_distance_at_all():
  x = normal(40, 84) * 50 + 1
  ((_, results),) = squared_distances(x, x)
  assert (np.diag(results) == 0).all() and results.min() == 0
  wanted = ((x[:, None] - x[None]) ** 2).sum(-1)
  np.testing.assert_allclose(results, wanted, rtol=1e-9)
  ((_, results),) = squared_distances(x, x + 1e-2)
  assert (np.diag(results) > 0).all()  # near is not equal


@pytest.mark.parametrize('distance', [frechet_distance, kernel_distance, precision_recall])
def test_wrong_features_are_refused(distance):
  good, bad = normal(20, 3), normal(20, 3)
  bad[4] = np.nan
  for a, b, message in (
    (good, good[:1], 'too few'),
    (good, normal(20, 4), 'of one width; these are of 3 and 4'),
    (bad, good, 'must be finite; 1 of 20'),
    (good, good[0], 'must have the shape'),
    (good, np.zeros((20, 0)), 'must have the shape'),
  ):
    with pytest.raises(UserError, match=message):
      distance(a, b)


def test_further_wrong_arguments_are_refused():
  with pytest.raises(UserError, match='3 rows of features are too few: at least 4'):
    precision_recall(normal(20, 3), normal(3, 3), k=3)
  with pytest.raises(UserError, match='all 0'):
    kernel_distance(normal(20, 3), np.zeros((20, 3)))
  with pytest.raises(UserError, match='at least 2'):
    kernel_distance(normal(20, 3), normal(20, 3), subsets=1)
