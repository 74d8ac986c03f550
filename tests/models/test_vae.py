import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.integrate
import scipy.stats

from gen_jax import models, networks
from gen_jax.distributions import sum_dims

KEY = jax.random.key(0)
BATCH = {
  'image': (jax.random.uniform(KEY, (6, 8, 8, 1)) > 0.5).astype(jnp.float32),
  'row': jnp.arange(6, dtype=jnp.int32),
}


PARTS = networks.MLPEncoder((16,)), networks.MLPDecoder((16,)), networks.Bernoulli(binary=True), (8, 8, 1), 3


def vae(likelihood=None, **fields):
  encoder, decoder, binary, *sizes = PARTS
  return models.VAE(encoder, decoder, likelihood or binary, *sizes, **fields)


@functools.partial(jax.jit, static_argnums=0)
def init(model, batch=BATCH):
  return model.init(KEY, batch)


def apply_traced(model, variables, *arguments, method, key=KEY, mutable=False):
  """In an axis named 'batch' of one device."""
  run = lambda arguments: model.apply(variables, *arguments, rngs=key, method=method, mutable=mutable)
  out = jax.vmap(run, axis_name='batch')(jax.tree.map(lambda x: jnp.asarray(x)[None], arguments))
  return jax.tree.map(lambda x: x[0], out)


apply = jax.jit(apply_traced, static_argnums=0, static_argnames=('method', 'mutable'))


@functools.partial(jax.jit, static_argnums=(0, 4))
def log_weights(model, variables, batch, key, k):
  return model.apply(variables, batch, key, k, method='log_weights')


def test_the_loss_is_the_negative_elbo_at_beta_one():
  model = vae()
  variables = init(model)
  loss, metrics = apply(model, variables, BATCH, 0, method='loss')
  np.testing.assert_allclose(loss, -metrics['elbo'], rtol=1e-6)
  np.testing.assert_allclose(loss, metrics['reconstruction'] + metrics['kl'], rtol=1e-6)


def test_the_elbo_lies_below_the_exact_log_likelihood_and_an_exact_posterior_closes_the_gap():
  # one latent, one pixel: p(x) = integral N(z; 0, 1) N(x; w z + b, s^2) dz is N(b, w^2 + s^2)
  w, b, sigma, x = 1.3, 0.2, 0.6, 0.9
  variance = 1 / (1 + w**2 / sigma**2)
  model = models.VAE(
    networks.MLPEncoder(()), networks.MLPDecoder(()), networks.Gaussian(sigma=sigma), (1, 1, 1), 1
  )
  batch = {'image': jnp.full((50_000, 1, 1, 1), x), 'row': jnp.arange(50_000, dtype=jnp.int32)}
  dense = lambda kernel, bias: {'Dense_0': {'kernel': jnp.array(kernel), 'bias': jnp.array(bias)}}
  # the posterior N(variance w (x - b) / sigma^2, variance) does not depend on the encoder's input otherwise
  decoder = dense([[w]], [b])
  for shift, exact in ((0.0, True), (0.5, False)):
    mean = variance * w * (x - b) / sigma**2 + shift
    encoder = dense([[0.0, 0.0]], [mean, np.log(variance)])
    terms = apply(model, {'params': {'encoder': encoder, 'decoder': decoder}}, batch, method='per_example')
    elbo = np.asarray(terms['elbo'], np.float64)
    error = elbo.std() / np.sqrt(len(elbo))
    evidence = scipy.stats.norm(b, np.sqrt(w**2 + sigma**2)).logpdf(x)
    gap = shift**2 / (2 * variance)  # KL(q || p(z|x)) of two Gaussians of one variance
    assert abs(elbo.mean() - (evidence - gap)) < 4 * error
    assert exact or elbo.mean() < evidence - 4 * error


def test_gradients_of_the_elbo_are_those_of_its_numerical_integral():
  # with fixed noise, finite differences of the loss itself
  model = vae()
  variables = init(model)
  flat, rebuild = jax.flatten_util.ravel_pytree(variables['params'])
  loss = jax.jit(lambda flat: apply(model, {'params': rebuild(flat)}, BATCH, 0, method='loss')[0])
  gradient = jax.grad(loss)(flat)
  direction = jax.random.normal(jax.random.key(1), flat.shape)
  direction /= jnp.linalg.norm(direction)
  step = 1e-2
  numeric = (loss(flat + step * direction) - loss(flat - step * direction)) / (2 * step)
  np.testing.assert_allclose(gradient @ direction, numeric, rtol=2e-2)


def test_beta_and_capacity():
  model = vae()
  variables = init(model)
  _, metrics = apply(model, variables, BATCH, 0, method='loss')
  reconstruction, kl = metrics['reconstruction'], metrics['kl']
  loss, _ = apply(vae(beta=4.0), variables, BATCH, 0, method='loss')
  np.testing.assert_allclose(loss, reconstruction + 4 * kl, rtol=1e-5)
  annealed = vae(beta=30.0, capacity=optax.linear_schedule(0.0, 20.0, 100))
  for step in (0, 50, 100, 1000):
    loss, _ = apply(annealed, variables, BATCH, step, method='loss')
    capacity = 20 * min(step, 100) / 100
    np.testing.assert_allclose(loss, reconstruction + 30 * abs(kl - capacity), rtol=1e-5)


