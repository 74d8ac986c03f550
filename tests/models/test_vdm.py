import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from facts import problems
from small import random_variables

from gen_jax import models, networks
from gen_jax.config import SAMPLER, defaults
from gen_jax.diffusion.settings import COLLECTION
from gen_jax.distributions import Normal, kl_divergence, sum_dims

KEY = jax.random.key(0)
MEAN, DEVIATION = 0.3, 0.4
PROBABILITIES = (0.1, 0.2, 0.3, 0.4)


class OfEstimate(nn.Module):
  """The network of a denoiser D(x / alpha, sigma), `worse` of it in error."""

  denoise: object
  worse: float = 0.0

  @nn.compact
  def __call__(self, z, noise, labels, rows, train):
    sigma = jnp.exp(4 * noise)[:, None, None, None]
    x = z * jnp.sqrt(1 + sigma**2)
    return (1 - self.worse) * (x - self.denoise(x, sigma)) / sigma - z


def of_gaussian(x, sigma):
  return (DEVIATION**2 * x + sigma**2 * MEAN) / (DEVIATION**2 + sigma**2)


def of_values(x, sigma):
  """E of values in [-1, 1] with PROBABILITIES."""
  values = jnp.linspace(-1, 1, len(PROBABILITIES)).reshape(1, 1, 1, 1, -1)
  logits = jnp.log(jnp.array(PROBABILITIES)).reshape(values.shape)
  logits = logits - 0.5 * ((x[..., None] - values) / sigma[..., None]) ** 2
  return (jax.nn.softmax(logits) * values).sum(-1)


def vdm(denoise=of_gaussian, schedule=None, worse=0.0, levels=256, **fields):
  schedule = schedule or networks.LinearSchedule(-13.3, 13.0)
  denoiser = denoise if isinstance(denoise, nn.Module) else OfEstimate(denoise, worse)
  return models.VDM(denoiser, schedule, (1, 1, 1), levels, **{'fourier': (), **fields})


def small_vdm(**fields):
  """One of images of two pixels, with a network of its own."""
  denoiser = networks.MLPDenoiser(hidden=8, blocks=1, num_classes=3)
  schedule = networks.MonotoneSchedule(features=4)
  return models.VDM(denoiser, schedule, (2, 1, 1), 4, **{'fourier': (), **fields})


def apply(model, variables, *arguments, method):
  run = jax.jit(lambda variables, *arguments: model.apply(variables, *arguments, method=method, rngs=KEY))
  return run(variables, *arguments)


def grid_of(x, times=3_000, nodes=12):
  """(x, t, noise) [N], and a function of what is said of them: E over t and noise for each x, by quadrature."""
  noise, weights = np.polynomial.hermite_e.hermegauss(nodes)
  t = (np.arange(times) + 0.5) / times
  mesh = np.meshgrid(x, t, noise, indexing='ij')
  mean = lambda values: np.asarray(values, np.float64).reshape(len(x), times, nodes) @ (weights / weights.sum())
  return [jnp.array(a.reshape(-1), jnp.float32) for a in mesh], lambda values: mean(values).mean(1)


def diffusion_term(model, x, variables=None, **sizes):
  """E of the term for each of the numbers x."""
  (x, t, noise), mean = grid_of(x, **sizes)
  images = lambda a: a.reshape(-1, 1, 1, 1)
  return mean(apply(model, variables or {}, images(x), t, images(noise), None, jnp.arange(len(x)), method='diffusion'))


def density_bound(model, x, variables=None, **sizes):
  """The bound of -log p(x) of numbers x: -log p(x|z_0) is the entropy of z_0 / alpha, as it were a density."""
  prior = apply(model, variables or {}, jnp.array(x, jnp.float32).reshape(-1, 1, 1, 1), method='prior')
  entropy = 0.5 * (np.log(2 * np.pi * np.e) + model.schedule.gamma_min)
  return np.asarray(prior, np.float64) + diffusion_term(model, x, variables, **sizes) + entropy


X = np.array([-0.9, -0.2, 0.1, 0.3, 1.0])
LOG_P = scipy.stats.norm(MEAN, DEVIATION).logpdf(X)


