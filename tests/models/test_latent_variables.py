"""What the VAE and the IWAE share: labels, other posteriors and priors, importance weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models.test_vae import BATCH, KEY, PARTS, apply, init, log_weights, vae

from gen_jax import models, networks
from gen_jax.distributions import log_mean_exp
from gen_jax.models.latent_variables import sample_codes

LABELED = BATCH | {'label': jnp.array([0, 1, 2, 0, 1, 2])}
KINDS = {'vae': lambda **fields: vae(**fields), 'iwae': lambda **fields: models.IWAE(*PARTS, samples=3, **fields)}


def test_one_sample_of_the_bound_is_the_elbo_but_for_the_closed_form_of_its_kl():
  model = vae()
  variables = init(model)
  rows = jax.tree.map(lambda x: jnp.repeat(x[:1], 20_000, 0), BATCH) | {'row': jnp.arange(20_000, dtype=jnp.int32)}
  log_w = np.asarray(log_weights(model, variables, rows, KEY, 1), np.float64)[0]
  elbo = np.asarray(apply(model, variables, rows, method='per_example')['elbo'], np.float64)
  error = np.hypot(log_w.std(), elbo.std()) / np.sqrt(len(elbo))
  assert abs(log_w.mean() - elbo.mean()) < 4 * error


def test_the_bound_rises_with_the_number_of_samples():
  model = vae()
  variables = init(model)
  log_w = log_weights(model, variables, BATCH, KEY, 64 * 50)  # [3200,6]
  bounds = [float(log_mean_exp(log_w.reshape(k, -1, 6)).mean()) for k in (1, 4, 16, 64)]
  assert (np.diff(bounds) > 0.05).all()


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('prior', [networks.MixturePrior(4), networks.VampPrior((8, 8, 1), 4)], ids=['mixture', 'vamp'])
def test_learned_priors_have_gradients_and_samples(prior, kind):
  model = KINDS[kind](prior=prior)
  variables = init(model)
  gradient = jax.grad(lambda v: apply(model, v, BATCH, 0, method='loss')[0])(variables)['params']
  assert all(np.isfinite(x).all() and (x != 0).any() for x in jax.tree.leaves(gradient['prior']))
  terms = apply(model, variables, BATCH, method='per_example')
  assert 'kl_dim' not in terms and apply(model, variables, BATCH, method='sample').shape == (6, 8, 8, 1)
  np.testing.assert_allclose(terms['elbo'], -terms['reconstruction'] - terms['kl'], rtol=1e-5)


def uncorrelated(variables):
  """A diagonal posterior's variables as those of one with a full covariance."""
  last = variables['params']['encoder']['Dense_1']
  wider = {}
  for name, axis in (('kernel', 1), ('bias', 0)):
    mu, log_variance = jnp.split(last[name], 2, axis=axis)
    below = jnp.zeros_like(mu)
    wider[name] = jnp.concatenate([mu, 0.5 * log_variance, below], axis)
  return {'params': variables['params'] | {'encoder': variables['params']['encoder'] | {'Dense_1': wider}}}


def test_a_full_covariance_without_correlations_is_the_diagonal_posterior():
  diagonal, full = vae(), vae(family=networks.FullNormal())
  variables = init(diagonal)
  again = uncorrelated(variables)
  a = log_weights(diagonal, variables, BATCH, KEY, 3)
  b = log_weights(full, again, BATCH, KEY, 3)
  np.testing.assert_allclose(a, b, rtol=1e-4)


def test_a_flow_has_an_unbiased_estimate_of_its_evidence():
  # E_q[p(x,z)/q(z|x)] = p(x) for any q: a random flow and a random Normal agree on it
  normal, flow = vae(), vae(family=networks.InverseAutoregressiveFlow(2, 8, 4))
  variables = init(flow)
  assert variables['params']['family']
  shared = {'params': init(normal)['params'] | {'decoder': variables['params']['decoder']}}
  for seed in range(2):
    key = jax.random.key(seed)
    by_flow = log_mean_exp(log_weights(flow, variables, BATCH, key, 20_000))
    by_normal = log_mean_exp(log_weights(normal, shared, BATCH, key, 20_000))
    np.testing.assert_allclose(by_flow, by_normal, atol=0.15)


