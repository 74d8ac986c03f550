"""Against scikit-learn, closed forms, numerical integrals, and the scores of known codes of dSprites."""

import functools
import itertools
import math
import warnings

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.stats
from sklearn.metrics import mutual_info_score
from sklearn.svm import LinearSVC

from gen_jax.data.sets import sprites
from gen_jax.errors import UserError
from gen_jax.evaluation import disentanglement
from gen_jax.evaluation.disentanglement import explicitness, importances, information, information_gap, subsets

GRID = sprites.factors_of(np.arange(sprites.NUM_IMAGES))
STANDARD = ((GRID - GRID.mean(0)) / GRID.std(0)).astype(np.float32)
DEAD = 1e-3 * np.random.default_rng(0).standard_normal((len(GRID), 5)).astype(np.float32)
CODES = {
  'perfect': np.concatenate([STANDARD, DEAD], axis=1),
  'noise': np.random.default_rng(1).standard_normal((len(GRID), 10)).astype(np.float32),
}
SCORES = {  # of published implementations, and how far chance moves them
  'beta_vae_score': {'perfect': (1.0, 0.02), 'noise': (0.2, 0.03)},
  'factor_vae_score': {'perfect': (1.0, 0.02), 'noise': (0.2, 0.03)},
  'mig': {'perfect': (0.895, 0.02), 'noise': (0.0003, 0.002)},
  'sap': {'perfect': (0.25, 0.02), 'noise': (0.003, 0.005)},
  'modularity': {'perfect': (0.841, 0.02), 'noise': (0.66, 0.03)},
  'explicitness_test': {'perfect': (0.98, 0.02), 'noise': (0.5, 0.03)},
  'irs': {'perfect': (0.984, 0.02), 'noise': (0.37, 0.03)},
}


def scores(name, codes, **sizes):
  """What a metric says of codes of the whole grid."""
  metric = getattr(disentanglement, name)
  if name in ('beta_vae_score', 'factor_vae_score'):
    return metric(lambda factors: codes[sprites.index_of(factors)], sprites.FACTOR_SIZES, **sizes)
  return metric(codes, GRID, **sizes)


@functools.cache
def scores_of_known(name, kind):
  return scores(name, CODES[kind])


@pytest.mark.parametrize('kind', CODES)
@pytest.mark.parametrize('name', SCORES)
def test_the_scores_of_known_codes(name, kind):
  expected, tolerance = SCORES[name][kind]
  function = {'modularity': 'modularity_explicitness', 'explicitness_test': 'modularity_explicitness'}.get(name, name)
  assert abs(scores_of_known(function, kind)[name] - expected) <= tolerance


def test_the_continuous_predictability_of_known_codes():
  for kind, expected in (('perfect', 0.9998), ('noise', 0.0001)):
    assert abs(disentanglement.sap(CODES[kind], GRID, continuous=True)['sap'] - expected) < 0.002


def test_rotations_of_a_perfect_code_keep_what_is_invariant_and_lose_the_rest():
  results = []
  for seed in range(10):
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((5, 5)))
    rotated = np.concatenate([STANDARD @ q.astype(np.float32), DEAD], axis=1)
    sizes = {'train': 1_000, 'test': 1_000}
    beta = scores('beta_vae_score', rotated, **sizes)['beta_vae_score']
    factor = scores('factor_vae_score', rotated, **sizes)['factor_vae_score']
    results.append((beta, factor, scores('mig', rotated)['mig']))
  mean, spread = np.mean(results, 0), np.std(results, 0)
  # published: .91; .83 +- .10; .139 +- .068, of ten other rotations
  error = np.hypot(spread, (0.05, 0.10, 0.068)) / math.sqrt(10)
  assert (np.abs(mean - (0.91, 0.83, 0.139)) < 3 * error).all()


@pytest.mark.slow
@pytest.mark.parametrize('kind, expected', [('perfect', (1.0, 1.0, 1.0)), ('noise', (0.003, 0.002, 0.118))])
def test_the_boosted_trees_of_known_codes(kind, expected):
  results = disentanglement.dci(CODES[kind], GRID)
  names = ('disentanglement', 'completeness', 'informativeness_test')
  np.testing.assert_allclose([results[name] for name in names], expected, atol=0.02)


