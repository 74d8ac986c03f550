import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from gen_jax import distributions
from gen_jax.distributions import (
  Bernoulli,
  DiscretizedLogistic,
  Normal,
  kl_divergence,
  log_likelihood,
  sample_rows,
  sum_dims,
)

KEY = jax.random.key(0)


def test_normal_log_prob_is_scipys():
  mu, sigma, x = np.array([0.3, -2.0, 5.0]), np.array([0.1, 1.0, 4.0]), np.array([0.2, 1.0, 5.0])
  found = Normal(jnp.array(mu), jnp.log(sigma)).log_prob(jnp.array(x))
  np.testing.assert_allclose(found, scipy.stats.norm(mu, sigma).logpdf(x), rtol=1e-5)


def test_kl_divergence_is_the_integral():
  for mu_q, sigma_q, mu_p, sigma_p in [(0.5, 0.7, 0.0, 1.0), (-1.0, 2.0, 0.3, 0.5), (0.0, 1.0, 0.0, 1.0)]:
    q, p = scipy.stats.norm(mu_q, sigma_q), scipy.stats.norm(mu_p, sigma_p)
    integral, _ = scipy.integrate.quad(
      lambda x, q=q, p=p: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), mu_q - 12 * sigma_q, mu_q + 12 * sigma_q
    )
    found = kl_divergence(
      Normal(jnp.float32(mu_q), jnp.log(jnp.float32(sigma_q))), Normal(jnp.float32(mu_p), jnp.log(jnp.float32(sigma_p)))
    )
    np.testing.assert_allclose(found, integral, rtol=1e-5, atol=1e-6)


def test_kl_divergence_is_its_monte_carlo_estimate():
  q = Normal(jnp.array([0.5, -1.0]), jnp.array([-0.3, 0.4]))
  p = Normal(jnp.array([0.0, 1.0]), jnp.array([0.0, 0.2]))
  x = jax.vmap(q.sample)(jax.random.split(KEY, 200_000))
  ratios = np.asarray(jax.vmap(lambda x: q.log_prob(x) - p.log_prob(x))(x), np.float64)
  error = ratios.std(0) / math.sqrt(len(ratios))
  assert (np.abs(ratios.mean(0) - np.asarray(kl_divergence(q, p))) < 4 * error).all()


def test_reparameterised_gradients_are_those_of_the_expectation():
  # d/dmu E[x^3] = 3 (mu^2 + sigma^2) and d/dlog sigma E[x^3] = 6 mu sigma^2
  mu, log_sigma = jnp.float32(0.7), jnp.float32(-0.5)
  keys = jax.random.split(KEY, 400_000)

  def expectation(mu, log_sigma):
    return (jax.vmap(Normal(mu, log_sigma).sample)(keys) ** 3).mean()

  found = jax.grad(expectation, (0, 1))(mu, log_sigma)
  variance = math.exp(2 * -0.5)
  np.testing.assert_allclose(found, [3 * (0.49 + variance), 6 * 0.7 * variance], rtol=2e-2)


def test_bernoulli_is_scipys_and_stable():
  logits = jnp.array([-3.0, 0.2, 4.0])
  for x in (0, 1):
    expected = scipy.stats.bernoulli(1 / (1 + np.exp(-np.asarray(logits)))).logpmf(x)
    np.testing.assert_allclose(Bernoulli(logits).log_prob(jnp.full(3, float(x))), expected, rtol=1e-5)
  np.testing.assert_allclose(Bernoulli(jnp.array([-200.0, 200.0])).log_prob(jnp.array([1.0, 0.0])), [-200, -200])
  drawn = jax.vmap(Bernoulli(logits).sample)(jax.random.split(KEY, 20_000))
  np.testing.assert_allclose(drawn.mean(0), Bernoulli(logits).mean, atol=0.02)


