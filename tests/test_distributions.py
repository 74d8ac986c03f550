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
  Categorical,
  DiscretizedLogistic,
  DiscretizedLogisticMixture,
  MultivariateNormal,
  Normal,
  NormalMixture,
  OneHotCategorical,
  kl_divergence,
  log_likelihood,
  log_mean_exp,
  sample_rows,
  softplus,
  sum_dims,
)

KEY = jax.random.key(0)


def test_normal_log_prob_is_scipys():
  mu, sigma, x = np.array([0.3, -2.0, 5.0]), np.array([0.1, 1.0, 4.0]), np.array([0.2, 1.0, 5.0])
  results = Normal(jnp.array(mu), jnp.log(sigma)).log_prob(jnp.array(x))
  np.testing.assert_allclose(results, scipy.stats.norm(mu, sigma).logpdf(x), rtol=1e-5)


def test_kl_divergence_is_the_integral():
  for mu_q, sigma_q, mu_p, sigma_p in [(0.5, 0.7, 0.0, 1.0), (-1.0, 2.0, 0.3, 0.5), (0.0, 1.0, 0.0, 1.0)]:
    q, p = scipy.stats.norm(mu_q, sigma_q), scipy.stats.norm(mu_p, sigma_p)
    integral, _ = scipy.integrate.quad(
      lambda x, q=q, p=p: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), mu_q - 12 * sigma_q, mu_q + 12 * sigma_q
    )
    results = kl_divergence(
      Normal(jnp.float32(mu_q), jnp.log(jnp.float32(sigma_q))), Normal(jnp.float32(mu_p), jnp.log(jnp.float32(sigma_p)))
    )
    np.testing.assert_allclose(results, integral, rtol=1e-5, atol=1e-6)


def test_kl_divergence_is_its_monte_carlo_estimate():
  q = Normal(jnp.array([0.5, -1.0]), jnp.array([-0.3, 0.4]))
  p = Normal(jnp.array([0.0, 1.0]), jnp.array([0.0, 0.2]))
  x = jax.vmap(q.sample)(jax.random.split(KEY, 200_000))
  ratios = np.asarray(jax.vmap(lambda x: q.log_prob(x) - p.log_prob(x))(x), np.float64)
  error = ratios.std(0) / math.sqrt(len(ratios))
  assert (np.abs(ratios.mean(0) - np.asarray(kl_divergence(q, p))) < 4 * error).all()


def test_reparameterized_gradients_are_those_of_the_expectation():
  # d/dmu E[x^3] = 3 (mu^2 + sigma^2) and d/dlog sigma E[x^3] = 6 mu sigma^2
  mu, log_sigma = jnp.float32(0.7), jnp.float32(-0.5)
  keys = jax.random.split(KEY, 400_000)

  def expectation(mu, log_sigma):
    return (jax.vmap(Normal(mu, log_sigma).sample)(keys) ** 3).mean()

  results = jax.grad(expectation, (0, 1))(mu, log_sigma)
  variance = math.exp(2 * -0.5)
  np.testing.assert_allclose(results, [3 * (0.49 + variance), 6 * 0.7 * variance], rtol=2e-2)


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


def test_categorical_is_scipys():
  rng = np.random.default_rng(0)
  logits, levels = rng.normal(size=(3, 5)), rng.integers(0, 5, 3)
  values = np.linspace(-1, 1, 5)
  q = Categorical(jnp.array(logits, jnp.float32), low=-1.0)
  exact = [scipy.stats.rv_discrete(values=(range(5), scipy.special.softmax(row))) for row in logits]
  results = q.log_prob(jnp.array(values[levels], jnp.float32))
  np.testing.assert_allclose(results, [p.logpmf(k) for p, k in zip(exact, levels, strict=True)], rtol=1e-5)
  np.testing.assert_allclose(q.mean, [p.expect(lambda k: -1 + k / 2) for p in exact], rtol=1e-5)
  drawn = np.asarray(jax.jit(jax.vmap(q.sample))(jax.random.split(KEY, 5_000)))
  for i, p in enumerate(exact):
    counts = np.isclose(drawn[:, i, None], values, atol=1e-6).sum(0)
    assert counts.sum() == 5_000
    assert scipy.stats.chisquare(counts, 5_000 * p.pmf(range(5))).pvalue > 1e-3


@pytest.mark.parametrize('low', [0.0, -1.0])
def test_every_gray_value_has_a_category_of_its_own(low):
  q = Categorical(jnp.broadcast_to(jnp.arange(256.0), (256, 256)), low)
  values = low + (1 - low) * np.arange(256) / 255
  expected = np.arange(256) - scipy.special.logsumexp(np.arange(256))
  np.testing.assert_allclose(q.log_prob(jnp.array(values, jnp.float32)), expected, rtol=1e-5, atol=1e-5)