def test_with_the_exact_score_of_a_gaussian_the_bound_is_its_density():
  np.testing.assert_allclose(density_bound(vdm(), X), -LOG_P, atol=1e-3)
  nodes, weights = np.polynomial.hermite_e.hermegauss(8)  # of the data: another model is worse on average
  worse = density_bound(vdm(worse=0.1), MEAN + DEVIATION * nodes) @ weights / weights.sum()
  assert worse > 0.5 * np.log(2 * np.pi * np.e * DEVIATION**2) + 0.05


def test_the_bound_falls_with_the_steps_to_that_of_continuous_time():
  bounds = [density_bound(vdm(timesteps=T), X, times=T) for T in (8, 32, 128, 512)]
  assert (np.diff(bounds, axis=0) < 0).all()
  gaps = np.array(bounds) + LOG_P
  assert (gaps[-1] > 0).all() and gaps[-1].max() < 0.3
  np.testing.assert_allclose(gaps[-2] / gaps[-1], 4, rtol=0.1)  # of first order


@pytest.mark.parametrize('steps', [4, 16, 64])
def test_the_bound_of_discrete_time_lies_above_the_density_of_its_own_chain(steps):
  # z_s given z_t is Gaussian, and D linear in z_t: so is all
  model = vdm(timesteps=steps, schedule=networks.LinearSchedule(-8.0, 8.0))
  variance = np.exp(np.linspace(8.0, -8.0, steps + 1))  # of the noise
  mean, var = 0.0, 1 + variance[0]
  for now, then in itertools.pairwise(variance):
    slope, ratio = DEVIATION**2 / (DEVIATION**2 + now), then / now
    factor = slope + ratio * (1 - slope)
    mean, var = factor * mean + (1 - ratio) * (1 - slope) * MEAN, factor**2 * var + then * (1 - ratio)
  # E -log p(z_0) and the entropy of z_0
  expected = 0.5 * (np.log(2 * np.pi * var) + ((X - mean) ** 2 + variance[-1]) / var)
  gap = density_bound(model, X, times=steps) - expected
  assert (gap > -1e-3).all() and gap.mean() > 0.01


def test_what_lies_between_the_ends_does_not_change_the_bound():
  linear = vdm(schedule=networks.LinearSchedule(-9.0, 7.0), worse=0.2)
  bent = vdm(schedule=networks.MonotoneSchedule(-9.0, 7.0, learned_ends=False, features=5), worse=0.2)
  variables = bent_variables(bent)
  t = jnp.linspace(0, 1, 21)
  gammas = [apply(model, of, t, method='gamma') for model, of in ((linear, {}), (bent, variables))]
  assert np.abs(gammas[0] - gammas[1]).max() > 1
  terms = [diffusion_term(linear, X), diffusion_term(bent, X, variables)]
  np.testing.assert_allclose(*terms, rtol=1e-4)
  both = ((linear.clone(timesteps=16), {}), (bent.clone(timesteps=16), variables))
  discrete = [density_bound(model, X, of, times=16) for model, of in both]
  assert np.abs(discrete[0] - discrete[1]).min() > 1e-3  # where it does


def bent_variables(model, ends=None):
  """Of a MonotoneSchedule that is far from a line."""
  parameters = {
    'slope': jnp.array(0.3),
    'centers': jnp.array([0.1, 0.2, 0.3, 0.7, 0.9]),
    'steepness': jnp.array([6.0, -12.0, 3.0, 10.0, 8.0]),
    'weights': jnp.array([2.0, 1.0, -1.0, 0.2, 0.4]),
  }
  return {'params': {'schedule': parameters | ({} if ends is None else {'shift': jnp.array(ends)})}}