def test_beta_may_be_traced():
  variables = init(vae())
  lone = [apply(vae(beta=b), variables, BATCH, 0, method='loss')[0] for b in (1.0, 8.0)]
  loss = lambda beta: apply_traced(vae(beta=beta), variables, BATCH, 0, method='loss')[0]
  traced = jax.vmap(loss)(jnp.array([1.0, 8.0]))
  np.testing.assert_allclose(traced, lone, rtol=1e-5)


def test_terms_of_each_example():
  model = vae()
  variables = init(model)
  terms = apply(model, variables, BATCH, method='per_example')
  assert {name: x.shape for name, x in terms.items()} == {
    'elbo': (6,), 'reconstruction': (6,), 'kl': (6,), 'kl_dim': (6, 3), 'squared_error': (6,),
    'squared_error_sampled': (6,), 'bits_per_dim': (6,),
  }  # fmt: skip
  np.testing.assert_allclose(terms['elbo'], -terms['reconstruction'] - terms['kl'], rtol=1e-5)
  np.testing.assert_allclose(terms['kl'], terms['kl_dim'].sum(-1), rtol=1e-5)
  np.testing.assert_allclose(terms['bits_per_dim'], -terms['elbo'] / (64 * np.log(2)), rtol=1e-5)
  for name, method in (('squared_error', 'reconstruct'), ('squared_error_sampled', 'reconstruct_sampled')):
    again = apply(model, variables, BATCH, method=method)
    np.testing.assert_allclose(terms[name], sum_dims((BATCH['image'] - again) ** 2), rtol=1e-5)


def test_the_closed_form_kl_is_that_of_the_posteriors_samples():
  model = vae()
  variables = init(model)
  q = apply(model, variables, BATCH, method='posterior')
  kl_dim = apply(model, variables, BATCH, method='per_example')['kl_dim']
  mu, sigma = float(q.mu[0, 0]), float(jnp.exp(q.log_sigma[0, 0]))
  one, prior = scipy.stats.norm(mu, sigma), scipy.stats.norm()
  integral, _ = scipy.integrate.quad(
    lambda z: one.pdf(z) * (one.logpdf(z) - prior.logpdf(z)), mu - 10 * sigma, mu + 10 * sigma
  )
  np.testing.assert_allclose(kl_dim[0, 0], integral, rtol=1e-3, atol=1e-6)


def test_samples_decode_the_latents_that_are_given_beside_them():
  model = vae()
  variables = init(model)
  rows = {'row': jnp.arange(400, dtype=jnp.int32)}
  images = apply(model, variables, rows, method='sample')
  z = apply(model, variables, rows, method='latents')
  np.testing.assert_allclose(images, apply(model, variables, z, rows, method='decode'), rtol=1e-6)
  assert scipy.stats.kstest(np.asarray(z).ravel(), 'norm').pvalue > 1e-3
  assert images.shape == (400, 8, 8, 1)


LIKELIHOODS = [
  networks.Bernoulli(),
  networks.Gaussian(),
  networks.LearnedGaussian(),
  networks.OptimalGaussian(),
  networks.PixelGaussian(),
  networks.DiscretizedLogistic(),
  networks.DiscretizedLogisticMixture(components=2),
  networks.Categorical(levels=2),
]


@pytest.mark.parametrize('likelihood', LIKELIHOODS, ids=lambda module: type(module).__name__)
def test_every_likelihood_learns(likelihood):
  model = vae(likelihood)
  variables = dict(init(model))
  params, optimizer = variables.pop('params'), optax.adam(1e-2)

  @jax.jit
  def update(params, variables, opt_state, step):
    def loss(params):
      (value, _), changed = apply(
        model, {'params': params, **variables}, BATCH, step, method='loss', mutable=tuple(variables)
      )
      return value, changed

    (value, changed), gradients = jax.value_and_grad(loss, has_aux=True)(params)
    moves, opt_state = optimizer.update(gradients, opt_state)
    return optax.apply_updates(params, moves), dict(changed), opt_state, value

  opt_state, values = optimizer.init(params), []
  for step in range(60):
    params, variables, opt_state, value = update(params, variables, opt_state, step)
    values.append(float(value))
  assert np.isfinite(values).all()
  assert np.mean(values[-5:]) < np.mean(values[:5]) - 1


