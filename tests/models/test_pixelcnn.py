import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from small import random_variables

from gen_jax import models, networks

KEY = jax.random.key(0)


def pixelcnn(shape=(3, 3, 1), likelihood=None, **fields):
  network = networks.GatedPixelCNN(features=4, layers=2, kernel=3, hidden=8, num_classes=3)
  return models.PixelCNN(network, likelihood or networks.Bernoulli(binary=True), shape, **fields)


def batch_of(images, **more):
  return {'image': images, 'row': jnp.arange(len(images), dtype=jnp.int32), **more}


def apply(model, variables, *arguments, method, key=KEY):
  run = lambda variables, *arguments: model.apply(variables, *arguments, rngs=key, method=method)
  return jax.jit(run)(variables, *arguments)


def logits_of(model, variables):
  """The network alone, images -> [B,H,W,1]."""
  run = lambda x: model.network.apply({'params': variables['params']['network']}, x, 1)
  return jax.jit(run)


def all_images(shape, levels):
  """[levels^(HWC), H, W, C] on the grid of `levels` values in [0, 1]."""
  values = np.linspace(0, 1, levels, dtype=np.float32)
  return jnp.array(list(itertools.product(values, repeat=int(np.prod(shape))))).reshape(-1, *shape)


DISCRETE = {
  'bernoulli': ((3, 3, 1), 2, networks.Bernoulli(binary=True)),
  'categorical': ((2, 2, 1), 4, networks.Categorical(levels=4)),
  'categorical channels': ((2, 1, 2), 3, networks.Categorical(levels=3)),
  'mixture': ((2, 2, 1), 4, networks.DiscretizedLogisticMixture(components=2, levels=4)),
  'mixture channels': ((1, 2, 3), 2, networks.DiscretizedLogisticMixture(components=2, channels=3, levels=2)),
}


@pytest.mark.parametrize('case', DISCRETE)
def test_the_probabilities_of_all_images_sum_to_one(case):
  shape, levels, likelihood = DISCRETE[case]
  batch, model = batch_of(all_images(shape, levels)), pixelcnn(shape, likelihood)
  log_prob = np.asarray(apply(model, random_variables(model.init, batch), batch, method='log_prob'), np.float64)
  np.testing.assert_allclose(np.exp(log_prob).sum(), 1, rtol=1e-4)
  assert log_prob.std() > 0.3  # not merely uniform


def test_the_loss_is_the_mean_negative_log_probability_of_the_pixels_in_turn():
  model, batch = pixelcnn(), batch_of(all_images((3, 3, 1), 2)[100:140])
  variables = random_variables(model.init, batch)
  loss, metrics = apply(model, variables, batch, 0, method='loss')
  network, expected = logits_of(model, variables), 0.0
  for i, j in np.ndindex(3, 3):  # with nothing in place of the pixels from (i, j) on
    known = np.arange(9).reshape(1, 3, 3, 1) < 3 * i + j
    probability = scipy.special.expit(np.asarray(network(batch['image'] * known)[:, i, j, 0], np.float64))
    expected -= scipy.stats.bernoulli.logpmf(np.asarray(batch['image'][:, i, j, 0]), probability)
  np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)
  np.testing.assert_allclose(metrics['nll'], loss)
  terms = apply(model, variables, batch, method='per_example')
  np.testing.assert_allclose(terms['nll'], expected, rtol=1e-4)
  np.testing.assert_allclose(terms['bits_per_dim'], expected / 9 / np.log(2), rtol=1e-4)


def pvalue(images, possible, log_prob):
  """Of a chi-square test that `images` are drawn from the probabilities of the `possible` ones."""
  code = lambda binary: np.asarray(binary).reshape(len(binary), -1) @ 2 ** np.arange(binary[0].size)
  counts = (code(images)[:, None] == code(possible)).sum(0)
  probabilities = np.exp(np.asarray(log_prob, np.float64))
  return scipy.stats.chisquare(counts, len(images) * probabilities / probabilities.sum()).pvalue


def test_samples_have_their_exact_probabilities():
  model, possible = pixelcnn((2, 2, 1)), all_images((2, 2, 1), 2)
  variables = random_variables(model.init, batch_of(possible))
  log_prob = apply(model, variables, batch_of(possible), method='log_prob')
  images = apply(model, variables, {'row': jnp.arange(8000)}, method='sample')
  assert images.shape == (8000, 2, 2, 1)
  assert pvalue(images, possible, log_prob) > 1e-3
  uniform = np.zeros(16)
  assert pvalue(images, possible, uniform) < 1e-9  # the test can tell


def test_completions_keep_the_upper_half_and_have_the_probabilities_given_it():
  model, possible = pixelcnn((3, 2, 1)), all_images((3, 2, 1), 2)
  variables = random_variables(model.init, batch_of(possible))
  log_prob = apply(model, variables, batch_of(possible), method='log_prob')
  originals = jnp.tile(possible[30:31], (4000, 1, 1, 1))
  images = apply(model, variables, batch_of(originals), method='complete')
  np.testing.assert_array_equal(images[:, :1], originals[:, :1])
  same = np.asarray((possible[:, :1] == originals[:1, :1]).all((1, 2, 3)))
  assert same.sum() == 16
  assert pvalue(images, possible[same], log_prob[same]) > 1e-3


def test_sampling_by_windows_is_sampling_by_whole_images():
  # taller than what a pixel sees, so that the windows move
  shape = (7, 4, 1)
  model = pixelcnn(shape)
  batch = batch_of(jnp.zeros((5, *shape)))
  variables = random_variables(model.init, batch)
  results, network = apply(model, variables, batch, method='sample'), logits_of(model, variables)
  key = model.apply(variables, rngs=KEY, method=lambda model: model.make_rng('noise'))
  x = np.zeros((5, *shape), np.float32)
  for i, j in np.ndindex(7, 4):
    p = jax.nn.sigmoid(network(x)[:, i, j])
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(key, 4 * i + j), batch['row'])
    x[:, i, j] = jax.vmap(lambda k, p: jax.random.uniform(k, p.shape) < p)(keys, p)
  np.testing.assert_array_equal(results, x)
  assert 0.1 < x.mean() < 0.9


def test_noise_of_a_row_depends_on_its_number_alone():
  model = pixelcnn((4, 4, 1))
  variables = random_variables(model.init, batch_of(jnp.zeros((1, 4, 4, 1))))
  whole = apply(model, variables, {'row': jnp.arange(6)}, method='sample')
  part = apply(model, variables, {'row': jnp.arange(2, 5)}, method='sample')
  np.testing.assert_array_equal(whole[2:5], part)
  assert len(np.unique(np.asarray(whole).reshape(6, -1), axis=0)) > 3


def test_a_label_makes_each_conditional_a_distribution_of_its_own():
  possible, model = all_images((2, 2, 1), 2), pixelcnn((2, 2, 1), conditional=True, num_classes=3)
  labels = [jnp.full(16, y) for y in range(3)]
  variables = random_variables(model.init, batch_of(possible, label=labels[0]))
  log_probs = [apply(model, variables, batch_of(possible, label=label), method='log_prob') for label in labels]
  drawn = apply(model, variables, {'row': jnp.arange(9000), 'label': jnp.arange(9000) % 3}, method='sample')
  for y, log_prob in enumerate(log_probs):
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1, rtol=1e-5)
    pvalues = [pvalue(drawn[y::3], possible, other) for other in log_probs]
    assert pvalues[y] > 1e-3 and max(p for i, p in enumerate(pvalues) if i != y) < 1e-6