def test_a_conditional_model_uses_its_labels_on_both_sides():
  model = vae(conditional=True, num_classes=3)
  variables = init(model, LABELED)
  assert variables['params']['label_map']['Embed_0']['embedding'].shape == (3, 64)
  other = LABELED | {'label': (LABELED['label'] + 1) % 3}
  q, q_other = (apply(model, variables, batch, method='posterior') for batch in (LABELED, other))
  assert (jnp.abs(q.mu - q_other.mu).max(-1) > 1e-4).all()
  z = jnp.zeros((6, 3))
  images, others = (apply(model, variables, z, batch, method='decode') for batch in (LABELED, other))
  assert (jnp.abs(images - others).max((1, 2, 3)) > 1e-4).all()
  np.testing.assert_allclose(images[:3], images[3:], rtol=1e-6)  # one code, the same classes
  gradient = jax.grad(lambda v: apply(model, v, LABELED, 0, method='loss')[0])(variables)['params']
  assert (np.abs(gradient['label_map']['Embed_0']['embedding']).max(1) > 0).all()
  assert apply(model, variables, {n: LABELED[n] for n in ('row', 'label')}, method='sample').shape == (6, 8, 8, 1)


@pytest.mark.parametrize('kind', KINDS)
def test_the_prior_of_a_class_meets_the_codes_of_its_images(kind):
  model = KINDS[kind](conditional=True, num_classes=3, prior=networks.ClassMixturePrior(3, 2))
  variables = init(model, LABELED)
  labels = np.asarray(LABELED['label'])
  mu = jnp.array([-40.0, 0.0, 40.0])[:, None, None] + jnp.zeros((3, 2, 3))
  variables['params']['prior']['mu'] = mu  # classes far apart
  z = apply(model, variables, LABELED, method='latents')
  np.testing.assert_allclose(z.mean(-1), 40.0 * (labels - 1), atol=4)
  # log p(z|y) - log p(z|y') of the same codes is what the weights change by when y' gets the prior of y
  log_w = log_weights(model, variables, LABELED, KEY, 2)
  variables['params']['prior']['mu'] = jnp.zeros_like(mu)
  near = log_weights(model, variables, LABELED, KEY, 2)
  codes = model.apply(variables, LABELED, KEY, 2, method=sample_codes)
  z = np.asarray(codes.z).reshape(2, 6, 3)
  center = 40.0 * (labels - 1)[:, None]
  np.testing.assert_allclose(near - log_w, 0.5 * ((z - center) ** 2 - z**2).sum(-1), rtol=1e-3, atol=1e-2)
  gradient = jax.grad(lambda v: apply(model, v, LABELED, 0, method='loss')[0])(variables)['params']['prior']
  assert all((np.abs(g).reshape(3, -1).max(1) > 0).all() for g in (gradient['mu'], gradient['log_sigma']))


def test_the_estimated_kl_has_the_mean_of_the_closed_form():
  diagonal, full = vae(), vae(family=networks.FullNormal())
  variables = init(diagonal)
  variables['params']['encoder']['Dense_1']['bias'] = jnp.array([0.5, -1, 0.2, -0.5, 0.3, -1.0])
  rows = jax.tree.map(lambda x: jnp.repeat(x[:1], 20_000, 0), BATCH) | {'row': jnp.arange(20_000, dtype=jnp.int32)}
  exact = apply(diagonal, variables, BATCH, method='per_example')['kl'][0]
  kl = np.asarray(apply(full, uncorrelated(variables), rows, method='per_example')['kl'], np.float64)
  assert exact > 0.5 and abs(kl.mean() - exact) < 4 * kl.std() / np.sqrt(len(kl))
  _, metrics = apply(full, uncorrelated(variables), rows, 0, method='loss')
  np.testing.assert_allclose(metrics['kl'], kl.mean(), rtol=1e-4)