def test_the_capacity_is_held_by_the_global_batch():
  # the KLs of two halves lie on both sides of C, where the mean of |KL - C| is not |mean KL - C|
  model = vae(likelihood=networks.Gaussian())
  image = jnp.concatenate([jnp.zeros((4, 8, 8, 1)), jnp.full((4, 8, 8, 1), 9.0)])
  batch = {'image': image, 'row': jnp.arange(8, dtype=jnp.int32)}
  variables = init(model, batch)
  _, metrics = apply(model, variables, batch, 0, method='loss')
  held = model.clone(capacity=float(metrics['kl']) + 0.5, beta=30.0)

  def gradient(devices):
    split = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)
    loss = lambda params, part: held.apply({'params': params}, part, 0, rngs=KEY, method='loss')[0]
    mean = lambda part: jax.lax.pmean(jax.grad(loss)(variables['params'], part), 'batch')
    return jax.tree.map(lambda x: x[0], jax.jit(jax.vmap(mean, axis_name='batch'))(split))

  chex.assert_trees_all_close(gradient(1), gradient(2), rtol=1e-4, atol=1e-5)


def test_old_sections_become_the_model_that_they_made():
  plain = {'name': 'VAE', 'latent_dim': 3, 'beta': 4.0}
  assert models.VAE.upgrade(plain) == plain
  assert models.VAE.upgrade(plain | {'samples': 1, 'dreg': False}) == plain
  weighted = {'name': 'VAE', 'latent_dim': 3, 'samples': 5, 'dreg': True}
  expected = {'name': 'IWAE', 'latent_dim': 3, 'samples': 5, 'dreg': True}
  assert models.VAE.upgrade(weighted | {'beta': 1.0, 'capacity': 0.0, 'penalty': None}) == expected
  # what would have an effect stays, to be refused as no field
  assert models.VAE.upgrade(weighted | {'beta': 2.0}) == expected | {'beta': 2.0}
  assert models.VAE.upgrade(plain | {'samples': 0}) == plain | {'samples': 0}


def test_the_loss_is_minus_the_elbo_of_its_examples():
  model = vae()  # `loss` and `per_example` draw the same codes with one key, and are written apart
  variables = init(model)
  loss, metrics = apply(model, variables, BATCH, 0, method='loss')
  terms = apply(model, variables, BATCH, method='per_example')
  np.testing.assert_allclose(loss, -terms['elbo'].mean(), rtol=1e-6)
  for name in ('elbo', 'reconstruction', 'kl'):
    np.testing.assert_allclose(metrics[name], terms[name].mean(), rtol=1e-6)
  assert terms['reconstruction'].min() > 0 and terms['kl'].min() > 0  # of binary images, and of any two densities


def test_outliers_must_lie_a_margin_below_the_images():
  # a posterior that is the prior, and pixels that are 1 with probability sigmoid(b) whatever z is: both ELBOs are exact
  b, ones, zeros = 0.02, np.ones((6, 8, 8, 1), np.float32), np.zeros((6, 8, 8, 1), np.float32)
  mixed = np.where(np.arange(6)[:, None, None, None] < 2, ones, zeros)  # outliers, two of which look like the images
  batch = BATCH | {'image': ones, 'outlier': mixed}
  plain, exposed = vae(), vae(outlier_weight=0.5, outlier_margin=2.0)
  variables = jax.tree.map(jnp.zeros_like, init(plain, BATCH))
  variables['params']['decoder']['Dense_1']['bias'] += b
  (without, _), (loss, metrics) = (apply(model, variables, batch, 0, method='loss') for model in (plain, exposed))
  log_p = {1: -64 * np.log1p(np.exp(-b)), 0: -64 * np.log1p(np.exp(b))}
  above = {x: max(0.0, 2.0 - log_p[1] + log_p[0 if x == 0 else 1]) for x in (0, 1)}
  np.testing.assert_allclose(loss - without, 0.5 * (2 * above[1] + 4 * above[0]) / 6, rtol=1e-4)
  np.testing.assert_allclose(metrics['elbo_outliers'], (2 * log_p[1] + 4 * log_p[0]) / 6, rtol=1e-5)
  assert above[1] == 2.0 and 0 < above[0] < 1


def test_outliers_that_lie_far_below_cost_nothing():
  batch = BATCH | {'outlier': 1 - BATCH['image']}
  plain, exposed = vae(), vae(outlier_weight=3.0, outlier_margin=0.0)
  variables = jax.tree.map(jnp.zeros_like, init(plain, BATCH))
  likely = 4.0 * (2 * BATCH['image'] - 1)  # the logits of one image, which the bias of the decoder is
  batch['image'], batch['outlier'] = (jnp.broadcast_to(x[:1], x.shape) for x in (batch['image'], batch['outlier']))
  variables['params']['decoder']['Dense_1']['bias'] = likely[0].ravel()
  (without, _), (loss, _) = (apply(model, variables, batch, 0, method='loss') for model in (plain, exposed))
  assert loss == without
  swapped = batch | {'image': batch['outlier'], 'outlier': batch['image']}
  assert apply(exposed, variables, swapped, 0, method='loss')[0] > apply(plain, variables, swapped, 0, method='loss')[0]
