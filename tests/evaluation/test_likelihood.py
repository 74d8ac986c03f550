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
from gen_jax.evaluation.likelihood import (
  CHUNK,
  LogLikelihoods,
  elbo_decomposition,
  importance_weights,
  likelihood,
)

SIGMA = 0.7


def loadings(seed=0):
  """W [2,4], whose rows are orthogonal, so that the latents are independent given x."""
  q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 2)))
  return 1.5 * q.T


def linear_gaussian(number=150, seed=0, w=None, widening=4.0, shift=0.0):
  """(model, x [N,2,2,1], exact log p(x) [N]): x = W z + b + sigma eps, and a poor q(z|x).

  The variances of q are those of p(z|x) times `widening`, its mean is `shift` standard deviations of p(z|x) off.
  """
  rng = np.random.default_rng(seed)
  w, b, sigma = rng.normal(size=(2, 4)) if w is None else w, rng.normal(size=4), SIGMA
  model = models.VAE(networks.MLPEncoder(()), networks.MLPDecoder(()), networks.Gaussian(sigma=sigma), (2, 2, 1), 2)
  dense = lambda kernel, bias: {'Dense_0': {'kernel': jnp.array(kernel, 'f4'), 'bias': jnp.array(bias, 'f4')}}
  covariance = w.T @ w + sigma**2 * np.eye(4)
  posterior = np.linalg.inv(np.eye(2) + w @ w.T / sigma**2)
  gain = posterior @ w / sigma**2  # mean of p(z|x) = gain (x - b)
  log_variance = np.log(widening * np.diag(posterior))  # without the correlation
  mean = -gain @ b + shift * np.sqrt(np.diag(posterior))
  encoder = dense(np.concatenate([gain.T, np.zeros((4, 2))], 1), np.concatenate([mean, log_variance]))
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
  """log w ~ N(-800, 1), whatever the images."""

  def log_weights(self, batch, key, samples):
    return jax.random.normal(key, (samples, len(batch['image']))) - 800