def test_of_the_schedule_the_ends_descend_the_bound_and_the_rest_its_variance():
  model = vdm(schedule=networks.MonotoneSchedule(-6.0, 4.0, features=5), worse=0.3)
  variables = bent_variables(model, ends=(0.5, -0.2))
  (x, t, noise), _ = grid_of([0.4], times=4_000, nodes=3)
  images, rows = (lambda a: a.reshape(-1, 1, 1, 1)), jnp.arange(len(x))

  def objectives(model, x, t, noise):
    diffusion = model.diffusion(x, t, noise, None, rows)
    return diffusion.mean(), model.spread(t, diffusion)

  def gradient(which):
    run = lambda variables: model.apply(variables, images(x), t, images(noise), method=objectives)[which]
    in_batch = jax.vmap(lambda _: jax.grad(run)(variables)['params']['schedule'], axis_name='batch')
    return jax.tree.map(lambda a: a[0], jax.jit(in_batch)(jnp.zeros(1)))

  # by itself: w(gamma), through which both derivatives are taken in t
  def error(gamma):
    sigma = jnp.exp(gamma / 2)
    scaled = x + sigma * noise
    return (noise - 0.7 * (scaled - of_gaussian(scaled, sigma)) / sigma) ** 2

  def moments(parameters):
    run = lambda t: model.schedule.apply({'params': parameters}, t, method='progress')
    low, high = -6.0 + parameters['shift'][0], 4.0 + parameters['shift'][1]
    progress, rate = jax.jvp(run, (t,), (jnp.ones_like(t),))
    loss = 0.5 * (high - low) * rate * error(low + (high - low) * progress)
    return loss.mean(), (loss**2).mean()

  parameters = variables['params']['schedule']
  mean = moments(parameters)[0]
  of_bound, of_variance = jax.jit(jax.jacrev(moments))(parameters)
  bound, variance = gradient(0), gradient(1)
  np.testing.assert_allclose(bound['shift'], of_bound['shift'], rtol=2e-3)
  # the bound is an integral over gamma
  ends = [0.5 * error(jnp.full(x.shape, end)).mean() for end in (-5.5, 3.8)]
  np.testing.assert_allclose(bound['shift'], [-ends[0], ends[1]], rtol=2e-3)
  np.testing.assert_array_equal(variance['shift'], 0)
  for name in ('slope', 'centers', 'steepness', 'weights'):
    np.testing.assert_array_equal(bound[name], 0)
    np.testing.assert_allclose(variance[name], of_variance[name] / mean**2, rtol=5e-3, atol=2e-4)
  assert np.abs(variance['weights']).max() > 0.05


def test_with_the_exact_score_of_gray_values_the_bound_is_their_probability():
  model = vdm(of_values, networks.LinearSchedule(-5.0, 12.0), levels=4)
  values = np.linspace(-1, 1, 4)
  (x, noise), mean = grid_of(values, times=1, nodes=40)[0][::2], grid_of(values, times=1, nodes=40)[1]
  images = lambda a: jnp.asarray(a, jnp.float32).reshape(-1, 1, 1, 1)
  reconstruction = mean(apply(model, {}, images(x), images(noise), method='reconstruction'))
  bound = apply(model, {}, images(values), method='prior') + diffusion_term(model, values, nodes=40) + reconstruction
  np.testing.assert_allclose(bound, -np.log(PROBABILITIES), atol=2e-3)


def test_the_prior_term_is_a_divergence():
  model = vdm(schedule=networks.LinearSchedule(-3.0, 1.5))
  x = jnp.array(np.random.default_rng(0).normal(size=(5, 2, 3, 1)), jnp.float32)
  variance = scipy.special.expit(1.5)
  q = Normal(np.sqrt(1 - variance) * x, jnp.full(x.shape, 0.5 * np.log(variance)))
  expected = sum_dims(kl_divergence(q, Normal(jnp.zeros(x.shape), jnp.zeros(x.shape))))
  np.testing.assert_allclose(apply(model, {}, x, method='prior'), expected, rtol=1e-5)


@pytest.mark.parametrize(('levels', 'gamma'), [(2, -1.0), (5, -2.0), (256, -13.3)])
def test_the_decoder_is_a_distribution_of_the_values(levels, gamma):
  model = vdm(schedule=networks.LinearSchedule(gamma, 5.0), levels=levels)
  values, z = np.linspace(-1, 1, levels), 0.1234
  noise = (z - values) / np.exp(gamma / 2)
  keep = np.abs(noise) < 12  # the others have no probability
  images = lambda a: jnp.array(a[keep], jnp.float32).reshape(-1, 1, 1, 1)
  log_p = -np.asarray(apply(model, {}, images(values), images(noise), method='reconstruction'), np.float64)
  expected = scipy.special.log_softmax(scipy.stats.norm(values, np.exp(gamma / 2)).logpdf(z))
  np.testing.assert_allclose(log_p, expected[keep], atol=2e-3)
  np.testing.assert_allclose(np.exp(log_p).sum(), 1, atol=1e-3)


