"""The squared error of a mean code and of sampled codes, of linear decoders, where both have a closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models.test_vae import BATCH, apply
from small import random_variables

from gen_jax import models, networks

REPEATS = 4_000
LINEAR = networks.MLPEncoder(()), networks.MLPDecoder(()), networks.Gaussian(), (8, 8, 1)
MODELS = {
  'vae': models.VAE(*LINEAR, 3),
  'iwae': models.IWAE(*LINEAR, 3, samples=2),
  'gm vae': models.GMVAE(*LINEAR, latent_dim=2, clusters=3, features=4, code=networks.MLPEncoder(())),
  'categorical vae': models.CategoricalVAE(*LINEAR, latent_dim=2, categories=3),
}


def moments(kind, variables):
  """(weights [6,K], means [6,K,D], covariances [6,K,D,D]) of q(z|x) as a mixture of K parts."""
  q = MODELS[kind].apply(variables, BATCH, method='posterior')
  if kind == 'categorical vae':  # Cov of a one-hot variable: diag p - p p^T
    p = np.asarray(q.mean, np.float64)
    covariance = np.zeros((6, 6, 6))
    for n in range(2):
      part = slice(3 * n, 3 * n + 3)
      covariance[:, part, part] = [np.diag(row) - np.outer(row, row) for row in p[:, n]]
    return np.ones((6, 1)), p.reshape(6, 1, 6), covariance[:, None]
  weights, q = (q[0].mean, q[1]) if kind == 'gm vae' else (np.ones((6, 1)), jax.tree.map(lambda x: x[:, None], q))
  variance = np.exp(2 * np.asarray(q.log_sigma, np.float64))
  covariance = variance[..., None] * np.eye(variance.shape[-1])[None, None]
  return np.asarray(weights, np.float64), np.asarray(q.mu, np.float64), covariance


@pytest.mark.parametrize('kind', MODELS)
def test_the_error_of_a_sample_is_that_of_the_mean_and_what_the_variance_adds(kind):
  # E|x - W z - b|^2 = |x - W m - b|^2 + tr(W^T W Cov z) for a part of mean m
  variables = random_variables(MODELS[kind].init, BATCH, scale=0.2)
  weights, means, covariances = moments(kind, variables)
  decoder = variables['params']['decoder']['Dense_0']
  w, b, x = decoder['kernel'], decoder['bias'], np.asarray(BATCH['image']).reshape(6, 1, 64)
  of_parts = ((x - means @ w - b) ** 2).sum(-1) + np.einsum('de,bked->bk', w @ w.T, covariances)
  rows = {'image': jnp.repeat(BATCH['image'], REPEATS, axis=0), 'row': jnp.arange(6 * REPEATS, dtype=jnp.int32)}
  terms = apply(MODELS[kind], variables, rows, method='per_example')
  drawn = np.asarray(terms['squared_error_sampled'], np.float64).reshape(6, REPEATS)
  expected, error = (weights * of_parts).sum(-1), drawn.std(1) / np.sqrt(REPEATS)
  assert (np.abs(drawn.mean(1) - expected) < 4.5 * error).all() and (error < 0.02 * expected).all()

  likeliest = weights.argmax(-1)
  codes = means[np.arange(6), likeliest]
  if kind == 'categorical vae':
    codes = np.eye(3)[codes.reshape(6, 2, 3).argmax(-1)].reshape(6, 6)
  of_mean = ((x[:, 0] - codes @ w - b) ** 2).sum(-1)
  np.testing.assert_allclose(np.asarray(terms['squared_error']).reshape(6, REPEATS)[:, 0], of_mean, rtol=1e-4)
  if kind in ('vae', 'iwae'):
    assert (expected > 1.05 * of_mean).all()
