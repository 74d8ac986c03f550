import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from facts import problems

from gen_jax import networks
from gen_jax.models import NoisyClassifier

KEY = jax.random.key(0)
SHAPE = (2, 2, 1)


class Linear(nn.Module):
  """Logits that are linear in what the encoder sees, and in the noise level."""

  def __call__(self, x, noise, outputs, rows, train):
    flat = x.reshape(len(x), -1)[:, :outputs]
    return flat * noise[:, None]


def classifier(**fields):
  return NoisyClassifier(Linear(), SHAPE, 3, **fields)


STATISTICS = {'statistics': {'mean': jnp.array([0.25]), 'deviation': jnp.float32(0.5)}}


def batch_of(rows=6):
  image = jax.random.uniform(KEY, (rows, *SHAPE), minval=-1.0)
  return {'image': image, 'label': jnp.arange(rows) % 3, 'row': jnp.arange(rows, dtype=jnp.int32)}


def test_the_statistics_are_those_of_the_data():
  examples = np.random.default_rng(0).uniform(-1, 1, (50, *SHAPE)).astype(np.float32)
  statistics = classifier().measure_data(examples)['statistics']
  np.testing.assert_allclose(statistics['mean'], [examples.mean()], rtol=1e-5)
  np.testing.assert_allclose(statistics['deviation'], examples.std(), rtol=1e-5)


def test_the_posterior_is_of_the_scaled_image_and_its_noise_level():
  x, sigma = jax.random.normal(KEY, (4, *SHAPE)), jnp.array([0.1, 1.0, 3.0, 20.0])
  log_p = classifier().apply(STATISTICS, x, sigma, jnp.arange(4), method='log_posterior')
  seen = x.reshape(4, -1)[:, :3] / np.sqrt(0.25 + sigma**2)[:, None]
  np.testing.assert_allclose(log_p, jax.nn.log_softmax(seen * np.log(sigma)[:, None] / 4), rtol=1e-4, atol=1e-6)


def test_the_loss_is_the_cross_entropy_at_levels_of_the_density():
  # noise that hardly varies: all at sigma = e^-9, where the images are as they are
  model, batch = classifier(time_mean=-9.0, time_deviation=1e-4), batch_of()
  loss, metrics = model.apply(STATISTICS, batch, 0, rngs=KEY, method='loss')
  seen = (batch['image'] - 0.25).reshape(6, -1)[:, :3] / 0.5 * (-9 / 4)
  expected = optax.softmax_cross_entropy_with_integer_labels(seen, batch['label'])
  np.testing.assert_allclose(loss, expected.mean(), rtol=1e-3)
  assert metrics['accuracy'] == pytest.approx((seen.argmax(-1) == batch['label']).mean())


def test_noise_has_the_deviation_that_it_says():
  batch = batch_of(2000)
  noisy = classifier().apply(STATISTICS, batch, jnp.full(2000, 3.0), KEY, method='add_noise')
  residual = noisy - (batch['image'] - 0.25)
  assert residual.std() == pytest.approx(3, rel=0.03) and abs(residual.mean()) < 0.1


def test_what_is_said_of_each_example():
  batch = batch_of(9)
  terms = classifier().apply(STATISTICS, batch, rngs=KEY, method='per_example')
  assert all(x.shape == (9,) for x in terms.values())
  assert terms['cross_entropy'].min() > 0
  assert set(np.unique(terms['accuracy_at_sigma_0.1'])) <= {0.0, 1.0} and 'accuracy_at_sigma_5' in terms


def test_it_learns_to_tell_noisy_classes():
  model = NoisyClassifier(networks.NoisyEncoder((8,), group=4), SHAPE, 2, time_mean=-1.0)
  means = jnp.array([-0.5, 0.5])

  def batch_at(step):
    key = jax.random.fold_in(KEY, step)
    label = jax.random.bernoulli(key, 0.5, (64,)).astype(jnp.int32)
    image = means[label][:, None, None, None] + 0.1 * jax.random.normal(key, (64, *SHAPE))
    return {'image': image, 'label': label, 'row': jnp.arange(64, dtype=jnp.int32)}

  variables = model.init(KEY, batch_at(0)) | {'statistics': {'mean': jnp.zeros(1), 'deviation': jnp.float32(0.5)}}
  optimizer = optax.adam(0.01)

  @jax.jit
  def train(step, carry):
    params, state = carry
    apply = lambda params: model.apply({**variables, 'params': params}, batch_at(step), step, rngs=KEY, method='loss')
    updates, state = optimizer.update(jax.grad(lambda params: apply(params)[0])(params), state)
    return optax.apply_updates(params, updates), state

  carry = variables['params'], optimizer.init(variables['params'])
  params, _ = jax.lax.fori_loop(1, 150, train, carry)
  # exact: two Gaussians of x_0 + sigma eps, four pixels
  batch, sigma = batch_at(999), jnp.full(64, 0.4)
  x = model.apply(variables, batch, sigma, KEY, method='add_noise')
  found = model.apply({**variables, 'params': params}, x, sigma, batch['row'], method='log_posterior')
  exact = jax.nn.log_sigmoid(x.sum((1, 2, 3)) / (0.01 + 0.16))
  assert np.corrcoef(np.exp(found[:, 1]), np.exp(exact))[0, 1] > 0.95


def test_what_it_refuses():
  assert problems(classifier(time='normal'), value_range=(-1.0, 1.0))[0].startswith("time='normal'")
  assert problems(classifier(time_deviation=-1.0), value_range=(-1.0, 1.0))[0].startswith('time_deviation=-1.0')
  lines = problems(classifier(), num_classes=0)
  assert lines[0] == 'name=NoisyClassifier: digits has no labels; choose a data set with classes'
  assert lines[1] == 'config.data.value_range=(0.0, 1.0): diffusion of images needs (-1.0, 1.0)'