def test_what_is_said_of_an_example_is_the_mean_over_times():
  model, rows = vdm(worse=0.2, evaluated_times=3), 400
  images = jnp.tile(jnp.array(X, jnp.float32), rows).reshape(-1, 1, 1, 1)
  batch = {'image': images, 'row': jnp.arange(5 * rows)}
  terms = apply(model, {}, batch, method='per_example')
  each = np.asarray(terms['diffusion']).reshape(rows, 5)
  assert (np.abs(each.mean(0) - diffusion_term(model, X)) < 4 * each.std(0) / np.sqrt(rows)).all()
  many = apply(model.clone(evaluated_times=48), {}, batch, method='per_example')['diffusion']
  assert (np.std(many.reshape(rows, 5), axis=0) < each.std(0) / 3).all()
  alone = apply(model, {}, jax.tree.map(lambda x: x[1:2], batch), method='per_example')['diffusion']
  np.testing.assert_allclose(alone, terms['diffusion'][1:2], rtol=1e-4)  # in any batch
  np.testing.assert_allclose(terms['nll'], terms['prior'] + terms['reconstruction'] + terms['diffusion'], rtol=1e-6)
  np.testing.assert_allclose(terms['bits_per_dim'], terms['nll'] / np.log(2), rtol=1e-6)


@pytest.mark.parametrize('timesteps', [0, 7])
def test_the_loss_does_not_depend_on_the_number_of_devices(timesteps):
  model = small_vdm(timesteps=timesteps, conditional=True, num_classes=3, label_dropout=0.5)
  rng = np.random.default_rng(1)
  images = jnp.array(rng.integers(0, 4, (8, 2, 1, 1)) / 3 * 2 - 1, jnp.float32)
  batch = {'image': images, 'row': jnp.arange(8), 'label': jnp.arange(8) % 3}
  variables = random_variables(model.init, batch)

  def gradients(devices):
    parts = jax.tree.map(lambda a: a.reshape(devices, -1, *a.shape[1:]), batch)
    loss = lambda variables, part: model.apply(variables, part, 0, method='loss', rngs=KEY)
    grad = jax.vmap(jax.value_and_grad(loss, has_aux=True), (None, 0), axis_name='batch')
    return jax.tree.map(lambda a: np.asarray(a).mean(0), jax.jit(grad)(variables, parts))

  (one, of_one), (four, of_four) = gradients(1), gradients(4)
  jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=1e-5), one, four)
  scale = max(np.abs(a).max() for a in jax.tree.leaves(of_one))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * scale), of_one, of_four)
  assert one[0] == pytest.approx(one[1]['nll'], rel=1e-6)  # what the schedule descends besides has the value 0
  assert all(np.abs(a).max() > 0 for a in jax.tree.leaves(of_one['params']['schedule']))


@pytest.mark.parametrize(('sampler', 'steps'), [('ancestral', 400), ('heun', 60)])
def test_samples_have_the_probabilities_of_the_values(sampler, steps):
  model = vdm(of_values, networks.LinearSchedule(-5.0, 9.0), levels=4, sampler=sampler)
  variables = {COLLECTION: {'steps': steps}}
  x = np.asarray(apply(model, variables, {'row': jnp.arange(4_000)}, method='sample')).reshape(-1)
  values = np.linspace(-1, 1, 4)
  counts = (np.abs(x[:, None] - values) < 1e-6).sum(0)
  assert counts.sum() == 4_000
  assert scipy.stats.chisquare(counts, 4_000 * np.array(PROBABILITIES)).pvalue > 1e-3