# each part by itself


def small(seed=0, rows=600):
  noise = np.random.default_rng(seed)
  factors = np.stack([noise.integers(0, size, rows) for size in (3, 4)], axis=1)
  mixed = factors[:, [1]] + 0.4 * factors[:, [0]] + noise.normal(scale=0.5, size=(rows, 1))
  return np.concatenate([factors[:, :1] ** 2 - 1.0, mixed, noise.normal(size=(rows, 1))], axis=1), factors


def test_bins_and_information_are_numpys_and_scikit_learns():
  codes, factors = small()
  z = subsets.bin_codes(codes, 7)
  for j in range(3):
    edges = np.histogram(codes[:, j], 7)[1][:-1]
    np.testing.assert_array_equal(z[:, j], np.digitize(codes[:, j], edges) - 1)
  expected = [[mutual_info_score(a, b) for b in factors.T] for a in z.T]
  np.testing.assert_allclose(information.mutual_information(z, factors), expected, atol=1e-12)
  frequencies = [np.bincount(column) / len(column) for column in factors.T]
  np.testing.assert_allclose(information.entropies(factors), [scipy.stats.entropy(p) for p in frequencies], rtol=1e-9)


def test_the_information_gap_and_modularity_by_hand():
  codes, factors = small()
  z = subsets.bin_codes(codes, 20)
  matrix = np.array([[mutual_info_score(a, b) for b in factors.T] for a in z.T])
  gaps = [(sorted(c)[-1] - sorted(c)[-2]) / mutual_info_score(v, v) for c, v in zip(matrix.T, factors.T, strict=True)]
  results = disentanglement.mig(codes, factors)
  np.testing.assert_allclose([results['mig'], results['mig_0'], results['mig_1']], [np.mean(gaps), *gaps], rtol=1e-9)
  expected = np.mean([1 - min(row) ** 2 / max(row) ** 2 for row in matrix])  # two factors: K - 1 = 1
  assert explicitness.modularity(matrix) == pytest.approx(expected)
  results = disentanglement.modularity_explicitness(codes, factors, train=580, test=20)
  assert abs(results['modularity'] - expected) < 0.02


def test_the_posteriors_information_gap_is_an_integral():
  # a factor moves the mean of one latent; the other latent knows nothing of it
  factors = np.repeat([[0, 0], [1, 0], [0, 1], [1, 1]], 25, axis=0)
  mu = np.stack([3.0 * factors[:, 0], 0.7 * factors[:, 1]], axis=1)
  log_variance = np.full_like(mu, 2 * np.log(0.5))
  results = disentanglement.mig_density(mu, log_variance, factors, samples=40_000)

  def information_of(gap):
    density = lambda z: 0.5 * (scipy.stats.norm.pdf(z, 0, 0.5) + scipy.stats.norm.pdf(z, gap, 0.5))
    entropy = scipy.integrate.quad(lambda z: -density(z) * np.log(density(z)), -6, 9, limit=200)[0]
    return entropy - 0.5 * np.log(2 * np.pi * np.e * 0.25)

  expected = [information_of(gap) / np.log(2) for gap in (3.0, 0.7)]
  np.testing.assert_allclose([results['mig_density_0'], results['mig_density_1']], expected, atol=0.02)
  np.testing.assert_allclose(results['mig_density'], np.mean(expected), atol=0.02)


def test_normals_that_are_nearly_equal_count_as_one():
  rng = np.random.default_rng(0)
  mu, log_sigma = rng.normal(size=3_000), rng.normal(np.log(0.1), 0.2, 3_000)
  cells = information_gap.Cells.of(mu, log_sigma)
  assert len(cells.mu) < 2_000 and len(cells.place) == 3_000
  sigma = np.exp(log_sigma)
  assert np.abs(cells.mu[cells.place] - mu).max() <= 0.13 * sigma.max()
  np.testing.assert_allclose(cells.sigma[cells.place], sigma, rtol=0.026)
  rows, same = np.arange(1_000), np.random.default_rng(1)  # the entropy of the first thousand
  results = cells.entropy(rows, np.random.default_rng(1), 20_000)
  drawn = same.choice(rows, 20_000)
  z = mu[drawn] + sigma[drawn] * same.standard_normal(20_000)
  density = scipy.stats.norm.pdf(z[:, None], mu[rows], sigma[rows]).mean(1)
  np.testing.assert_allclose(results, -np.log(density).mean(), atol=0.003)


