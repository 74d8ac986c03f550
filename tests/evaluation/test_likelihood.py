import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from sources import KnownSource, padded_batches

from gen_jax import models, networks, randomness
from gen_jax.distributions import Normal
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.likelihood import CHUNK, elbo_decomposition, importance_weighted, likelihood


def linear_gaussian(number=150, seed=0):
  """(model, x [N,2,2,1], exact log p(x) [N]): x = W z + b + sigma eps, and a poor q(z|x)."""
  rng = np.random.default_rng(seed)
  w, b, sigma = rng.normal(size=(2, 4)), rng.normal(size=4), 0.7
  model = models.VAE(networks.MLPEncoder(()), networks.MLPDecoder(()), networks.Gaussian(sigma=sigma), (2, 2, 1), 2)
  dense = lambda kernel, bias: {'Dense_0': {'kernel': jnp.array(kernel, 'f4'), 'bias': jnp.array(bias, 'f4')}}
  covariance = w.T @ w + sigma**2 * np.eye(4)
  posterior = np.linalg.inv(np.eye(2) + w @ w.T / sigma**2)
  gain = posterior @ w / sigma**2  # mean of p(z|x) = gain (x - b)
  log_variance = np.log(4 * np.diag(posterior))  # too wide, and without the correlation
  encoder = dense(np.concatenate([gain.T, np.zeros((4, 2))], 1), np.concatenate([-gain @ b, log_variance]))
  x = rng.multivariate_normal(b, covariance, number)
  variables = {'params': {'encoder': encoder, 'decoder': dense(w, b)}}
  exact = scipy.stats.multivariate_normal(b, covariance).logpdf(x)
  return BoundModel(model, variables), np.array(x, 'f4').reshape(-1, 2, 2, 1), exact


def log_p(model, x, samples):
  """What the evaluator says of x, beside which rows only pad."""
  source = KnownSource(padded_batches(padding=7, fill=0.0, image=x), importance_samples=samples)
  return dict(likelihood(model, source))


def test_the_estimate_of_a_linear_gaussian_model_is_its_closed_form():
  model, x, exact = linear_gaussian()
  results = log_p(model, x, 5_000)
  each = results.pop('nll_each')
  assert each.shape == (150,) and results['importance_samples'] == 5_000
  # the error of the estimate itself, by the spread of the weights
  key, batch = randomness.key(1), {'image': x, 'row': jnp.arange(150, dtype=jnp.int32)}
  log_w = model.compute(lambda model, batch, key: model.log_weights(batch, key, 2_000), batch, key)
  weights = np.exp(np.asarray(log_w, np.float64) - exact)
  error = np.sqrt((weights.var(0) / 5_000).sum()) / 150
  assert 0 < error < 0.01
  assert abs(results['nll'] + exact.mean()) < 3 * error + 1e-4
  assert results['nll'] == pytest.approx(each.mean()) and results['nll_stderr'] == pytest.approx(scipy.stats.sem(each))
  assert 'nll_bits_per_dim' not in results


def test_the_bound_rises_with_the_samples_to_the_likelihood():
  model, x, exact = linear_gaussian()
  nll = [log_p(model, x, samples)['nll'] for samples in (1, 20, 1_000)]
  assert nll[0] > nll[1] + 0.02 and nll[1] > nll[2]
  assert abs(nll[2] + exact.mean()) < 0.01 < nll[0] + exact.mean()


class Drawing(models.VAE):
  """log w ~ N(0, 1), whatever the images."""

  def log_weights(self, batch, key, samples):
    return jax.random.normal(key, (samples, len(batch['image'])))


@pytest.mark.parametrize('samples', [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_every_count_of_samples_is_exact_and_every_chunk_draws_anew(samples):
  drawing = Drawing(networks.MLPEncoder(()), networks.MLPDecoder(()), networks.Gaussian(), (2, 2, 1), 2)
  key, batch = jax.random.key(3), {'image': jnp.zeros((12, 2, 2, 1))}
  results = importance_weighted(drawing, batch, samples, key)
  whole, rest = divmod(samples, CHUNK)
  counts = [CHUNK] * whole + [rest] * (rest > 0)
  weights = [jax.random.normal(jax.random.fold_in(key, i), (count, 12)) for i, count in enumerate(counts)]
  expected = np.log(np.exp(np.concatenate(weights)).mean(0))
  assert len(np.concatenate(weights)) == samples
  np.testing.assert_allclose(results, expected, rtol=1e-4, atol=1e-6)


def test_an_exact_likelihood_is_preferred():
  class Exact:
    def __contains__(self, method):
      return method == 'log_prob'

    def compute(self, estimate, batch):
      return -jnp.arange(len(batch['image']), dtype=jnp.float32), jnp.ones(len(batch['image']))

  results = log_p(Exact(), np.zeros((3, 2, 2, 1), np.float32), 5)
  assert results['nll'] == 1.0 and results['nll_bits_per_dim'] == 1.0 and 'importance_samples' not in results


def decomposition(mu, sigma):
  batches = padded_batches(len(mu), mu=np.array(mu, 'f4'), log_sigma=np.log(np.array(sigma, 'f4')))
  model = types.SimpleNamespace(posterior=lambda batch: Normal(batch['mu'], batch['log_sigma']))
  return dict(elbo_decomposition(model, KnownSource(batches)))


def test_the_parts_of_the_kl_are_its_sum():
  rng = np.random.default_rng(1)
  mu, sigma = rng.normal(size=(2_000, 3)), rng.uniform(0.2, 1.0, (2_000, 3))
  results = decomposition(mu, sigma)
  kl = (0.5 * (sigma**2 + mu**2 - 1) - np.log(sigma)).sum(-1).mean()
  assert sum(results.values()) == pytest.approx(kl, abs=0.1)
  assert abs(results['total_correlation']) < 0.1  # independent latents, but for the finite mixture


def test_the_parts_are_those_of_a_gaussian_aggregate():
  # q(z|x) = N(x, s^2 I), x ~ N(0, C): q(z) = N(0, C + s^2 I), all parts in closed form
  rng, s, rho = np.random.default_rng(1), 0.8, 0.8
  c = np.array([[1, rho], [rho, 1]])
  results = decomposition(rng.multivariate_normal(np.zeros(2), c, 6_000), np.full((6_000, 2), s))
  total = c + s**2 * np.eye(2)
  information = 0.5 * np.linalg.slogdet(total / s**2)[1]
  correlation = 0.5 * np.log(np.diag(total)).sum() - 0.5 * np.linalg.slogdet(total)[1]
  marginal = sum(0.5 * (v - 1 - np.log(v)) for v in np.diag(total))
  assert results['mutual_information'] == pytest.approx(information, abs=0.05)
  assert results['total_correlation'] == pytest.approx(correlation, abs=0.05)
  assert results['dimension_wise_kl'] == pytest.approx(marginal, abs=0.05)


def test_equal_posteriors_carry_no_information():
  results = decomposition(np.zeros((500, 2)), np.full((500, 2), 0.5))
  assert results['mutual_information'] == pytest.approx(0, abs=1e-5)
  assert results['total_correlation'] == pytest.approx(0, abs=1e-4)
