"""What a VAE does with each latent by itself: latents that open one after another, and nats that are free."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from facts import problems

from gen_jax import models, networks
from gen_jax.schedules import step_variables

KEY = jax.random.key(0)
BATCH = {
  'image': (jax.random.uniform(KEY, (6, 8, 8, 1)) > 0.5).astype(jnp.float32),
  'row': jnp.arange(6, dtype=jnp.int32),
}


def vae(latent_dim=3, **fields):
  parts = networks.MLPEncoder((16,)), networks.MLPDecoder((16,)), networks.Bernoulli(binary=True), (8, 8, 1)
  return models.VAE(*parts, latent_dim, **fields)


@functools.cache
def parameters():
  return jax.jit(vae().init)(KEY, BATCH)['params']


@functools.partial(jax.jit, static_argnums=0, static_argnames='method')
def apply(model, params, *arguments, method, step=None):
  """In an axis named 'batch' of one device; `step` is that of the checkpoint, where there is one."""
  variables = {'params': params, **({} if step is None else step_variables(step))}
  run = lambda arguments: model.apply(variables, *arguments, rngs=KEY, method=method)
  out = jax.vmap(run, axis_name='batch')(jax.tree.map(lambda x: jnp.asarray(x)[None], arguments))
  return jax.tree.map(lambda x: x[0], out)


def without_latent_2(params):
  """The parameters of a VAE of the first two latents alone."""
  encoder, decoder = params['encoder'], params['decoder']
  rows = jnp.array([0, 1, 3, 4])  # of mu and log sigma^2
  last = {'kernel': encoder['Dense_1']['kernel'][:, rows], 'bias': encoder['Dense_1']['bias'][rows]}
  first = decoder['Dense_0'] | {'kernel': decoder['Dense_0']['kernel'][:2]}
  return {'encoder': encoder | {'Dense_1': last}, 'decoder': decoder | {'Dense_0': first}}


def test_with_two_latents_open_a_vae_is_that_of_two_latents():
  opening = vae(open_latents=optax.linear_schedule(1.0, 3.0, 100))
  for step, small, params in ((50, vae(2), without_latent_2(parameters())), (100, vae(), parameters())):
    shown = lambda z, small=small: z[:, : small.latent_dim]
    terms = apply(opening, parameters(), BATCH, method='per_example', step=step)
    expected = apply(small, params, BATCH, method='per_example')
    np.testing.assert_allclose(shown(terms['kl_dim']), expected['kl_dim'], rtol=1e-5)
    np.testing.assert_allclose(terms['kl'], expected['kl'], rtol=1e-5)
    np.testing.assert_allclose(terms['squared_error'], expected['squared_error'], rtol=1e-5)
    z = jax.random.normal(KEY, (6, 3))
    decoded = apply(opening, parameters(), z, BATCH, method='decode', step=step)
    np.testing.assert_allclose(decoded, apply(small, params, shown(z), BATCH, method='decode'), rtol=1e-5)


def test_a_model_that_is_applied_without_a_step_has_all_its_latents():
  opening = vae(open_latents=optax.linear_schedule(1.0, 3.0, 100))
  all_open = apply(opening, parameters(), BATCH, method='posterior', step=100)
  for model in (opening, vae()):
    chex.assert_trees_all_close(apply(model, parameters(), BATCH, method='posterior'), all_open, rtol=1e-6)


def test_gradients_reach_open_latents_alone():
  opening = vae(open_latents=2.0)
  loss = lambda params: apply(opening, params, BATCH, 0, method='loss')[0]
  gradient = jax.jit(jax.grad(loss))(parameters())
  of_latents = np.abs(gradient['decoder']['Dense_0']['kernel']).max(1), np.abs(gradient['encoder']['Dense_1']['bias'])
  assert of_latents[0][:2].min() > 0 and of_latents[0][2] == 0
  assert (of_latents[1] > 0).tolist() == [True, True, False] * 2


def test_the_bound_holds_while_a_latent_opens():
  # one latent, one pixel: p(x) = integral N(z; 0, 1) N(x; m w z + b, s^2) dz, q(z|x) = N(m mu, sigma^(2 m))
  m, w, b, s, x, mu, sigma = 0.6, 1.3, 0.2, 0.6, 0.9, 0.7, 0.4
  parts = networks.MLPEncoder(()), networks.MLPDecoder(()), networks.Gaussian(sigma=s), (1, 1, 1)
  model = models.VAE(*parts, 1, open_latents=m)
  dense = lambda kernel, bias: {'Dense_0': {'kernel': jnp.array(kernel), 'bias': jnp.array(bias)}}
  params = {'encoder': dense([[0.0, 0.0]], [mu, 2 * np.log(sigma)]), 'decoder': dense([[w]], [b])}
  rows = 50_000
  batch = {'image': jnp.full((rows, 1, 1, 1), x), 'row': jnp.arange(rows, dtype=jnp.int32)}
  elbo = np.asarray(apply(model, params, batch, method='per_example')['elbo'], np.float64)
  variance = 1 / (1 + (m * w / s) ** 2)  # of p(z|x)
  mean, q_mean, q_sigma = variance * m * w * (x - b) / s**2, m * mu, sigma**m
  gap = np.log(np.sqrt(variance) / q_sigma) + (q_sigma**2 + (q_mean - mean) ** 2) / (2 * variance) - 0.5
  evidence = scipy.stats.norm(b, np.sqrt((m * w) ** 2 + s**2)).logpdf(x)
  assert abs(elbo.mean() - (evidence - gap)) < 4 * elbo.std() / np.sqrt(rows)


def test_free_nats_cost_nothing_and_the_rest_as_before():
  kl_dim = apply(vae(), parameters(), BATCH, method='per_example')['kl_dim'].mean(0)
  free = float(np.sort(kl_dim)[1]) + 1e-3  # two of three lie below
  reconstruction = apply(vae(), parameters(), BATCH, 0, method='loss')[1]['reconstruction']
  for schedule in (free, optax.linear_schedule(0.0, free, 10)):
    loss, metrics = apply(vae(beta=4.0, free_nats=schedule), parameters(), BATCH, 10, method='loss')
    np.testing.assert_allclose(loss, reconstruction + 4 * np.maximum(kl_dim, free).sum(), rtol=1e-5)
    np.testing.assert_allclose(metrics['kl'], kl_dim.sum(), rtol=1e-5)  # what is reported is the KL itself
  np.testing.assert_allclose(
    apply(vae(free_nats=0.0), parameters(), BATCH, 0, method='loss')[0],
    apply(vae(), parameters(), BATCH, 0, method='loss')[0],
    rtol=1e-6,
  )


def test_the_kl_of_the_global_batch_is_what_is_free():
  # each half of the batch has the KLs of other images, and a maximum is not linear; none is 0, where it has no gradient
  image = jnp.concatenate([jnp.full((4, 8, 8, 1), 0.5), jnp.ones((4, 8, 8, 1))])
  batch = {'image': image, 'row': jnp.arange(8, dtype=jnp.int32)}
  kl_dim = apply(vae(), parameters(), batch, method='per_example')['kl_dim']
  model = vae(free_nats=float(kl_dim.mean(0)[0]) * 0.99, beta=30.0)

  def gradient(devices):
    split = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)
    loss = lambda params, part: model.apply({'params': params}, part, 0, rngs=KEY, method='loss')[0]
    mean = lambda part: jax.lax.pmean(jax.grad(loss)(parameters(), part), 'batch')
    return jax.tree.map(lambda x: x[0], jax.jit(jax.vmap(mean, axis_name='batch'))(split))

  halves = sorted([kl_dim[:4].mean(0)[0], kl_dim[4:].mean(0)[0]])
  assert halves[0] < model.free_nats < halves[1]
  chex.assert_trees_all_close(gradient(1), gradient(2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', ['open_latents', 'free_nats'])
def test_what_no_single_latent_can_be_taken_from_is_refused(name):
  lines = lambda **fields: problems(vae(**fields))
  assert lines(**{name: 1.0}) == []
  assert lines(**{name: -1.0}) == [f'{name}=-1.0: must not be negative']
  message = f'{name}: needs a posterior of family DiagonalNormal and the prior StandardNormal'
  assert lines(**{name: 1.0, 'prior': networks.MixturePrior()}) == [message]
  assert lines(**{name: 1.0, 'family': networks.FullNormal()}) == [message]
