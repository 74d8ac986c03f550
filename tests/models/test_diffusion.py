"""Diffusion on data whose denoiser is known: points of a Gaussian, and digits."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from facts import problems
from small import random_variables

from gen_jax import models, networks
from gen_jax.config import SAMPLER, defaults
from gen_jax.diffusion.settings import sampler_variables
from gen_jax.evaluation.bound import BoundModel

SHAPE, MEAN, DEVIATION = (1, 1, 2), np.array([1.0, -2.0], np.float32), 0.5
SECTION = {'steps': 40, 'guidance': 1.0, 'interval': (0.0, 1e6), 'churn': 0.0}
FAMILIES = {  # (path, target, time)
  'ddpm': ('variance_preserving', 'epsilon', 'uniform'),
  'edm': ('edm', 'edm', 'log_normal'),
  'flow': ('linear', 'velocity', 'logit_normal'),
  'v': ('cosine', 'v', 'uniform'),
  'data': ('linear', 'data', 'uniform'),
}


class ExactNetwork(nn.Module):
  """F of the exact denoiser of N(MEAN, DEVIATION^2 I), whose target it is told; of class y the mean moves by y."""

  coefficients: object = None
  num_classes: int = 2

  @nn.compact
  def __call__(self, x, noise, labels, rows, train):
    sigma = jnp.exp(4 * noise)[:, None, None, None]
    c = self.coefficients(sigma)
    at = x / c.input
    shift = 0.0 if labels is None else jnp.where(labels == self.num_classes, 0.5, labels)[:, None, None, None]
    d = shift + DEVIATION**2 / (DEVIATION**2 + sigma**2) * (at - shift)
    return self.param('one', nn.initializers.ones, (1, 1, 1, 1)) * (d - c.skip * at) / c.out


def exact(family='edm', **fields):
  from gen_jax.diffusion.paths import PATHS
  from gen_jax.diffusion.targets import TARGETS

  path, target, time = FAMILIES[family]
  network = ExactNetwork(functools.partial(TARGETS[target], PATHS[path], sigma_data=np.float32(DEVIATION)))
  return models.Diffusion(network, SHAPE, None, path, target, time, **fields)


VARIABLES = {
  'params': {'denoiser': {'one': jnp.ones((1, 1, 1, 1))}},
  'statistics': {'mean': MEAN, 'deviation': np.float32(DEVIATION)},
}


def bound(model, **section):
  return BoundModel(model, VARIABLES | sampler_variables(SECTION | section))


def rows(n):
  return {'row': np.arange(n, dtype=np.int32)}


@pytest.mark.parametrize('family', FAMILIES)
def test_samples_of_an_exact_network_have_the_distribution_of_the_data(family):
  x = np.asarray(bound(exact(family)).sample(rows(4000))).reshape(-1, 2)
  np.testing.assert_allclose(x.mean(0), MEAN, atol=0.04)
  np.testing.assert_allclose(x.std(0), DEVIATION, rtol=0.05)


def test_all_families_bring_the_same_noise_to_the_same_point():
  samples = [np.asarray(bound(exact(family), steps=300).sample(rows(50))) for family in FAMILIES]
  for other in samples[1:]:
    np.testing.assert_allclose(other, samples[0], atol=5e-3)


@pytest.mark.parametrize('family', FAMILIES)
def test_the_loss_of_an_exact_network_is_the_variance_that_is_left(family):
  """E |F - F*|^2 = Var(x_0 | x) / c_out^2 summed over dimensions, averaged over the levels of the batch."""
  model, n = exact(family), 20_000
  x = (MEAN + DEVIATION * np.random.default_rng(0).normal(size=(n, 1, 1, 2))).astype(np.float32)

  def terms(model, batch):
    key = jax.random.key(3)
    squared_error, sigma = model.squared_errors(batch, *jax.random.split(key, 3), train=True)
    c = model.coefficients(sigma)
    left = DEVIATION**2 * sigma**2 / (DEVIATION**2 + sigma**2)
    return squared_error, 2 * left / c.out[:, 0, 0, 0] ** 2

  measured, expected = bound(model).compute(terms, {'image': x, **rows(n)})
  # of the lowest levels, where both are differences of like numbers, apart
  assert abs(np.mean(measured) / np.mean(expected) - 1) < 0.03
  loss, metrics = bound(model).loss({'image': x, **rows(n)}, 0)
  assert abs(loss / np.mean(expected) - 1) < 0.05 and abs(metrics['error'] / loss - 0.5) < 1e-5


def test_the_mean_and_the_deviation_are_measured_over_all_but_channels():
  x = np.random.default_rng(0).normal([3, -1], [0.5, 2], size=(500, 4, 4, 2)).astype(np.float32)
  of_data = exact().measure_data(x)['statistics']
  np.testing.assert_allclose(of_data['mean'], x.mean((0, 1, 2)), rtol=1e-5)
  np.testing.assert_allclose(of_data['deviation'], np.sqrt(x.var((0, 1, 2)).mean()), rtol=1e-5)


def test_guidance_goes_from_no_label_to_the_label_and_beyond():
  """Of Gaussians of one deviation, the guided one is that of mean m_none + w (m_y - m_none)."""
  model, batch = exact(conditional=True, num_classes=2), {**rows(2000), 'label': np.ones(2000, np.int32)}
  for strength, mean in ((0.0, 0.5), (1.0, 1.0), (3.0, 2.0)):
    x = np.asarray(bound(model, guidance=strength).sample(batch)).reshape(-1, 2)
    np.testing.assert_allclose(x.mean(0), MEAN + mean, atol=0.05)
  outside = bound(model, guidance=3.0, interval=(100.0, 200.0)).sample(batch)
  np.testing.assert_array_equal(outside, bound(model).sample(batch))


def test_labels_are_hidden_each_by_itself():
  class Seen(nn.Module):
    @nn.compact
    def __call__(self, x, noise, labels, rows, train):
      self.sow('seen', 'labels', labels)
      return self.param('one', nn.initializers.ones, (1, 1, 1, 1)) * x

  model = models.Diffusion(Seen(), SHAPE, None, conditional=True, num_classes=2, label_dropout=0.25)
  batch = {'image': np.zeros((4000, 1, 1, 2), np.float32), **rows(4000), 'label': np.ones(4000, np.int32)}
  run = lambda batch, method: model.apply(
    VARIABLES, batch, *((0,) if method == 'loss' else ()), rngs=jax.random.key(0), method=method, mutable='seen'
  )
  seen = np.asarray(run(batch, 'loss')[1]['seen']['denoiser']['labels'][0])
  assert set(np.unique(seen)) == {1, 2} and abs((seen == 2).mean() - 0.25) < 0.03
  part = {name: x[100:200] for name, x in batch.items()}
  np.testing.assert_array_equal(run(part, 'loss')[1]['seen']['denoiser']['labels'][0], seen[100:200])
  assert (np.asarray(run(batch, 'per_example')[1]['seen']['denoiser']['labels'][0]) == 1).all()


def test_what_is_said_of_an_example_does_not_depend_on_its_batch():
  x = np.random.default_rng(0).normal(size=(8, 1, 1, 2)).astype(np.float32)
  of = lambda part: bound(exact()).per_example({'image': x[part], 'row': np.arange(8, dtype=np.int32)[part]})['error']
  np.testing.assert_allclose([of(slice(i, i + 1))[0] for i in range(8)], of(slice(0, 8)), rtol=1e-4)


def test_moving_the_settings_of_a_sampler_compiles_nothing():
  model, batch, compiled = exact(conditional=True, num_classes=2), {**rows(4), 'label': np.ones(4, np.int32)}, []
  jax.monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: compiled.append(event) if event.endswith('backend_compile_duration') else None
  )
  bound(model).sample(batch)
  compiled.clear()
  moved = bound(model, steps=7, guidance=2.5, interval=(0.1, 30.0), churn=5.0).sample(batch)
  assert not compiled and np.isfinite(moved).all()
  bound(model.clone(sampler='ddim')).sample(batch)
  assert compiled  # another sampler is another program


def test_decode_begins_with_the_noise_that_latents_gives():
  model = bound(exact())
  np.testing.assert_allclose(model.decode(model.latents(rows(5)), rows(5)), model.sample(rows(5)), atol=1e-5)


def test_a_trajectory_ends_in_the_sample():
  model = bound(exact())
  path = model.compute(lambda model, batch: model.trajectory(batch, 4), rows(5))
  assert path.states.shape == path.estimates.shape == (5, 5, 1, 1, 2)
  np.testing.assert_allclose(path.states[-1], model.sample(rows(5)), atol=1e-5)
  first = np.asarray(model.latents(rows(5))).reshape(5, 1, 1, 2)
  np.testing.assert_allclose(path.states[0], MEAN + DEVIATION * first, atol=1e-2)


def test_the_velocity_is_how_states_move():
  """The difference of two near states of a way, by that of their -log sigma."""
  model = bound(exact(conditional=True, num_classes=2).clone(sampler='ddim'), steps=2_000)
  batch = {**rows(20), 'label': np.ones(20, np.int32)}
  path = model.compute(lambda model, batch: model.trajectory(batch, 1_000), batch)
  for i in (500, 600, 700):  # where noise and data are of a size
    high, low = np.asarray(path.levels, np.float64)[i : i + 2]
    moved = (np.asarray(path.states[i + 1]) - np.asarray(path.states[i])) / np.log(high / low)
    velocity = np.asarray(model.velocity(path.states[i], np.float32(high), batch))
    np.testing.assert_allclose(moved, velocity, atol=0.02 * np.abs(velocity).max())
    assert np.abs(velocity).max() > 0.1


def test_images_are_clipped_to_their_range_at_the_end():
  network = networks.UNet((4,), blocks=1)
  model = models.Diffusion(network, (4, 4, 1), (-1.0, 1.0))
  batch = {'image': np.zeros((3, 4, 4, 1), np.float32), **rows(3)}
  variables = random_variables(model.init, batch) | {
    'statistics': {'mean': np.full(1, 0.9, np.float32), 'deviation': np.float32(1)}
  }
  x = np.asarray(BoundModel(model, variables | sampler_variables(SECTION)).sample(batch))
  assert x.min() >= -1 and x.max() == 1


def test_classes_differ_by_their_densities():
  options = {'class_interval': (0.005, 100.0), 'class_levels': 60, 'class_screening': 30}
  model = bound(exact(conditional=True, num_classes=2, **options))
  x = np.array([[1.2, -2.5], [2.0, -1.0], [0.0, 0.0]], np.float32)
  batch = {'image': x.reshape(-1, 1, 1, 2), **rows(3)}
  of = lambda method, y: np.asarray(getattr(model, method)({**batch, 'label': np.full(3, y, np.int32)}))
  wanted = [scipy.stats.norm(MEAN + y, DEVIATION).logpdf(x).sum(-1) for y in range(2)]
  for method in ('class_log_prob', 'screening_log_prob'):
    np.testing.assert_allclose(of(method, 1) - of(method, 0), wanted[1] - wanted[0], rtol=0.02, atol=0.05)
  assert np.abs(of('class_log_prob', 1) - of('screening_log_prob', 1)).min() > 0.01


@pytest.mark.parametrize(('changes', 'problem'), (
  ({'path': 'straight'}, 'path='),
  ({'target': 'noise'}, 'target='),
  ({'time': 'normal'}, 'time='),
  ({'label_dropout': 1.5, 'conditional': True}, 'label_dropout=1.5: must lie in'),
  ({'label_dropout': 0.2}, 'label_dropout=0.2: has no effect with conditional=False; leave it out'),
  ({'class_levels': 3}, 'class_levels=3: has no effect with conditional=False; leave it out'),
  ({'time': 'uniform', 'time_mean': 0.5}, "time_mean=0.5: has no effect with time='uniform'; leave it out"),
  ({'time_deviation': 0.0}, 'time_deviation='),
  ({'class_interval': (0.1, 1.0, 4.0)}, 'class_interval='),
  ({'class_screening': 10, 'conditional': True}, 'class_screening=10: must be from 0 to below class_levels=10'),
  (
    {'class_screening': 0, 'class_candidates': 2, 'conditional': True},
    'class_candidates=2: has no effect with class_screening=0; leave it out',
  ),
  ({}, 'config.data.value_range=(0.0, 1.0): diffusion of images needs (-1.0, 1.0)'),
))  # fmt: skip
def test_problems(changes, problem):
  assert any(line.startswith(problem) for line in problems(exact().clone(**changes)))
  assert not problems(exact(), kind='points')


@pytest.mark.parametrize(('section', 'problem'), (
  ({'guidance': 2.0}, 'guidance=2.0: needs a model with classes'),
  ({'interval': (0.1, 2.0)}, 'interval=(0.1, 2.0): has no effect'),
  ({'name': 'hen'}, "name='hen' is unknown; did you mean heun?"),
  ({'churn': 3.0, 'name': 'ddim'}, 'churn=3.0: has no effect with name=ddim'),
))  # fmt: skip
def test_problems_of_a_sampler(section, problem):
  of = lambda **changes: list(exact().problems_of_sampler(defaults(SAMPLER) | changes))
  assert not of() and of(**section)[0].startswith(problem)
