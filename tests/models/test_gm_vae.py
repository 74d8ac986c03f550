import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats
from models.test_vae import BATCH, KEY, apply, init, log_weights
from small import random_variables

from gen_jax import models, networks
from gen_jax.distributions import log_likelihood

PARTS = networks.MLPEncoder((16,)), networks.MLPDecoder((16,)), networks.Bernoulli(binary=True)
MODEL = models.GMVAE(*PARTS, (8, 8, 1), latent_dim=1, clusters=3, features=8, code=networks.MLPEncoder((8,)))
VARIABLES = random_variables(MODEL.init, BATCH, scale=0.4)
GRID = np.linspace(-12, 12, 2_001)


def log_p_of_grid():
  """log p(x|z) on the grid of z, [2001,6]."""
  p = MODEL.apply(VARIABLES, jnp.array(GRID, jnp.float32)[:, None], method='p_x_given_z')
  return np.stack([log_likelihood(p, jnp.broadcast_to(x, p.logits.shape)) for x in BATCH['image']], 1)


def densities():
  """(q(y|x) [6,3], log q(z|x,y) [2001,6,3], log p(z|y) [2001,3]) on the grid."""
  q_y, q_z = MODEL.apply(VARIABLES, BATCH, method='posterior')
  p = MODEL.apply(VARIABLES, method='cluster_priors')
  log_q = scipy.stats.norm(q_z.mu[..., 0], np.exp(q_z.log_sigma[..., 0])).logpdf(GRID[:, None, None])
  return np.asarray(q_y.mean), log_q, scipy.stats.norm(p.mu[:, 0], np.exp(p.log_sigma[:, 0])).logpdf(GRID[:, None])


def test_the_importance_weights_estimate_the_integral():
  _, _, log_prior = densities()
  log_joint = log_p_of_grid() + scipy.special.logsumexp(log_prior - np.log(3), axis=1)[:, None]
  shift = log_joint.max(0)
  exact = np.log(np.trapezoid(np.exp(log_joint - shift), GRID, axis=0)) + shift
  log_w = np.asarray(log_weights(MODEL, VARIABLES, BATCH, KEY, 20_000), np.float64)
  relative = np.exp(log_w - exact)
  error = relative.std(0) / np.sqrt(len(relative))
  assert (np.abs(relative.mean(0) - 1) < 4 * error).all() and (error < 0.1).all()


def test_the_elbo_is_that_of_the_integral_over_z_and_the_sum_over_y():
  q_y, log_q, log_prior = densities()
  inside = log_p_of_grid()[:, :, None] + log_prior[:, None] - log_q  # [2001,6,3]
  by_cluster = np.trapezoid(np.exp(log_q) * inside, GRID, axis=0)
  expected = (q_y * (by_cluster - np.log(3) - np.log(q_y))).sum(-1)
  rows = jax.tree.map(lambda x: jnp.tile(x, (2_000, *(1,) * (x.ndim - 1))), BATCH)
  rows['row'] = jnp.arange(12_000, dtype=jnp.int32)
  terms = apply(MODEL, VARIABLES, rows, method='per_example')
  drawn = np.asarray(terms['elbo'], np.float64).reshape(2_000, 6)
  assert (np.abs(drawn.mean(0) - expected) < 4.5 * drawn.std(0) / np.sqrt(2_000)).all()
  np.testing.assert_allclose(terms['elbo'], -terms['reconstruction'] - terms['kl'], rtol=1e-4)


def test_the_loss_is_the_negative_elbo_and_reaches_every_parameter():
  loss, metrics = apply(MODEL, VARIABLES, BATCH, 0, method='loss')
  np.testing.assert_allclose(loss, -metrics['elbo'], rtol=1e-6)
  gradient = jax.grad(lambda v: apply(MODEL, v, BATCH, 0, method='loss')[0])(VARIABLES)
  assert all((np.asarray(x) != 0).any() for x in jax.tree.leaves(gradient))


def test_samples_take_the_clusters_in_turn():
  rows = {'row': jnp.arange(3_000, dtype=jnp.int32)}
  z = np.asarray(apply(MODEL, VARIABLES, rows, method='latents'))[:, 0].reshape(-1, 3)
  p = MODEL.apply(VARIABLES, method='cluster_priors')
  np.testing.assert_allclose(z.mean(0), p.mu[:, 0], atol=0.2)
  np.testing.assert_allclose(z.std(0), np.exp(p.log_sigma[:, 0]), rtol=0.1)


def test_an_image_is_of_the_cluster_that_is_likeliest_to_the_encoder():
  results = apply(MODEL, VARIABLES, BATCH, method='classify')
  np.testing.assert_array_equal(results, densities()[0].argmax(-1))
  encoder = VARIABLES['params']['encoder']
  for cluster in range(3):  # the first numbers that the encoder gives are the logits of q(y|x)
    sure = {**encoder['Dense_1'], 'bias': encoder['Dense_1']['bias'].copy()}
    sure['bias'][cluster] += 1_000
    variables = {'params': VARIABLES['params'] | {'encoder': encoder | {'Dense_1': sure}}}
    np.testing.assert_array_equal(apply(MODEL, variables, BATCH, method='classify'), np.full(6, cluster))


def test_the_running_variance_is_that_of_each_sample_about_its_own_image():
  model = MODEL.clone(likelihood=networks.OptimalGaussian())
  variables = init(model)
  variance = lambda batch: apply(model, variables, batch, 0, method='loss', mutable=('batch_stats',))[1]['batch_stats'][
    'likelihood'
  ]['variance']
  rows = [jax.tree.map(lambda x: x[i : i + 1], BATCH) for i in range(6)]  # noqa: B023, called at once
  np.testing.assert_allclose(np.mean([variance(row) for row in rows]), variance(BATCH), rtol=1e-6)
