import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from gen_jax.gaussian_mixtures import from_covariances, mix

WEIGHTS = np.array([1.0, 3.0, 2.0])
MEANS = np.array([[0.0, 0.5], [1.0, -1.0], [-1.0, 0.0]])
FACTORS = np.array([[[0.5, 0.0], [0.3, 0.2]], [[0.3, 0.1], [0.0, 0.4]], [[0.2, 0.0], [-0.4, 0.3]]])
COVARIANCES = FACTORS @ FACTORS.transpose(0, 2, 1)
MIXTURE = from_covariances(WEIGHTS, MEANS, COVARIANCES)
POINTS = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
SIDE = 400
GRID = np.stack(np.meshgrid(*[np.linspace(-4, 4, SIDE)] * 2), axis=-1).reshape(-1, 2).astype(np.float32)
CELL = (8 / (SIDE - 1)) ** 2


def by_scipy(x, sigma=0.0):
  """log p(x; sigma)."""
  parts = zip(MEANS, COVARIANCES + sigma**2 * np.eye(2), strict=True)
  logs = [stats.multivariate_normal(mean, covariance).logpdf(x) for mean, covariance in parts]
  return logsumexp(np.log(WEIGHTS / WEIGHTS.sum())[:, None] + logs, axis=0)


@pytest.mark.parametrize('sigma', [0.0, 0.7])
def test_the_density_is_that_of_scipy_and_integrates_to_one(sigma):
  np.testing.assert_allclose(MIXTURE.log_prob(POINTS, sigma), by_scipy(POINTS, sigma), rtol=1e-5, atol=1e-5)
  assert np.exp(MIXTURE.log_prob(GRID, sigma)).sum() * CELL == pytest.approx(1, abs=1e-3)


def test_the_covariances_are_those_that_were_given():
  np.testing.assert_allclose(MIXTURE.covariances, COVARIANCES, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(MIXTURE.diffused(0.3).covariances, COVARIANCES + 0.09 * np.eye(2), rtol=1e-5, atol=1e-6)


def test_vectors_may_have_other_dimensions():
  rng = np.random.default_rng(1)
  factors, means, x = rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 3)), rng.normal(size=(20, 3)).astype(np.float32)
  covariances = factors @ factors.transpose(0, 2, 1)
  parts = [stats.multivariate_normal(*part).pdf(x) / 2 for part in zip(means, covariances, strict=True)]
  mixture = from_covariances(np.ones(2), means, covariances)
  np.testing.assert_allclose(mixture.log_prob(x), np.log(sum(parts)), rtol=1e-3)
  gradient = jax.grad(lambda x: mixture.log_prob(x, 0.5).sum())(x)
  np.testing.assert_allclose(mixture.score(x, 0.5), gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('sigma', [0.0, 0.05, 2.0])
def test_the_score_is_the_gradient_of_the_log_density(sigma):
  gradient = jax.grad(lambda x: MIXTURE.log_prob(x, sigma).sum())(jnp.asarray(POINTS))
  np.testing.assert_allclose(MIXTURE.score(POINTS, sigma), gradient, rtol=1e-3, atol=1e-3)
  np.testing.assert_allclose(MIXTURE.diffused(sigma).score(POINTS), gradient, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('sigma', [0.2, 1.0])
def test_the_denoiser_is_the_posterior_mean_by_integration(sigma):
  prior = np.exp(by_scipy(GRID))
  for x, denoised in zip(POINTS[:10], MIXTURE.denoise(POINTS[:10], sigma), strict=True):
    joint = prior * np.exp(-((GRID - x) ** 2).sum(-1) / (2 * sigma**2))
    np.testing.assert_allclose(denoised, joint @ GRID / joint.sum(), atol=2e-3)


def test_the_denoiser_is_a_step_along_the_score():
  for sigma in (0.1, 1.0):
    np.testing.assert_allclose(
      MIXTURE.denoise(POINTS, sigma), POINTS + sigma**2 * MIXTURE.score(POINTS, sigma), rtol=1e-4, atol=1e-5
    )


def test_the_denoiser_has_its_limits():
  np.testing.assert_allclose(MIXTURE.denoise(POINTS, 1e-4), POINTS, atol=1e-5)
  x = 1e4 * POINTS  # where all is noise, x says next to nothing
  np.testing.assert_allclose(MIXTURE.denoise(x, 1e6), np.tile(WEIGHTS @ MEANS / WEIGHTS.sum(), (40, 1)), atol=2e-4)


@pytest.mark.parametrize('name', ['log_prob', 'score', 'denoise'])
def test_each_row_may_have_a_noise_of_its_own(name):
  sigmas = np.linspace(0.1, 3, 40, dtype=np.float32)
  function = getattr(MIXTURE, name)
  alone = [function(x[None], sigma)[0] for x, sigma in zip(POINTS, sigmas, strict=True)]
  np.testing.assert_allclose(function(POINTS, sigmas), np.array(alone), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('sigma', [0.0, 0.8])
def test_samples_have_the_moments_and_the_density_of_the_mixture(sigma):
  samples, shares = MIXTURE.diffused(sigma).sample(np.random.default_rng(3), 50_000), WEIGHTS / WEIGHTS.sum()
  assert samples.dtype == np.float32 and samples.shape == (50_000, 2)
  off = MEANS - shares @ MEANS
  covariance = np.einsum('k,kij->ij', shares, COVARIANCES) + np.einsum('k,ki,kj->ij', shares, off, off)
  np.testing.assert_allclose(samples.mean(0), shares @ MEANS, atol=0.02)
  np.testing.assert_allclose(np.cov(samples.T), covariance + sigma**2 * np.eye(2), atol=0.03)
  # where the first coordinate lies, by the margins of the components
  parts = zip(shares, MEANS[:, 0], np.sqrt(COVARIANCES[:, 0, 0] + sigma**2), strict=True)
  parts = list(parts)
  cdf = lambda x: sum(share * stats.norm(mean, deviation).cdf(x) for share, mean, deviation in parts)
  assert stats.kstest(samples[:, 0], cdf).pvalue > 1e-3
  np.testing.assert_array_equal(MIXTURE.diffused(sigma).sample(np.random.default_rng(3), 50_000), samples)


def test_a_mixture_of_mixtures_is_the_mean_of_their_densities():
  other = from_covariances(np.ones(1), np.array([[2.0, 2.0]]), np.eye(2)[None])
  mean = np.logaddexp(MIXTURE.log_prob(POINTS), other.log_prob(POINTS)) - np.log(2)
  np.testing.assert_allclose(mix([MIXTURE, other]).log_prob(POINTS), mean, rtol=1e-5, atol=1e-5)


def test_a_mixture_is_a_pytree():
  function = jax.jit(lambda mixture, x: mixture.score(x, 0.5))
  np.testing.assert_allclose(function(MIXTURE, POINTS), MIXTURE.score(POINTS, 0.5), rtol=1e-4, atol=1e-5)