def test_the_concentration_of_importances():
  assert importances.concentration(np.eye(4)[:, :3]) == pytest.approx(1.0)
  assert importances.concentration(np.ones((4, 3))) == pytest.approx(0.0)
  r = np.array([[0.6, 0.2, 0.0], [0.1, 0.1, 0.1], [0.0, 0.0, 0.0]])
  expected = 0.8 / 1.1 * (1 - scipy.stats.entropy(r[0], base=3)) + 0.3 / 1.1 * 0
  assert importances.concentration(r) == pytest.approx(expected)
  assert importances.concentration(np.zeros((3, 2))) == 0.0


def test_disentanglement_is_of_latents_and_completeness_of_factors():
  one_latent_for_both = np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])  # [D,K]
  accuracies = np.array([[0.9, 0.7], [0.5, 0.3]])
  results = importances.dci_scores(one_latent_for_both, accuracies)
  expected = {'disentanglement': 0, 'completeness': 1, 'informativeness_train': 0.8, 'informativeness_test': 0.4}
  assert results == pytest.approx(expected)
  results = importances.dci_scores(one_latent_for_both.T, accuracies.repeat(2, axis=1)[:, :3])
  assert (results['disentanglement'], results['completeness']) == pytest.approx((1, 0))


@pytest.mark.parametrize('metric', [disentanglement.dci, disentanglement.dci_fast])
def test_trees_find_the_latents_of_factors(metric):
  codes, factors = small()
  results = metric(codes[:, [0, 2]], factors[:, :1], train=300, test=300)  # one factor: its latent, and noise
  assert results['completeness'] > 0.95 and results['informativeness_test'] == 1.0
  results, again = metric(codes, factors, train=400, test=200), metric(codes, factors, train=400, test=200)
  assert results == again and 0.3 < results['disentanglement'] < 1
  assert results != metric(codes, factors, seed=1, train=400, test=200)


def test_predictability_is_a_classifier_of_one_latent():
  codes, factors = small()
  results = disentanglement.sap(codes, factors, train=400, test=200)
  known, new = subsets.draw_subsets(subsets.points_of(codes, factors), (400, 200), (10_000, 5_000), 0)
  for k in range(2):
    accuracies = []
    for j in range(3):
      svm = LinearSVC(C=0.01, class_weight='balanced').fit(known.codes[:, [j]], known.factors[:, k])
      accuracies.append((svm.predict(new.codes[:, [j]]) == new.factors[:, k]).mean())
    gap = sorted(accuracies)[-1] - sorted(accuracies)[-2]
    np.testing.assert_allclose(results[f'sap_{k}'], gap, atol=0.011)
  continuous = disentanglement.sap(codes, factors, train=400, test=200, continuous=True)
  r = np.corrcoef(np.concatenate([known.codes, known.factors], axis=1).T)[:3, 3:] ** 2
  gap = np.diff(np.sort(r, 0)[-2:], axis=0)[0]
  np.testing.assert_allclose([continuous['sap_0'], continuous['sap_1']], gap, rtol=1e-6)


def test_robustness_by_hand():
  codes, factors = small()
  codes = np.concatenate([codes, np.full((len(codes), 1), 3.0)], axis=1)  # a constant latent takes no part
  weights, best = [], []
  for z in codes.T[:3]:
    most = np.abs(z - z.mean()).max()
    mean_deviations = []
    for v in factors.T:
      groups = [z[v == value] for value in range(v.max() + 1)]
      mean_deviations.append(np.mean([np.quantile(np.abs(g - g.mean()), 0.99) for g in groups]))
    weights.append(most)
    best.append(1 - min(mean_deviations) / most)
  assert disentanglement.irs(codes, factors)['irs'] == pytest.approx(np.average(best, weights=weights))


