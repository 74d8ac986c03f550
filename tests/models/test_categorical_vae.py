import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from models.test_vae import BATCH, KEY, apply, log_weights
from small import random_variables

from gen_jax import models, networks
from gen_jax.distributions import OneHotCategorical, log_likelihood, log_mean_exp
from gen_jax.randomness import row_keys


def categorical_vae(**fields):
  parts = networks.MLPEncoder((16,)), networks.MLPDecoder((16,)), networks.Bernoulli(binary=True)
  return models.CategoricalVAE(*parts, (8, 8, 1), **{'latent_dim': 2, 'categories': 3} | fields)


MODEL = categorical_vae()
VARIABLES = random_variables(MODEL.init, BATCH, scale=0.3)


def every_z():
  return jnp.array([np.eye(3)[list(ks)].ravel() for ks in itertools.product(range(3), repeat=2)])  # [9,6]


def log_joint():
  """log p(x, z) for every z and example, [9,6]."""
  p = lambda z: MODEL.apply(VARIABLES, jnp.repeat(z[None], 6, 0), method='p_x_given_z')
  return np.stack([log_likelihood(p(z), BATCH['image']) for z in every_z()]) - 2 * np.log(3)


def test_the_importance_weights_estimate_the_sum_over_all_codes():
  exact = np.logaddexp.reduce(log_joint(), axis=0)
  log_w = log_weights(MODEL, VARIABLES, BATCH, KEY, 20_000)
  relative = np.exp(np.asarray(log_w, np.float64) - exact)  # mean 1
  error = relative.std(0) / np.sqrt(len(relative))
  assert (np.abs(relative.mean(0) - 1) < 4 * error).all() and (error < 0.1).all()
  assert (np.asarray(log_mean_exp(log_w)) < exact + 4 * error).all()


def test_the_elbo_is_that_of_the_sum_over_all_codes():
  q = MODEL.apply(VARIABLES, BATCH, method='posterior')
  log_q = np.stack([q.log_prob(jnp.repeat(z.reshape(1, 2, 3), 6, 0)).sum(-1) for z in every_z()])
  expected = (np.exp(log_q) * (log_joint() - log_q)).sum(0)  # [6]
  rows = jax.tree.map(lambda x: jnp.tile(x, (4_000, *(1,) * (x.ndim - 1))), BATCH)
  rows['row'] = jnp.arange(24_000, dtype=jnp.int32)
  terms = apply(MODEL, VARIABLES, rows, method='per_example')
  drawn = np.asarray(terms['elbo'], np.float64).reshape(4_000, 6)
  assert (np.abs(drawn.mean(0) - expected) < 4.5 * drawn.std(0) / np.sqrt(4_000)).all()
  np.testing.assert_allclose(terms['kl_dim'][:6], q.kl_to_uniform(), rtol=1e-4)


@pytest.mark.parametrize('straight_through', [False, True])
def test_the_loss_and_its_gradient(straight_through):
  model = categorical_vae(straight_through=straight_through, temperature=optax.linear_schedule(1.0, 0.5, 100))
  loss, metrics = apply(model, VARIABLES, BATCH, 50, method='loss')
  np.testing.assert_allclose(loss, metrics['reconstruction'] + metrics['kl'], rtol=1e-5)
  assert metrics['temperature'] == 0.75
  gradient = jax.grad(lambda v: apply(model, v, BATCH, 0, method='loss')[0])(VARIABLES)
  assert all((np.asarray(x) != 0).any() for x in jax.tree.leaves(gradient))


def test_straight_through_decodes_one_hot_codes():
  # at a temperature near 0 the relaxation itself is one-hot
  sharp, _ = apply(categorical_vae(temperature=1e-5), VARIABLES, BATCH, 0, method='loss')
  soft, _ = apply(categorical_vae(temperature=2.0), VARIABLES, BATCH, 0, method='loss')
  straight, _ = apply(categorical_vae(temperature=2.0, straight_through=True), VARIABLES, BATCH, 0, method='loss')
  np.testing.assert_allclose(straight, sharp, rtol=1e-4)
  assert abs(float(soft - sharp)) > 1e-3


def test_the_straight_through_gradient_is_that_of_the_relaxation_at_the_one_hot_code():
  model = categorical_vae(straight_through=True, temperature=2.0)
  noise = model.apply(VARIABLES, rngs=KEY, method=lambda model: model.make_rng('noise'))
  keys = row_keys(noise, BATCH['row'])

  def relaxed(encoder):
    q = model.apply({'params': VARIABLES['params'] | {'encoder': encoder}}, BATCH, method='posterior')
    return jax.vmap(lambda q, key: q.sample_relaxed(key, 2.0))(q, keys), q.kl_to_uniform().sum(-1).mean()

  def reconstruction(z):
    return -log_likelihood(model.apply(VARIABLES, z, method='p_x_given_z'), BATCH['image']).mean()

  encoder = VARIABLES['params']['encoder']
  (z, _), pull_back = jax.vjp(relaxed, encoder)
  at_one_hot = jax.grad(reconstruction)(jax.nn.one_hot(z.argmax(-1), 3))
  (expected,) = pull_back((at_one_hot, jnp.ones(())))
  loss = lambda encoder: apply(
    model, {'params': VARIABLES['params'] | {'encoder': encoder}}, BATCH, 0, method='loss'
  )[0]
  chex.assert_trees_all_close(jax.grad(loss)(encoder), expected, rtol=1e-3, atol=1e-5)


def test_codes_and_samples():
  codes = apply(MODEL, VARIABLES, BATCH, method='encode')
  np.testing.assert_allclose(codes.reshape(6, 2, 3).sum(-1), 1, rtol=1e-5)
  z = apply(MODEL, VARIABLES, {'row': jnp.arange(3_000, dtype=jnp.int32)}, method='latents').reshape(-1, 2, 3)
  np.testing.assert_allclose(z.mean(0), 1 / 3, atol=0.05)
  assert isinstance(apply(MODEL, VARIABLES, BATCH, method='posterior'), OneHotCategorical)
  assert apply(MODEL, VARIABLES, BATCH, method='sample').shape == (6, 8, 8, 1)
