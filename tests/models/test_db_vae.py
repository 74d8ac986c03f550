import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from facts import problems
from models.test_vae import BATCH, KEY, apply, log_weights
from small import random_variables

from gen_jax import models, networks
from gen_jax.distributions import log_mean_exp

LABELS = jnp.array([1, 0, 1, 1, 0, 0], jnp.int32)
LABELED = {**BATCH, 'label': LABELS}


def db_vae(**fields):
  parts = networks.MLPEncoder((16,)), networks.MLPDecoder((16,)), networks.Gaussian(sigma=0.5)
  return models.DBVAE(*parts, (8, 8, 1), **{'latent_dim': 3} | fields)


MODEL = db_vae()
VARIABLES = random_variables(MODEL.init, LABELED, scale=0.3)


def loss_and_gradient(model, batch):
  return jax.value_and_grad(lambda variables: apply(model, variables, batch, 0, method='loss')[0])(VARIABLES)


def test_the_loss_is_the_weighted_sum_of_its_terms_example_by_example():
  model = db_vae(classification_weight=2.0, reconstruction_weight=0.3, kl_weight=0.7)
  loss, metrics = apply(model, VARIABLES, LABELED, 0, method='loss')
  logit = np.asarray(apply(model, VARIABLES, LABELED, method='class_logits'), np.float64)
  q = apply(model, VARIABLES, LABELED, method='posterior')
  y = np.asarray(LABELS)
  cross_entropy = -scipy.stats.bernoulli(1 / (1 + np.exp(-logit))).logpmf(y)
  mu, sigma = np.asarray(q.mu), np.exp(q.log_sigma)
  kl = ((sigma**2 + mu**2 - 1) / 2 - np.log(sigma)).sum(1)
  np.testing.assert_allclose(metrics['cross_entropy'], cross_entropy.mean(), rtol=1e-5)
  np.testing.assert_allclose(metrics['kl'], kl[y == 1].mean(), rtol=1e-5)
  np.testing.assert_allclose(metrics['accuracy'], ((logit > 0) == y).mean())
  of_vae = 0.3 * metrics['reconstruction'] + 0.7 * metrics['kl']  # means over the three positives of six
  np.testing.assert_allclose(loss, 2 * cross_entropy.mean() + of_vae * 3 / 6, rtol=1e-5)


def test_the_reconstruction_is_that_of_positives_alone():
  only = jax.tree.map(lambda x: x[LABELS == 1], LABELED)
  _, of_all = apply(MODEL, VARIABLES, LABELED, 0, method='loss')
  _, of_positives = apply(MODEL, VARIABLES, only, 0, method='loss')
  for name in ('reconstruction', 'kl'):
    np.testing.assert_allclose(of_all[name], of_positives[name], rtol=1e-5)


def test_the_decoder_learns_nothing_of_negatives():
  _, gradient = loss_and_gradient(MODEL, {**LABELED, 'label': jnp.zeros(6, jnp.int32)})
  for leaf in jax.tree.leaves(gradient['params']['decoder']):
    np.testing.assert_array_equal(leaf, 0)
  _, gradient = loss_and_gradient(MODEL, LABELED)
  changed = {**LABELED, 'image': jnp.where((LABELS == 1)[:, None, None, None], LABELED['image'], 0.3)}
  _, of_changed = loss_and_gradient(MODEL, changed)
  np.testing.assert_array_equal(
    gradient['params']['decoder']['Dense_1']['kernel'], of_changed['params']['decoder']['Dense_1']['kernel']
  )
  assert (np.abs(gradient['params']['encoder']['Dense_0']['kernel']) > 0).any()
  model = db_vae(classification_weight=0.0)
  through_pixels = lambda image: apply(model, VARIABLES, {**LABELED, 'image': image}, 0, method='loss')[0]
  of_images = np.asarray(jax.grad(through_pixels)(LABELED['image']))
  np.testing.assert_array_equal(of_images[LABELS == 0], 0)
  assert (np.abs(of_images[LABELS == 1]).sum((1, 2, 3)) > 0).all()


def test_without_the_terms_of_the_vae_it_is_a_classifier():
  loss, metrics = apply(db_vae(reconstruction_weight=0.0, kl_weight=0.0), VARIABLES, LABELED, 0, method='loss')
  np.testing.assert_allclose(loss, metrics['cross_entropy'], rtol=1e-6)