def mixture(channels, levels, low=0.0, components=3):
  """With parameters of all sizes; a leading axis of one pixel."""
  rng = np.random.default_rng(channels)
  normal = lambda *shape: jnp.array(rng.normal(size=(1, *shape)), jnp.float32)
  below = jnp.tril(jnp.ones((channels, channels)), -1)[None, ..., None]
  c, k = channels, components
  return DiscretizedLogisticMixture(normal(k), normal(c, k), normal(c, k) - 1.5, below * normal(c, c, k), levels, low)


@pytest.mark.parametrize(('channels', 'levels', 'low'), [(1, 256, -1.0), (1, 2, 0.0), (2, 16, -1.0), (3, 5, 0.0)])
def test_mixture_sums_to_one_and_so_does_each_channel_given_those_before(channels, levels, low):
  q = mixture(channels, levels, low)
  grid = np.meshgrid(*[np.linspace(low, 1, levels, dtype=np.float32)] * channels, indexing='ij')
  log_probs = jax.vmap(q.log_prob)(jnp.stack(grid, axis=-1)[..., None, :].reshape(-1, 1, channels))
  log_probs = np.asarray(log_probs, np.float64).reshape(*(levels,) * channels, channels)
  np.testing.assert_allclose(np.exp(log_probs.sum(-1)).sum(), 1, rtol=1e-4)
  for c in range(channels):
    conditional = np.exp(log_probs[..., c])
    for after in range(c + 1, channels):  # does not depend on the channels after it
      assert np.ptp(conditional, axis=after).max() < 1e-4
    np.testing.assert_allclose(conditional.sum(c), np.ones((levels,) * (channels - 1)), rtol=1e-3)


def test_mixture_is_a_sum_of_products_of_scipys():
  q, x, levels = mixture(2, 11), np.array([0.3, 0.8], np.float32), 11
  logits, mu, log_scale, a = (np.asarray(leaf[0], np.float64) for leaf in (q.logits, q.mu, q.log_scale, q.coefficients))
  first = scipy.stats.logistic(mu[0], np.exp(log_scale[0]))
  second = scipy.stats.logistic(mu[1] + a[1, 0] * x[0], np.exp(log_scale[1]))
  half = 0.5 / (levels - 1)
  products = [p.cdf(v + half) - p.cdf(v - half) for p, v in ((first, x[0]), (second, x[1]))]
  expected = np.log((scipy.special.softmax(logits) * products[0] * products[1]).sum())
  np.testing.assert_allclose(q.log_prob(jnp.array(x)[None]).sum(), expected, rtol=1e-4)


def test_mixture_samples_its_own_probabilities():
  q = mixture(2, 3)
  drawn = np.asarray(jax.jit(jax.vmap(q.sample))(jax.random.split(KEY, 10_000)))[:, 0]
  grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 3)] * 2, indexing='ij'), axis=-1).reshape(-1, 2)
  counts = [np.isclose(drawn, x, atol=1e-6).all(-1).sum() for x in grid]
  log_probs = jax.vmap(q.log_prob)(jnp.array(grid, jnp.float32)[:, None]).sum((1, 2))
  probabilities = np.exp(np.asarray(log_probs, np.float64))
  assert sum(counts) == 10_000
  assert scipy.stats.chisquare(counts, 10_000 * probabilities / probabilities.sum()).pvalue > 1e-3


def test_mixture_mean_solves_the_linear_chain():
  # x = mu + A x, so that x = (I - A)^-1 mu in each component
  q = mixture(3, 256, low=-9.0)
  chains = [np.linalg.solve(np.eye(3) - q.coefficients[0, ..., k], q.mu[0, :, k]) for k in range(3)]
  expected = scipy.special.softmax(q.logits[0]) @ np.stack(chains)
  np.testing.assert_allclose(q.mean[0], np.clip(expected, -9, 1), rtol=1e-4)
  assert (np.abs(expected) < 1).any()


def test_the_log_likelihood_sums_over_pixels_whatever_the_axes_of_the_parameters():
  x = jax.random.randint(KEY, (2, 4, 3, 2), 0, 5) / 4
  logits = jax.random.normal(KEY, (2, 4, 3, 2, 5))
  each = np.log(scipy.special.softmax(np.asarray(logits), axis=-1))
  expected = np.take_along_axis(each, np.asarray(4 * x, int)[..., None], axis=-1).reshape(2, -1).sum(-1)
  np.testing.assert_allclose(log_likelihood(Categorical(logits), x), expected, rtol=1e-5)


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


def multivariate(rows=5, dim=3):
  rng = np.random.default_rng(0)
  below = np.tril(rng.normal(size=(rows, dim, dim)), -1)
  scale_tril = below + np.eye(dim) * rng.uniform(0.3, 2.0, (rows, dim, 1))
  return MultivariateNormal(jnp.array(rng.normal(size=(rows, dim))), jnp.array(scale_tril))