def test_dependence_has_the_closed_forms_of_normals():
  noise = np.random.default_rng(0)
  s = np.array([[2.0, 0.9, 0.0], [0.9, 1.0, 0.3], [0.0, 0.3, 0.5]])
  codes = noise.standard_normal((4_000, 3)) @ np.linalg.cholesky(s).T
  codes = np.concatenate([codes, np.ones((4_000, 1))], axis=1)
  results = disentanglement.unsupervised(codes, np.arange(8_000).reshape(-1, 2) % 3)
  s = np.cov(codes[:, :3].T)
  d = np.diag(np.diag(s))
  total_correlation = 0.5 * (np.log(np.diag(s)).sum() - np.log(np.linalg.det(s)))
  distance = 2 * np.trace(s) - 2 * np.trace(scipy.linalg.sqrtm(d @ s)).real
  np.testing.assert_allclose(results['gaussian_total_correlation'], total_correlation, rtol=1e-6)
  np.testing.assert_allclose(results['gaussian_wasserstein'], distance, rtol=1e-6)
  np.testing.assert_allclose(results['gaussian_wasserstein_norm'], distance / np.trace(s), rtol=1e-6)
  z = [np.digitize(c, np.histogram(c, 20)[1][:-1]) for c in codes.T]
  pairs = [mutual_info_score(a, b) for a, b in itertools.combinations(z, 2)]
  np.testing.assert_allclose(results['mutual_information_score'], np.mean(pairs), rtol=1e-6)
  dependent = disentanglement.unsupervised(codes[:, [0, 0]], np.arange(4_000)[:, None] % 3)
  assert dependent['gaussian_total_correlation'] > 10


@pytest.mark.parametrize('similarity', ['lasso', 'spearman'])
def test_runs_that_agree_up_to_order_and_sign(similarity):
  noise = np.random.default_rng(0)
  z = noise.standard_normal((2_000, 4))
  kl = np.array([2.0, 1.0, 3.0, 0.001])  # the last latent is not informative
  order = [2, 3, 0, 1]
  runs = [z, 5 * z[:, order] * [1, -1, -1, 1], noise.standard_normal((2_000, 4))]
  results = disentanglement.udr(runs, [kl, kl[order], kl], similarity=similarity)
  pair = disentanglement.udr(runs[:2], [kl, kl[order]], similarity=similarity)['udr']
  assert pair > 0.85 and results['udr_2'] < 0.1
  # of three runs the median is between agreement and none
  assert 0.4 * pair < results['udr_0'] < 0.6 * pair + 0.05
  if similarity == 'lasso':
    # of independent latents the coefficient is the correlation, less alpha
    assert pair == pytest.approx(0.9, abs=0.02)


def test_runs_of_one_informative_latent_are_as_alike_as_these_are():
  noise = np.random.default_rng(0)
  z = noise.standard_normal((1_000, 2))
  other = np.stack([noise.standard_normal(1_000), -np.exp(z[:, 0] + 0.5 * noise.standard_normal(1_000))], axis=1)
  results = disentanglement.udr([z, other], [np.array([2.0, 0.0]), np.array([0.0, 2.0])], similarity='spearman')
  # R is 1x1, of which UDR_ab = R^2 / R
  expected = abs(scipy.stats.spearmanr(z[:, 0], other[:, 1]).statistic)
  assert 0.8 < expected < 0.95
  assert results == pytest.approx({'udr': expected, 'udr_0': expected, 'udr_1': expected})
  dead = disentanglement.udr([z, other], [np.array([2.0, 0.0]), np.zeros(2)], similarity='spearman')
  assert dead['udr'] == 0


# what a user can get wrong

CODES_OF_60, FACTORS_OF_60 = small(rows=60)
WRONG = {
  'not finite': (lambda: (np.where(CODES_OF_60 > 1.5, np.nan, CODES_OF_60), FACTORS_OF_60), 'codes must be finite'),
  'one value': (lambda: (CODES_OF_60, FACTORS_OF_60 * [1, 0]), r'factors \[1\] have one value'),
  'other rows': (lambda: (CODES_OF_60, FACTORS_OF_60[:50]), r'factors must have the shape \[60, K\]'),
  'no factors': (lambda: (CODES_OF_60, np.zeros((60, 0), int)), r'factors must have the shape \[60, K\]'),
  'real factors': (lambda: (CODES_OF_60, FACTORS_OF_60 * 0.5), 'factors must be integers'),
}
METRICS = ('mig', 'sap', 'dci', 'dci_fast', 'modularity_explicitness', 'irs', 'unsupervised')


