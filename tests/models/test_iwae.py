"""The IWAE's bound and its two gradients."""

import jax
import jax.flatten_util
import numpy as np
import pytest
from models.test_latent_variables import LABELED
from models.test_vae import BATCH, KEY, PARTS, apply, init, log_weights, vae

from gen_jax import models, networks


def iwae(likelihood=None, **fields):
  encoder, decoder, binary, *sizes = PARTS
  return models.IWAE(encoder, decoder, likelihood or binary, *sizes, **fields)


@pytest.mark.parametrize('dreg', [False, True])
def test_the_loss_is_the_negative_bound(dreg):
  model = iwae(samples=5, dreg=dreg)
  variables = init(model)
  loss, metrics = apply(model, variables, BATCH, 0, method='loss')
  np.testing.assert_allclose(loss, -metrics['bound'], rtol=1e-6)
  assert metrics['bound'] > metrics['elbo']
  results = apply(model, variables, BATCH, method='per_example')
  # `per_example` draws from the same stream of noise
  np.testing.assert_allclose(results['bound'].mean(), metrics['bound'], rtol=1e-5)


def gradients(model, variables, number=400):
  """Flat gradients [number, P] of the encoder and of the decoder, with as many keys."""
  params = variables['params']

  def one(key):
    loss = lambda params: apply(model, {'params': params}, BATCH, 0, method='loss', key=key)[0]
    gradient = jax.grad(loss)(params)
    return tuple(jax.flatten_util.ravel_pytree(gradient[name])[0] for name in ('encoder', 'decoder'))

  return jax.tree.map(np.asarray, jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(KEY, number)))


def test_the_doubly_reparameterized_gradient_has_the_same_mean_and_less_variance():
  variables = init(vae())
  plain, doubly = (gradients(iwae(samples=8, dreg=dreg), variables) for dreg in (False, True))
  # the decoder's is the same, sample by sample
  np.testing.assert_allclose(plain[1], doubly[1], rtol=1e-3, atol=1e-5)
  direction = plain[0].mean(0) / np.linalg.norm(plain[0].mean(0))
  a, b = plain[0] @ direction, doubly[0] @ direction
  assert abs(a.mean() - b.mean()) < 4 * np.hypot(a.std(), b.std()) / np.sqrt(len(a))
  assert doubly[0].var(0).sum() < 0.9 * plain[0].var(0).sum()
  # a wrong power of the weights would show: the means are far from 0 beside their errors
  assert b.mean() > 20 * b.std() / np.sqrt(len(b))


def by_rows(model, variables, batch, read):
  """`read` of the loss of every example alone, with its noise and label, averaged."""
  rows = [jax.tree.map(lambda x: x[i : i + 1], batch) for i in range(6)]  # noqa: B023, called at once
  return np.mean([read(*apply(model, variables, row, 0, method='loss', mutable=('batch_stats',))) for row in rows], 0)


@pytest.mark.parametrize('conditional', [False, True])
def test_every_sample_meets_its_own_image_and_label(conditional):
  model = iwae(samples=3, conditional=conditional, num_classes=3)
  variables = init(model, LABELED)
  part = jax.tree.map(lambda x: x[2:4], LABELED)
  whole = log_weights(model, variables, LABELED, KEY, 3)
  np.testing.assert_allclose(log_weights(model, variables, part, KEY, 3), whole[:, 2:4], rtol=1e-5)
  bound = lambda results, _: results[1]['bound']
  expected = bound(*apply(model, variables, LABELED, 0, method='loss', mutable=('batch_stats',)))
  np.testing.assert_allclose(by_rows(model, variables, LABELED, bound), expected, rtol=1e-5)


def test_the_running_variance_is_that_of_each_sample_about_its_own_image():
  model = iwae(networks.OptimalGaussian(), samples=3)
  variables = init(model)
  variance = lambda _, changed: changed['batch_stats']['likelihood']['variance']
  expected = variance(*apply(model, variables, BATCH, 0, method='loss', mutable=('batch_stats',)))
  np.testing.assert_allclose(by_rows(model, variables, BATCH, variance), expected, rtol=1e-6)