def test_the_last_noise_level_holds_the_image():
  # with gamma(1) as low as 0, where noise alone would have a variance of 1/2
  model = vdm(schedule=networks.LinearSchedule(-5.0, 0.0))
  run = lambda model, batch: model.trajectory(batch, 4)
  path = apply(model, {COLLECTION: {'steps': 4}}, {'row': jnp.arange(5_000)}, method=run)
  assert np.std(path.states[0]) == pytest.approx(1, rel=0.03)
  np.testing.assert_array_equal(path.states[-1], path.estimates[-1])


def test_dequantized_values_are_weighed_by_both_densities():
  model = vdm(schedule=networks.LinearSchedule(-2.0, 5.0), levels=3)
  images = jnp.array([-1.0, 0.0, 1.0] * 100).reshape(-1, 1, 1, 1)
  z, correction = apply(model, {}, {'image': images, 'row': jnp.arange(300)}, KEY, method='dequantize')
  x, z, values = np.asarray(images).reshape(-1, 1), np.asarray(z).reshape(-1, 1), np.array([[-1.0, 0.0, 1.0]])
  log_q = scipy.stats.norm(values, np.exp(-1.0)).logpdf(z)
  each = np.abs(values - x) < 0.1
  expected = scipy.special.log_softmax(log_q, 1)[each] - log_q[each]
  np.testing.assert_allclose(correction, expected, atol=1e-4)
  assert np.std(z - x) == pytest.approx(np.exp(-1.0), rel=0.1)


def test_features_stand_beside_the_image():
  seen = []

  class Seeing(nn.Module):
    @nn.compact
    def __call__(self, z, noise, labels, rows, train, outputs):
      seen.append((z, outputs))
      return jnp.zeros((*z.shape[:-1], outputs))

  model = vdm(Seeing(), levels=2, fourier=(0, 2))
  z = jnp.array([[0.1], [0.3]]).reshape(-1, 1, 1, 1)
  model.apply({}, z, jnp.zeros(2), None, jnp.arange(2), method='estimate_noise')
  (features, outputs), = seen
  angles = np.pi * np.asarray(z)  # of 2 levels
  expected = np.concatenate([z, np.sin(angles), np.cos(angles), np.sin(4 * angles), np.cos(4 * angles)], -1)
  np.testing.assert_allclose(features, expected, atol=1e-5)
  assert outputs == 1


@pytest.mark.parametrize('levels', (2, 4, 256))
def test_the_finest_features_say_how_far_the_nearest_value_is(levels):
  finest = int(np.log2(levels)) - 1
  values = jnp.linspace(-1, 1, levels)[:, None, None, None]
  gap, model = 2 / (levels - 1), vdm(levels=levels, fourier=(finest,))
  features = model.apply({}, values + 0.2 * gap, method='fourier_features')[:, 0, 0, 1:]
  angle = np.pi * (1 - levels + 0.4)  # the phase of -1, and a fifth of a period
  np.testing.assert_allclose(features, np.tile([np.sin(angle), np.cos(angle)], (levels, 1)), atol=2e-3)


def test_problems():
  fine = {'value_range': (-1.0, 1.0)}
  assert problems(small_vdm(), **fine) == []
  lines = {
    'must not be negative': problems(small_vdm(timesteps=-1), **fine),
    'must be above 0': problems(small_vdm(evaluated_times=0), **fine),
    'of 4 gray values, k is at most 1': problems(small_vdm(fourier=(0, 2)), **fine),
    'VDM needs (-1.0, 1.0)': problems(small_vdm(), **fine | {'value_range': (0.0, 1.0)}),
    'discrete values; choose Diffusion': problems(small_vdm(), **fine, dequantize=True),
    'sees images': problems(small_vdm(), **fine, kind='points'),
    'has no labels': problems(small_vdm(conditional=True), **fine, num_classes=0),
  }
  for text, found in lines.items():
    assert len(found) == 1 and text in found[0], (text, found)
  refused = small_vdm().problems_of_sampler(defaults(SAMPLER) | {'guidance': 2.0})
  assert 'needs a model with classes' in next(refused)
  of_labels = small_vdm(conditional=True, num_classes=3)
  refused = of_labels.problems_of_sampler(defaults(SAMPLER) | {'guidance': 2.0, 'autoguidance': 5})
  assert list(refused) == ['autoguidance=5: a VDM is guided by its labels alone; set it to 0']
