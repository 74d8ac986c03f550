"""The penalties of a VAE: against enumeration, closed forms, numpy, and other numbers of devices."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models.test_vae import BATCH, KEY, apply, init, vae

from gen_jax.distributions import Normal
from gen_jax.models import penalties
from gen_jax.models.latent_variables import Codes

PENALTIES = {
  'total correlation': penalties.TotalCorrelation(num_examples=60),
  'factor vae': penalties.FactorVAEPenalty(hidden=(16, 16)),
  'dip': penalties.DIPPenalty(),
  'dip of samples': penalties.DIPPenalty(of_samples=True),
}


def test_stratified_weights_estimate_the_aggregate_posterior_without_bias():
  # q(z) = 1/N sum_i q(z|x_i) of any densities: over all batches that hold x_n, the mean of the estimates is exact
  densities = np.random.default_rng(0).uniform(0.1, 3.0, size=6)  # q(z|x_i) at one z ~ q(z|x_0)
  for batch in (2, 3, 5, 6):
    weights = np.exp(penalties.stratified_log_weights(jnp.arange(batch), batch, 6))
    others = np.array(list(itertools.permutations(range(1, 6), batch - 1)))
    for n in range(batch):  # the place of x_0 in the batch
      members = np.insert(others, n, 0, axis=1)
      np.testing.assert_allclose((densities[members] @ weights[n]).mean(), densities.mean(), rtol=1e-5)


def codes_of(q, z):
  return Codes(q, z, q.log_prob(z).sum(-1))


def correlated(rho, rows, sigma=0.3):
  """Codes whose aggregate is N(0, [[1, rho], [rho, 1]]), and their posteriors."""
  noise = np.random.default_rng(0)
  s = np.array([[1, rho], [rho, 1]]) - sigma**2 * np.eye(2)
  mu = noise.standard_normal((rows, 2)) @ np.linalg.cholesky(s).T
  z = mu + sigma * noise.standard_normal((rows, 2))
  q = Normal(jnp.array(mu, jnp.float32), jnp.full((rows, 2), np.log(sigma), jnp.float32))
  return codes_of(q, jnp.array(z, jnp.float32))


@pytest.mark.parametrize('rho', [0.0, 0.8])
def test_the_total_correlation_of_correlated_normals(rho):
  codes = correlated(rho, 4_000)
  model = penalties.TotalCorrelation(num_examples=4_000, weight=3.0)
  value, results = jax.jit(lambda c: model(c, c, jnp.arange(4_000), 0))(codes)
  np.testing.assert_allclose(results['total_correlation'], -0.5 * np.log(1 - rho**2), atol=0.03)
  np.testing.assert_allclose(value, 3 * results['total_correlation'], rtol=1e-6)


def test_small_batches_estimate_too_little():
  # Jensen: the logarithm of an unbiased estimate is too low, more so for q(z) than for the product
  values = []
  for batch in (16, 64, 256):
    codes, model = correlated(0.8, 4_096), penalties.TotalCorrelation(num_examples=4_096)
    parts = jax.tree.map(lambda x: x.reshape(-1, batch, 2), (codes.q, codes.z))  # noqa: B023, called at once

    def estimate(q, z, model=model, batch=batch):
      return model(codes_of(q, z), codes_of(q, z), jnp.arange(batch), 0)[1]['total_correlation']

    values.append(float(jax.jit(jax.vmap(estimate))(*parts).mean()))
  exact = -0.5 * np.log(1 - 0.8**2)
  assert np.abs(np.diff([*values, exact])).sum() == pytest.approx(abs(exact - values[0]), abs=0.02)  # monotone
  assert abs(values[-1] - exact) < abs(values[0] - exact)


@pytest.mark.parametrize('of_samples', [False, True])
def test_the_covariance_is_numpys(of_samples):
  noise = np.random.default_rng(0)
  q = Normal(jnp.array(noise.normal(size=(8, 3)), jnp.float32), jnp.array(noise.normal(size=(8, 3)), jnp.float32))
  codes = codes_of(q, q.mu)
  model = penalties.DIPPenalty(off_diagonal=2.0, diagonal=5.0, of_samples=of_samples)
  value, results = model(codes, codes, jnp.arange(8), 0)
  c = np.cov(np.asarray(q.mu, np.float64).T, bias=True)
  if of_samples:
    c += np.diag(np.exp(2 * np.asarray(q.log_sigma, np.float64)).mean(0))
  off, on = sum(c[i, j] ** 2 for i in range(3) for j in range(3) if i != j), sum((c[i, i] - 1) ** 2 for i in range(3))
  np.testing.assert_allclose([results['covariance'], results['variance']], [off, on], rtol=1e-5)
  np.testing.assert_allclose(value, 2 * off + 5 * on, rtol=1e-5)


def test_permute_latents_keep_each_latent_and_lose_what_they_share():
  z = jnp.stack([jnp.arange(500.0)] * 3, axis=1)
  permuted = np.asarray(penalties.permute_latents(z, KEY))
  np.testing.assert_array_equal(np.sort(permuted, 0), z)
  assert np.abs(np.corrcoef(permuted.T) - np.eye(3)).max() < 0.15


def test_the_best_discriminator_finds_the_total_correlation():
  # of two normals of correlation rho, the log ratio is a quadratic, which this "network" can be
  rho, codes = 0.8, correlated(0.8, 4_000)

  def logit(params, z):
    return params[0] + params[1] * z[:, 0] * z[:, 1] + params[2] * (z**2).sum(1)

  class Quadratic(penalties.FactorVAEPenalty):
    def logit(self, z):
      return logit(self.weight, z)

  best = jnp.array([-0.5 * np.log(1 - rho**2), rho / (1 - rho**2), -0.5 * rho**2 / (1 - rho**2)])
  loss = jax.jit(lambda params: Quadratic(params).loss(codes, codes, jnp.arange(4_000), KEY)[0])
  gradient = jax.grad(loss)(best)
  assert jnp.abs(gradient).max() < 0.02  # the ratio is where the cross-entropy is least
  assert all(loss(best + 0.3 * step) > loss(best) for step in (*jnp.eye(3), *-jnp.eye(3)))
  _, results = Quadratic(best)(codes, codes, jnp.arange(4_000), 0)
  np.testing.assert_allclose(results['total_correlation'], -0.5 * np.log(1 - rho**2), atol=0.05)


@pytest.mark.parametrize('name', PENALTIES)
def test_the_number_of_devices_changes_nothing(name):
  model = vae(penalty=PENALTIES[name], beta=1.0)
  variables = init(model)

  def step(variables, batch, loss):
    objective = lambda v: model.apply(v, batch, 0, rngs=KEY, method=loss)
    (value, metrics), gradient = jax.value_and_grad(objective, has_aux=True)(variables)
    return jax.lax.pmean((value, metrics, gradient), 'batch')

  for player in model.players.values():
    results = []
    for devices in (1, 2):
      parts = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), BATCH)  # noqa: B023
      run = jax.jit(jax.vmap(functools.partial(step, loss=player.loss), (None, 0), axis_name='batch'))
      results.append(jax.tree.map(lambda x: x[0], run(variables, parts)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5), *results)


@pytest.mark.parametrize('name', PENALTIES)
def test_the_objective_is_the_elbo_and_the_penalty(name):
  plain, model = vae(), vae(penalty=PENALTIES[name])
  variables = init(model)
  loss, metrics = apply(model, variables, BATCH, 0, method='loss')
  without = {'params': {group: p for group, p in variables['params'].items() if group != 'penalty'}}
  expected, _ = apply(plain, without, BATCH, 0, method='loss')
  penalty = PENALTIES[name]
  if name.startswith('dip'):
    value = 10 * metrics['covariance'] + 100 * metrics['variance']
  else:
    value = penalty.weight * metrics['total_correlation']
  np.testing.assert_allclose(loss - expected, value, rtol=1e-4, atol=1e-4)
  gradient = jax.grad(lambda v: apply(model, v, BATCH, 0, method='loss')[0])(variables)['params']
  assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))


def test_the_discriminator_is_a_player_of_its_own():
  model = vae(penalty=PENALTIES['factor vae'])
  assert model.players['discriminator'].trains == ('penalty',) and 'penalty' not in model.players['model'].trains
  params = init(model)['params']
  loss = lambda p: apply(model, {'params': params | {'penalty': p}}, BATCH, 0, method='discriminator_loss')[0]
  gradient = jax.grad(loss)(params['penalty'])
  assert all((g != 0).any() for g in jax.tree.leaves(gradient))