@pytest.mark.parametrize(('levels', 'low'), [(256, 0.0), (256, -1.0), (2, 0.0), (17, 0.0)])
def test_discretized_logistic_sums_to_one(levels, low):
  values = jnp.linspace(low, 1.0, levels)[:, None]
  mu = jnp.array([low, 0.3, 1.5, -4.0])
  for log_scale in (-7.0, -3.0, 0.0, 2.0):
    q = DiscretizedLogistic(mu, jnp.full(4, log_scale), levels, low)
    log_probs = jax.vmap(q.log_prob)(jnp.broadcast_to(values, (levels, 4)))
    np.testing.assert_allclose(jax.scipy.special.logsumexp(log_probs, axis=0), np.zeros(4), atol=2e-5)


def test_discretized_logistic_is_a_difference_of_scipys_cdf():
  levels, low, mu, scale = 256, -1.0, 0.13, 0.05
  values = np.linspace(low, 1.0, levels)
  edges = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
  expected = np.diff(scipy.stats.logistic(mu, scale).cdf(edges))
  q = DiscretizedLogistic(jnp.full(levels, mu), jnp.full(levels, math.log(scale)), levels, low)
  np.testing.assert_allclose(jnp.exp(q.log_prob(jnp.array(values, jnp.float32))), expected, rtol=2e-3, atol=1e-9)


def test_discretized_logistic_has_finite_gradients_far_out():
  def log_prob(mu, log_scale):
    return DiscretizedLogistic(mu, log_scale).log_prob(jnp.array(0.5))

  for mu in (-300.0, 0.5, 300.0):
    for log_scale in (-7.0, 5.0):
      value, gradients = jax.value_and_grad(log_prob, (0, 1))(mu, log_scale)
      assert np.isfinite([value, *gradients]).all()


def test_discretized_logistic_samples_its_own_probabilities():
  q = DiscretizedLogistic(jnp.float32(0.4), jnp.float32(-1.5), 5)
  drawn = np.asarray(jax.vmap(q.sample)(jax.random.split(KEY, 40_000)))
  values = np.linspace(0, 1, 5)
  shares = np.isclose(drawn[:, None], values, atol=1e-6).mean(0)
  np.testing.assert_allclose(shares.sum(), 1.0)
  np.testing.assert_allclose(shares, jnp.exp(jax.vmap(q.log_prob)(jnp.array(values, jnp.float32))), atol=0.01)


def test_noise_of_a_row_depends_on_its_number_alone():
  q = Normal(jnp.zeros((6, 3)), jnp.zeros((6, 3)))
  whole = sample_rows(q, KEY, jnp.arange(6))
  part = sample_rows(jax.tree.map(lambda x: x[2:5], q), KEY, jnp.arange(2, 5))
  np.testing.assert_array_equal(whole[2:5], part)
  assert len(np.unique(np.asarray(whole))) == 18


@pytest.mark.parametrize('kind', ['bernoulli', 'normal', 'logistic'])
def test_the_log_likelihood_is_that_of_each_value_alone(kind):
  shape = (3, 4, 2, 1)
  rng = np.random.default_rng(0)
  h, x = rng.normal(size=shape).astype(np.float32), rng.integers(0, 2, shape).astype(np.float32)
  distribution, expected = {
    'bernoulli': (Bernoulli(h), scipy.stats.bernoulli.logpmf(x, scipy.special.expit(h))),
    'normal': (Normal(h, 0.1 * h), scipy.stats.norm.logpdf(x, h, np.exp(0.1 * h))),
    'logistic': (DiscretizedLogistic(h, h, levels=2), None),
  }[kind]
  if expected is None:  # of two levels the lower one is P(X < 1/2)
    below = scipy.stats.logistic.cdf(0.5, h, np.exp(h))
    expected = np.log(np.where(x == 0, below, 1 - below))
  np.testing.assert_allclose(log_likelihood(distribution, x), expected.sum((1, 2, 3)), rtol=1e-4)


def test_sum_dims_keeps_the_batch():
  np.testing.assert_allclose(sum_dims(jnp.ones((4, 2, 3, 5))), np.full(4, 30.0))
  assert distributions.standard_normal((2, 3)).log_prob(jnp.zeros((2, 3))).shape == (2, 3)