@pytest.mark.parametrize('name', METRICS)
@pytest.mark.parametrize('case', WRONG)
def test_wrong_codes_and_factors_are_refused(case, name):
  if name == 'unsupervised' and case != 'not finite':
    pytest.skip('reads no factors')
  make, message = WRONG[case]
  with pytest.raises(UserError, match=message):
    getattr(disentanglement, name)(*make())


@pytest.mark.parametrize('name', METRICS)
def test_more_points_than_there_are_are_refused_and_fewer_than_usual_are_shared_out(name):
  metric = getattr(disentanglement, name)
  sizes = {'train': 50, 'test': 20} if name in ('sap', 'dci', 'dci_fast', 'modularity_explicitness') else {'points': 70}
  with pytest.raises(UserError, match='70 points are asked for and 60 are there'):
    metric(CODES_OF_60, FACTORS_OF_60, **sizes)
  assert all(math.isfinite(x) for x in metric(CODES_OF_60, FACTORS_OF_60).values())


@pytest.mark.parametrize('name', METRICS)
def test_constant_codes_have_a_score(name):
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    results = getattr(disentanglement, name)(np.ones((60, 3)), FACTORS_OF_60)
  assert all(math.isfinite(x) for x in results.values())
  headline = {'dci': 'disentanglement', 'dci_fast': 'disentanglement', 'modularity_explicitness': 'modularity'}
  assert results[headline.get(name, {'unsupervised': 'mutual_information_score'}.get(name, name))] == 0


def test_a_dead_latent_tells_nothing_whatever_the_number_of_points():
  for rows in range(600, 700, 7):
    _, factors = small(rows=rows)
    dead = information.mutual_information(np.zeros((rows, 1), int), factors)
    np.testing.assert_array_equal(dead, 0)  # not a rounding error, which modularity would make 1


def test_narrow_posteriors_that_know_nothing_have_no_density_gap():
  noise = np.random.default_rng(0)
  factors = np.stack([noise.integers(0, 2, 4_000), noise.integers(0, 3, 4_000)], axis=1)
  log_variances = np.full((4_000, 2), 2 * np.log([0.05, 0.2]))
  results = disentanglement.mig_density(noise.standard_normal((4_000, 2)), log_variances, factors, samples=4_000)
  assert all(abs(x) < 0.05 for x in results.values())


def test_interventions_need_factors_and_finite_codes():
  for metric in (disentanglement.beta_vae_score, disentanglement.factor_vae_score):
    with pytest.raises(UserError, match='at least two factors'):
      metric(lambda v: v, (3, 1))
    with pytest.raises(UserError, match='codes must be finite'):
      metric(lambda v: np.full(v.shape, np.inf), (3, 2))
  dead = disentanglement.factor_vae_score(lambda v: 0.01 * v, (3, 2), train=20, test=20)
  assert dead == {'factor_vae_score': 0.0, 'factor_vae_score_train': 0.0, 'active_latents': 0.0}


def test_ranking_needs_runs_of_the_same_images():
  z, kl = np.random.default_rng(0).standard_normal((100, 2)), np.ones(2)
  for arguments, message in (
    (([z], [kl]), 'at least two'),
    (([z, z[:50]], [kl, kl]), 'codes of the same images'),
    (([z, z], [kl, kl]), '1000 points are asked for and 100 are there'),
  ):
    with pytest.raises(UserError, match=message):
      disentanglement.udr(*arguments)


def test_the_area_is_that_of_the_curve_with_ties_and_values_that_do_not_occur():
  from sklearn.metrics import roc_auc_score

  rng = np.random.default_rng(0)
  probabilities, values = rng.integers(0, 4, (12, 4)) / 4, rng.integers(0, 3, 12)

  class Model:
    classes_ = np.arange(4)  # of which 3 does not occur

    @staticmethod
    def predict_proba(codes):
      return probabilities

  expected = np.mean([roc_auc_score(values == c, probabilities[:, c]) for c in range(3)])
  assert explicitness.mean_roc_auc(Model, None, values) == pytest.approx(expected, abs=1e-12)
  assert explicitness.mean_roc_auc(Model, None, np.ones(12, int)) == 0.5