def test_weights_make_it_the_loss_of_the_course():
  # mean(cross-entropy + y (c KL + mean over pixels and channels |x - x_hat|)) of the lab of MIT's 6.S191, c = .0005
  model = models.DBVAE(
    networks.MLPEncoder((16,)), networks.MLPDecoder((16,)), networks.Laplace(), (8, 8, 1), latent_dim=3,
    reconstruction_weight=1 / 64, kl_weight=0.0005,
  )  # fmt: skip
  variables = jax.tree.map(jnp.asarray, VARIABLES)
  variables['params']['encoder']['Dense_1']['bias'] = jnp.concatenate([jnp.zeros(4), jnp.full(3, -30.0)])  # z is mu
  loss, _ = apply(model, variables, LABELED, 0, method='loss')
  logit, y = np.asarray(apply(model, variables, LABELED, method='class_logits'), np.float64), np.asarray(LABELS)
  cross_entropy = np.logaddexp(0, logit) - y * logit
  q = apply(model, variables, LABELED, method='posterior')
  absolute_error = jnp.abs(LABELED['image'] - apply(model, variables, LABELED, method='reconstruct'))
  kl = (-0.5 - q.log_sigma + (jnp.exp(2 * q.log_sigma) + q.mu**2) / 2).sum(1)
  of_vae = 0.0005 * kl + absolute_error.mean((1, 2, 3))
  expected = (cross_entropy + y * of_vae).mean() + np.log(2) * y.mean()  # the Laplace's constant, log 2 a pixel
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_another_class_may_be_the_positive_one():
  loss, _ = apply(db_vae(positive=0), VARIABLES, {**LABELED, 'label': 1 - LABELS}, 0, method='loss')
  np.testing.assert_allclose(loss, apply(MODEL, VARIABLES, LABELED, 0, method='loss')[0], rtol=1e-6)


def test_importance_weights_bound_the_evidence_of_a_linear_model():
  # one latent, one pixel, as in test_vae: p(x) = N(b, w^2 + s^2), here of the exact posterior, whose weights are equal
  w, b, sigma, x = 1.3, 0.2, 0.5, 0.9
  variance = 1 / (1 + w**2 / sigma**2)
  model = models.DBVAE(
    networks.MLPEncoder(()), networks.MLPDecoder(()), networks.Gaussian(sigma=sigma), (1, 1, 1), latent_dim=1
  )
  dense = lambda kernel, bias: {'Dense_0': {'kernel': jnp.array(kernel), 'bias': jnp.array(bias)}}
  mean = variance * w * (x - b) / sigma**2
  encoder = dense([[0.0, 0.0, 0.0]], [0.7, mean, np.log(variance)])
  variables = {'params': {'encoder': encoder, 'decoder': dense([[w]], [b])}}
  batch = {'image': jnp.full((4, 1, 1, 1), x), 'row': jnp.arange(4, dtype=jnp.int32), 'label': jnp.ones(4, jnp.int32)}
  log_w = log_weights(model, variables, batch, KEY, 7)
  evidence = scipy.stats.norm(b, np.sqrt(w**2 + sigma**2)).logpdf(x)
  np.testing.assert_allclose(log_w, np.full((7, 4), evidence), rtol=1e-4)
  np.testing.assert_allclose(log_mean_exp(log_w), evidence, rtol=1e-4)


@pytest.mark.parametrize(('label', 'right'), [(1, 1.0), (0, 0.0)])
def test_the_accuracy_of_an_example(label, right):
  logit = np.asarray(apply(MODEL, VARIABLES, LABELED, method='class_logits'))
  batch = {**LABELED, 'label': jnp.where(jnp.asarray(logit) > 0, label, 1 - label)}
  terms = apply(MODEL, VARIABLES, batch, method='per_example')
  np.testing.assert_array_equal(terms['accuracy'], right)


def test_what_cannot_be_is_one_line():
  assert problems(db_vae()) == []
  optimal = models.DBVAE(networks.MLPEncoder(()), networks.MLPDecoder(()), networks.OptimalGaussian(), (8, 8, 1))
  (line,) = problems(optimal)  # one variance of the batch would carry gradients of the negatives
  assert line.startswith('likelihood.name=OptimalGaussian')
  assert problems(db_vae(positive=10)) == ['positive=10: digits has the classes 0 to 9']
  assert problems(db_vae(kl_weight=-1.0)) == ['kl_weight=-1.0: must not be negative']


def test_squared_errors_are_those_of_reconstructions():
  found = apply(MODEL, VARIABLES, LABELED, method='per_example')
  reconstruction = apply(MODEL, VARIABLES, LABELED, method='reconstruct')
  error = ((np.asarray(LABELED['image']) - reconstruction) ** 2).sum((1, 2, 3))
  np.testing.assert_allclose(found['squared_error'], error, rtol=1e-5)