@pytest.mark.parametrize('samples', [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_every_count_of_samples_is_exact_and_every_chunk_draws_anew(samples):
  drawing = Drawing(networks.MLPEncoder(()), networks.MLPDecoder(()), networks.Gaussian(), (2, 2, 1), 2)
  key, batch = jax.random.key(3), {'image': jnp.zeros((12, 2, 2, 1))}
  results = importance_weights(drawing, batch, samples, key)
  whole, rest = divmod(samples, CHUNK)
  counts = [CHUNK] * whole + [rest] * (rest > 0)
  weights = [jax.random.normal(jax.random.fold_in(key, i), (count, 12)) for i, count in enumerate(counts)]
  log_w = np.concatenate(weights).astype(np.float64)
  assert len(log_w) == samples == results.count
  np.testing.assert_allclose(results.log_mean, np.log(np.exp(log_w).mean(0)) - 800, atol=3e-4)
  np.testing.assert_allclose(results.effective_samples, np.exp(log_w).sum(0) ** 2 / np.exp(2 * log_w).sum(0), rtol=2e-3)
  if samples > 1:
    np.testing.assert_allclose(results.log_sd, log_w.std(0, ddof=1), rtol=1e-3)


def test_equal_weights_are_all_effective(capsys):
  model, x, exact = linear_gaussian(w=loadings(), widening=1.0)  # q(z|x) = p(z|x): every weight is p(x)
  results = log_p(model, x, 120)
  np.testing.assert_allclose(results['nll_each'], -exact, rtol=1e-4)
  assert results['effective_samples'] == pytest.approx(120, rel=1e-4)
  assert results['log_weight_sd'] < 1e-4 and results['nll_importance_stderr'] < 1e-4
  assert not capsys.readouterr().err


def test_the_spread_of_the_weights_of_a_wide_posterior_is_its_closed_form(capsys):
  # w is proportional to N(z; m, P) / N(z; m, Q) at z ~ Q = c P, in each of two dimensions:
  # E w^2 / (E w)^2 = c / sqrt(2 c - 1), and log w = const - (c - 1) u^2 / 2 with u ~ N(0, 1), of variance (c - 1)^2 / 2
  c, samples, seeds = 4.0, 400, 40
  model, x, exact = linear_gaussian(w=loadings(), widening=c)
  second_moment = (c / np.sqrt(2 * c - 1)) ** 2
  runs = [log_p(BoundModel(model.module, model._variables, seed), x, samples) for seed in range(seeds)]
  mean = lambda name: np.mean([run[name] for run in runs])
  assert mean('log_weight_sd') == pytest.approx(c - 1, rel=0.02)
  assert mean('effective_samples') == pytest.approx(samples / second_moment, rel=0.02)
  error = np.sqrt((second_moment - 1) / samples / len(x))
  assert mean('nll_importance_stderr') == pytest.approx(error, rel=0.02)
  assert np.std([run['nll'] for run in runs], ddof=1) == pytest.approx(error, rel=3 / np.sqrt(2 * seeds))
  assert abs(mean('nll') + exact.mean()) < 4 * error / np.sqrt(seeds) + second_moment / samples
  assert not capsys.readouterr().err


def test_a_bound_that_few_samples_carry_says_so(capsys):
  model, x, exact = linear_gaussian(w=loadings(), widening=0.2, shift=12.0)  # q lies where p(z|x) has no mass
  results = log_p(model, x, 300)
  assert results['effective_samples'] < 2 and results['log_weight_sd'] > 5
  assert results['nll'] + exact.mean() > 50 and results['nll_importance_stderr'] < 1 / np.sqrt(150)  # which cannot tell
  line = capsys.readouterr().err
  assert line.startswith('nll: fewer than 10 of 300 importance samples are effective for 100% of the examples')
  assert line.count('\n') == 1
  single = log_p(model, x, 1)
  assert 'nll_importance_stderr' not in single and 'effective_samples' not in single


def test_an_exact_likelihood_is_preferred():
  class Exact:
    def __contains__(self, method):
      return method == 'log_prob'

    def compute(self, estimate, batch):
      examples = len(batch['image'])
      return LogLikelihoods(-jnp.arange(examples, dtype=jnp.float32), jnp.ones(examples), None, None)

  results = log_p(Exact(), np.zeros((3, 2, 2, 1), np.float32), 5)
  assert results['nll'] == 1.0 and results['nll_bits_per_dim'] == 1.0
  assert not {'importance_samples', 'effective_samples', 'nll_importance_stderr'} & set(results)


def decomposition(mu, sigma):
  batches = padded_batches(len(mu), mu=np.array(mu, 'f4'), log_sigma=np.log(np.array(sigma, 'f4')))
  model = types.SimpleNamespace(posterior=lambda batch: Normal(batch['mu'], batch['log_sigma']))
  return dict(elbo_decomposition(model, KnownSource(batches)))


def test_the_parts_of_the_kl_are_its_sum():
  rng = np.random.default_rng(1)
  mu, sigma = rng.normal(size=(2_000, 3)), rng.uniform(0.2, 1.0, (2_000, 3))
  results = decomposition(mu, sigma)
  kl = (0.5 * (sigma**2 + mu**2 - 1) - np.log(sigma)).sum(-1).mean()
  assert results.pop('mutual_information_cap') == pytest.approx(np.log(2_000))
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


@pytest.mark.parametrize('places', [30, 120])
def test_information_that_the_number_of_examples_bounds_is_called_so(places, capsys):
  # 120 examples at so many places, far apart: a posterior tells the place, and of 120 all that there is to tell
  mu = np.repeat(np.arange(places), 120 // places)[:, None] * np.full((1, 2), 100.0)
  results = decomposition(mu, np.full((120, 2), 0.5))
  assert results['mutual_information_cap'] == pytest.approx(np.log(120))
  assert results['mutual_information'] == pytest.approx(np.log(places), abs=1e-3)
  line = 'mutual_information 4.787 is near its cap log N = 4.787: no more than a lower bound, which the 120 examples'
  assert (line in capsys.readouterr().err) == (places == 120)


def test_equal_posteriors_carry_no_information():
  results = decomposition(np.zeros((500, 2)), np.full((500, 2), 0.5))
  assert results['mutual_information'] == pytest.approx(0, abs=1e-5)
  assert results['total_correlation'] == pytest.approx(0, abs=1e-4)