def test_multivariate_normal_log_prob_is_scipys():
  q, z = multivariate(), np.random.default_rng(1).normal(size=(5, 3))
  covariances = q.scale_tril @ q.scale_tril.swapaxes(1, 2)
  expected = [scipy.stats.multivariate_normal(m, c).logpdf(x) for m, c, x in zip(q.mu, covariances, z, strict=True)]
  np.testing.assert_allclose(q.log_prob(jnp.array(z)), expected, rtol=1e-4)


@pytest.mark.parametrize('diagonal', [False, True])
def test_what_is_drawn_has_the_density_that_is_said_of_it(diagonal):
  q = multivariate()
  q = Normal(q.mu, q.mu - 0.5) if diagonal else q
  eps = jax.random.normal(KEY, (5, 3))
  z, log_q = q.reparameterize(eps)
  np.testing.assert_allclose(log_q, sum_dims(q.log_prob(z)), rtol=1e-4)
  jacobian = jax.jacobian(lambda eps: q.reparameterize(eps)[0])(eps)[jnp.arange(5), :, jnp.arange(5)]
  change = np.linalg.slogdet(np.asarray(jacobian))[1]
  np.testing.assert_allclose(log_q, scipy.stats.norm.logpdf(eps).sum(-1) - change, rtol=1e-4)


def test_a_mixture_of_normals_is_the_weighted_sum_and_is_sampled_as_such():
  rng = np.random.default_rng(0)
  weights, mu, sigma = np.array([0.2, 0.5, 0.3]), rng.normal(size=(3, 2)), rng.uniform(0.2, 1.0, (3, 2))
  p = NormalMixture(jnp.log(weights), Normal(jnp.array(mu), jnp.log(sigma)))
  z = rng.normal(size=2)
  density = (weights * scipy.stats.norm(mu, sigma).pdf(z).prod(-1)).sum()
  np.testing.assert_allclose(p.log_prob(jnp.array(z)), np.log(density), rtol=1e-5)
  drawn = np.asarray(jax.vmap(p.sample)(jax.random.split(KEY, 40_000)))
  mean = weights @ mu
  np.testing.assert_allclose(drawn.mean(0), mean, atol=0.03)
  np.testing.assert_allclose(drawn.var(0), weights @ (sigma**2 + mu**2) - mean**2, rtol=0.05)


def test_one_hot_categories():
  p = np.array([0.1, 0.6, 0.3])
  q = OneHotCategorical(jnp.log(p) + 2.0)  # logits need not be normalized
  np.testing.assert_allclose(jax.vmap(q.log_prob)(jnp.eye(3)), np.log(p), rtol=1e-5)
  np.testing.assert_allclose(q.kl_to_uniform(), scipy.stats.entropy(p, np.full(3, 1 / 3)), rtol=1e-5)
  keys = jax.random.split(KEY, 20_000)
  hard = np.asarray(jax.vmap(q.sample)(keys))
  assert set(np.unique(hard)) == {0, 1} and (hard.sum(-1) == 1).all()
  assert scipy.stats.chisquare(hard.sum(0), 20_000 * p).pvalue > 1e-3


@pytest.mark.parametrize('temperature', [0.05, 1.0, 5.0])
def test_a_relaxed_sample_lies_on_the_simplex_and_is_largest_where_the_category_is(temperature):
  p = np.array([0.1, 0.6, 0.3])
  q, keys = OneHotCategorical(jnp.log(p)), jax.random.split(KEY, 20_000)
  z = np.asarray(jax.vmap(lambda key: q.sample_relaxed(key, temperature))(keys))
  np.testing.assert_allclose(z.sum(-1), 1, rtol=1e-5)
  # the Gumbel-max theorem: the largest is k with probability p_k, at any temperature
  assert scipy.stats.chisquare(np.bincount(z.argmax(-1)), 20_000 * p).pvalue > 1e-3
  sharp = (z.max(-1) > 0.99).mean()
  assert sharp > 0.7 if temperature == 0.05 else sharp < 0.3


def test_the_logarithm_of_a_mean_of_exponentials():
  log_w = np.random.default_rng(0).normal(size=(7, 4)) - 500
  np.testing.assert_allclose(log_mean_exp(jnp.array(log_w)), np.log(np.exp(log_w + 500).mean(0)) - 500, rtol=1e-6)


def test_softplus_and_its_derivatives():
  x = np.array([-1e4, -80.0, -20.0, -1.5, 0.0, 1e-3, 2.0, 40.0, 1e4])
  np.testing.assert_allclose(softplus(jnp.array(x)), np.logaddexp(0, x), rtol=1e-6)
  np.testing.assert_allclose(jax.vmap(jax.grad(softplus))(jnp.array(x)), scipy.special.expit(x), rtol=1e-6)
  second = scipy.special.expit(x) * scipy.special.expit(-x)
  np.testing.assert_allclose(jax.vmap(jax.grad(jax.grad(softplus)))(jnp.array(x)), second, rtol=1e-5, atol=1e-7)
