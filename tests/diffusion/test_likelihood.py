import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from gen_jax.diffusion.likelihood import exact_probes, log_probs, rademacher_probes

SIGMA_MIN, SIGMA_MAX = 0.002, 80.0


def gaussian(covariance, mean):
  """E[x_0 | x] of N(mean, covariance)."""
  d = len(mean)
  values, vectors = np.linalg.eigh(covariance)
  values, vectors, mean = (jnp.array(a, jnp.float32) for a in (values, vectors, mean))

  def denoise(x, sigma):
    flat = (x.reshape(len(x), d) - mean[None]) @ vectors
    return (flat * (values / (values + sigma**2))[None] @ vectors.T + mean[None]).reshape(x.shape)

  return denoise


def run(denoise, x, probes, steps=64, low=SIGMA_MIN, high=SIGMA_MAX):
  x = jnp.array(x, jnp.float32)
  return np.asarray(jax.jit(lambda x, probes: log_probs(denoise, x, probes, low, high, steps))(x, probes), np.float64)


@pytest.mark.parametrize('dims', [1, 3])
def test_with_the_exact_score_of_a_gaussian_it_is_its_density(dims):
  rng = np.random.default_rng(0)
  root = rng.normal(size=(dims, dims))
  covariance = 0.1 * root @ root.T + 0.05 * np.eye(dims)
  x = rng.multivariate_normal(np.zeros(dims), 2 * covariance, 20)
  exact = scipy.stats.multivariate_normal(np.zeros(dims), covariance).logpdf(x)
  probes = exact_probes(20, (dims, 1, 1))
  log_p = run(gaussian(covariance, np.zeros(dims)), x.reshape(20, dims, 1, 1), probes).mean(0)
  np.testing.assert_allclose(log_p, exact, atol=1e-3)


def test_of_a_mean_it_neglects_what_is_left_at_the_last_noise_level():
  mean, deviation, last = 0.5, 0.3, 10.0
  x = np.linspace(-0.4, 1.4, 7)
  denoise = gaussian(np.array([[deviation**2]]), [mean])
  log_p = run(denoise, x.reshape(7, 1, 1, 1), exact_probes(7, (1, 1, 1)), high=last).mean(0)
  exact = scipy.stats.norm(mean, deviation).logpdf(x)
  end = mean + (x - mean) / deviation * np.sqrt(deviation**2 + last**2)
  neglected = scipy.stats.norm(0, last).logpdf(end) - scipy.stats.norm(mean, np.hypot(deviation, last)).logpdf(end)
  assert np.abs(neglected).max() > 0.05
  np.testing.assert_allclose(log_p, exact + neglected, atol=1e-3)


def test_more_steps_change_nothing_and_fewer_do():
  covariance, x = np.diag([0.25, 0.01]), np.array([[0.3, 0.1], [-0.5, 0.05]]).reshape(2, 2, 1, 1)
  of = lambda steps: run(gaussian(covariance, np.zeros(2)), x, exact_probes(2, (2, 1, 1)), steps).mean(0)
  assert np.abs(of(64) - of(128)).max() < 1e-3
  assert np.abs(of(8) - of(128)).max() > 1e-2


def mixture(centers, deviation):
  """E[x_0 | x] of Gaussians in the plane, equally often."""
  centers = jnp.array(centers, jnp.float32)[None]

  def denoise(x, sigma):
    flat = x.reshape(len(x), 1, 2)
    variance = deviation**2 + sigma**2
    weights = jax.nn.softmax(-0.5 * ((flat - centers) ** 2).sum(-1) / variance)[..., None]
    estimates = (deviation**2 * flat + sigma**2 * centers) / variance
    return (weights * estimates).sum(1).reshape(x.shape)

  return denoise


def test_of_a_mixture_in_the_plane():
  angles = np.arange(5) / 5 * 2 * np.pi
  centers, deviation = np.stack([np.cos(angles), np.sin(angles)], 1), 0.1
  rng = np.random.default_rng(1)
  x = np.concatenate([centers[rng.integers(0, 5, 20)] + deviation * rng.normal(size=(20, 2)), rng.normal(size=(10, 2))])
  smoothed = deviation**2 + SIGMA_MIN**2
  parts = [scipy.stats.multivariate_normal(center, smoothed).logpdf(x) for center in centers]
  exact = scipy.special.logsumexp(parts, axis=0) - np.log(5)
  probes = exact_probes(30, (1, 1, 2))
  log_p = run(mixture(centers, deviation), x.reshape(30, 1, 1, 2), probes, steps=256).mean(0)
  np.testing.assert_allclose(log_p, exact, rtol=1e-4, atol=1e-3)


def test_probes_are_unbiased_and_of_the_variance_of_the_trace():
  rng = np.random.default_rng(2)
  root = rng.normal(size=(4, 4))
  covariance = 0.1 * root @ root.T + 0.02 * np.eye(4)
  denoise, x = gaussian(covariance, np.zeros(4)), np.zeros((1, 2, 2, 1))
  exact = run(denoise, x, exact_probes(1, (2, 2, 1))).mean(0)
  probes = rademacher_probes(jax.random.key(0), jnp.arange(1), (2, 2, 1), 2_000)
  each = run(denoise, x, probes)[:, 0]
  # v^T J v of the integral of J over log sigma: that is log(Sigma + s^2) by s and its eigenvectors
  values, vectors = np.linalg.eigh(covariance)
  integral = lambda v: 0.5 * np.log((1 / v + SIGMA_MIN**-2) / (1 / v + SIGMA_MAX**-2))
  matrix = vectors @ np.diag(integral(values)) @ vectors.T
  variance = 2 * ((matrix**2).sum() - (np.diag(matrix) ** 2).sum())
  assert each.var(ddof=1) == pytest.approx(variance, rel=0.15)
  assert abs(each.mean() - exact[0]) < 4 * np.sqrt(variance / 2_000)


def test_probes_are_keyed_by_rows():
  key, rows = jax.random.key(3), jnp.arange(6)
  whole = rademacher_probes(key, rows, (3, 2, 1), 4)
  assert whole.shape == (4, 6, 3, 2, 1) and set(np.unique(whole)) == {-1.0, 1.0}
  np.testing.assert_array_equal(rademacher_probes(key, rows[2:4], (3, 2, 1), 4), whole[:, 2:4])
  assert len(np.unique(np.asarray(whole).reshape(24, -1), axis=0)) > 15


def test_exact_probes_give_the_trace():
  matrix = np.random.default_rng(4).normal(size=(6, 6)).astype(np.float32)
  probes = np.asarray(exact_probes(2, (3, 2, 1))).reshape(6, 2, 6)
  forms = np.einsum('pbi,ij,pbj->pb', probes, matrix, probes)
  np.testing.assert_allclose(forms.mean(0), np.trace(matrix), rtol=1e-4)
