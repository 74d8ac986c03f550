"""Bridge: its path and velocity in closed form, transport of Gaussians, couplings, devices, what it refuses."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from facts import problems
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment

from gen_jax import networks
from gen_jax.config import SAMPLER, defaults
from gen_jax.diffusion import flows
from gen_jax.models import Bridge
from gen_jax.models.bridge import path_at
from gen_jax.training.state import create_state
from gen_jax.training.step import train_step

KEY, ROWS = jax.random.key(0), 8


@functools.partial(jax.jit, static_argnums=(0, 2))
def apply(model, variables, method, *arguments):
  return model.apply(variables, *arguments, method=method, rngs=KEY)


class Field(nn.Module):
  """A network whose velocity is a given function of x [B,...] and t [B,1,1,1], plus a parameter that is 0."""

  function: object
  multiple = 1

  @nn.compact
  def __call__(self, x, noise, labels, rows, train):
    t = ((noise + 2) / 4)[:, None, None, None]
    return self.function(x, t) + self.param('zero', nn.initializers.zeros, (1, 1, 1, 1))


def batch_of(shape=(8, 8, 3), rows=ROWS, seed=0):
  rng = np.random.default_rng(seed)
  draw = lambda: rng.uniform(-1, 1, (rows, *shape)).astype(np.float32)
  return {'image_a': draw(), 'image_b': draw(), 'row': np.arange(rows, dtype=np.int32)}


# The path


def test_moments_of_x_are_those_of_a_brownian_bridge():
  steps, sigma, a, b = 64, 0.7, -0.5, 1.5
  walks = sigma * np.random.default_rng(0).normal(0, steps**-0.5, (40_000, steps)).cumsum(1)
  z = jax.random.normal(KEY, (40_000, 1))
  for step in (8, 32, 60):
    t = step / steps
    simulated = a + (b - a) * t + walks[:, step - 1] - t * walks[:, -1]
    x, _ = path_at(jnp.full((1, 1), a), jnp.full((1, 1), b), z, jnp.full((1, 1), t), sigma)
    assert x.mean() == pytest.approx(simulated.mean(), abs=0.01)
    assert x.std() == pytest.approx(simulated.std(), rel=0.02)


def test_velocity_is_the_derivative_of_the_path():
  rng, sigma, h = np.random.default_rng(0), 0.4, 1e-3
  a, b, z = (rng.normal(size=(5, 3)).astype(np.float32) for _ in range(3))
  t = jnp.array([0.1, 0.3, 0.5, 0.8, 0.95])[:, None]
  at = lambda t: path_at(a, b, z, t, sigma)
  x, u = at(t)
  np.testing.assert_allclose((at(t + h)[0] - at(t - h)[0]) / (2 * h), u, rtol=0.01, atol=2e-3)
  published = (1 - 2 * t) / (2 * t * (1 - t)) * (x - (1 - t) * a - t * b) + b - a
  np.testing.assert_allclose(u, published, rtol=1e-4, atol=1e-5)


MEAN_A, STD_A, MEAN_B, STD_B, SIGMA = -1.0, 0.5, 2.0, 1.5, 0.8


def expected_velocity(x, t):
  """E[u | x_t = x] of independent normals on a line: E u + cov(u, x_t) / var(x_t) (x - E x_t)."""
  variance = (1 - t) ** 2 * STD_A**2 + t**2 * STD_B**2 + SIGMA**2 * t * (1 - t)
  covariance = -(1 - t) * STD_A**2 + t * STD_B**2 + SIGMA**2 * (1 - 2 * t) / 2
  return MEAN_B - MEAN_A + covariance / variance * (x - (1 - t) * MEAN_A - t * MEAN_B)


@pytest.mark.parametrize('t', [0.05, 0.4, 0.9])
def test_regression_on_x_finds_the_expected_velocity(t):
  a, b, z = jax.random.normal(KEY, (3, 200_000, 1))
  x, u = path_at(MEAN_A + STD_A * a, MEAN_B + STD_B * b, z, jnp.full((1, 1), t), SIGMA)
  slope, intercept = np.polyfit(np.asarray(x)[:, 0], np.asarray(u)[:, 0], 1)
  for x in (-1.0, 2.0):
    assert intercept + slope * x == pytest.approx(expected_velocity(x, t), abs=0.03)


def test_expected_velocity_takes_one_normal_to_the_other():
  x = jnp.array([[-2.0], [-1.0], [0.3]])
  moved = flows.integrate('heun', expected_velocity, x, 0.0, 1.0, 200)
  np.testing.assert_allclose(moved, MEAN_B + STD_B / STD_A * (x - MEAN_A), rtol=1e-3)


# Transport

COVARIANCE_A, COVARIANCE_B = np.array([[1.0, 0.3], [0.3, 0.5]]), np.array([[0.4, -0.3], [-0.3, 2.0]])
SHIFT = np.array([1.0, -2.0])


def gaussian_map():
  """The symmetric T with T COVARIANCE_A T = COVARIANCE_B: the optimal map is a -> T a + SHIFT."""
  root = sqrtm(COVARIANCE_A)
  inverse = np.linalg.inv(root)
  return (inverse @ sqrtm(root @ COVARIANCE_B @ root) @ inverse).real


def displacement(x, t):
  """v of x_t = (1 - t) a + t (T a + SHIFT), an affine function of a: (T - 1) a(x) + SHIFT."""
  change, shift = jnp.float32(gaussian_map() - np.eye(2)), jnp.float32(SHIFT)[None, None, None]
  a = jnp.linalg.solve(jnp.eye(2)[None] + t[:, 0] * change[None], (x - t * shift)[:, 0, 0, :, None])
  return (change[None] @ a)[:, None, None, :, 0] + shift


def test_the_field_of_optimal_transport_takes_gaussians_both_ways():
  batch = batch_of((1, 1, 2))
  model = Bridge(Field(displacement), 2, 2, None)
  variables = model.init(KEY, batch) | {'sampler': {'steps': 10}}
  image = lambda x: x @ gaussian_map().T + SHIFT
  to_b = apply(model, variables, 'translate_to_b', batch)
  np.testing.assert_allclose(to_b, image(batch['image_a']), atol=1e-4)  # straight lines: exact for any steps
  to_a = apply(model, variables, 'translate_to_a', {**batch, 'image_b': to_b})
  np.testing.assert_allclose(to_a, batch['image_a'], atol=1e-3)
  way = apply(model, variables, lambda model, batch: model.trajectory(batch, 4), batch)
  for t, x in zip(np.linspace(0, 1, 5), way, strict=True):
    np.testing.assert_allclose(x, (1 - t) * batch['image_a'] + t * image(batch['image_a']), atol=1e-4)


UNET = Bridge(networks.UNet((4, 8), blocks=1, patch=2), 3, 3, (-1.0, 1.0))
DENSE = Bridge(networks.MLPDenoiser(8, blocks=1, octaves=0), 2, 2, None)


def random_variables(model, batch, scale=0.2, **sampler):
  shapes = jax.eval_shape(lambda: model.init(KEY, batch))
  rng = np.random.default_rng(0)
  return jax.tree.map(lambda x: scale * rng.normal(size=x.shape).astype(np.float32), shapes) | {'sampler': sampler}


@pytest.mark.parametrize(('sampler', 'atol'), [('heun', 5e-3), ('ddim', 0.2)])
def test_there_and_back(sampler, atol):
  batch = batch_of((1, 1, 2))
  model = DENSE.clone(sampler=sampler)
  variables = random_variables(model, batch, scale=0.5, steps=32)
  to_b = apply(model, variables, 'translate_to_b', batch)
  back = apply(model, variables, 'translate_to_a', {**batch, 'image_b': to_b})
  assert np.abs(to_b - batch['image_a']).mean() > 0.3
  np.testing.assert_allclose(back, batch['image_a'], atol=atol)
  values = apply(model, variables, 'per_example', batch)
  np.testing.assert_allclose(values['cycle_a'], np.abs(back - batch['image_a']).mean((1, 2, 3)), atol=1e-5)


def test_images_of_other_sizes_are_translated_into_their_range():
  assert UNET.multiple == 4
  batch = batch_of((12, 20, 3))
  made = apply(UNET, random_variables(UNET, batch, scale=1.0, steps=2), 'translate_to_b', batch)
  assert made.shape == (ROWS, 12, 20, 3) and np.abs(made).max() == 1


# Training

NOTHING = Field(lambda x, t: 0 * x)


def loss_of(model, batch):
  loss = lambda batch: model.init_with_output(KEY, batch, 0, method='loss')[0]
  value, metrics = jax.vmap(loss, axis_name='batch')(jax.tree.map(lambda x: x[None], batch))
  return float(value[0]), {name: float(x[0]) for name, x in metrics.items()}


def test_loss_of_a_network_that_stands_still():
  batch = batch_of()
  squares = ((batch['image_a'][:, None] - batch['image_b'][None]) ** 2).sum((2, 3, 4))
  value, metrics = loss_of(Bridge(NOTHING, 3, 3, None, coupling='paired'), batch)
  assert value == pytest.approx(squares.diagonal().mean(), rel=1e-5)
  assert metrics['error'] == pytest.approx(metrics['coupled'], rel=1e-5) and metrics['error'] < value / 100
  value, metrics = loss_of(Bridge(NOTHING, 3, 3, None), batch)
  least = squares[linear_sum_assignment(squares)].mean()
  assert value == pytest.approx(least, rel=1e-5) and least < squares.diagonal().mean()
  assert metrics['coupled'] == pytest.approx(least / batch['image_a'][0].size, rel=1e-5)


def test_the_velocity_of_the_pairs_has_no_loss():
  batch = batch_of((1, 1, 2))
  batch['image_b'] = np.float32(batch['image_a'] @ gaussian_map().T + SHIFT)
  for coupling in ('paired', 'optimal'):  # as the map is the optimal one, so it is in a batch
    assert loss_of(Bridge(Field(displacement), 2, 2, None, coupling=coupling), batch)[0] < 1e-9


COUPLED = {
  'paired': DENSE.clone(coupling='paired', sigma=0.2),
  'optimal': DENSE,
  'entropic': DENSE.clone(coupling='entropic', sigma=0.5),
}


@functools.cache
def state_after_steps(name, devices):
  """The state after two steps."""
  model = COUPLED[name]
  optimizers, batch = {'model': optax.sgd(1e-2)}, batch_of((1, 1, 2))
  state = jax.jit(lambda: create_state(model, optimizers, KEY, batch))()
  step = functools.partial(
    train_step, model=model, optimizers=optimizers, preprocess=lambda batch, key: batch, rng=KEY, averages={}
  )
  split = jax.tree.map(lambda x: x.reshape(devices, 1, -1, *x.shape[1:]), batch)
  compiled = jax.jit(jax.vmap(step, (None, 0), axis_name='batch'))
  for _ in range(2):
    state, metrics = jax.tree.map(lambda x: np.asarray(x)[0], compiled(state, split))
  return state, metrics


@pytest.mark.parametrize('name', COUPLED)
def test_devices_share_a_batch_and_its_coupling(name):
  alone, together = state_after_steps(name, 1), state_after_steps(name, 4)
  assert all(np.isfinite(x) for x in alone[1].values())
  for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


# Problems

SIDES = {'shapes': dict.fromkeys(('image_a', 'image_b'), (8, 8, 3)), 'value_range': (-1.0, 1.0)}
UNPAIRED = {'own_order': {'image_a': 5, 'image_b': 6}}


def test_what_can_work_has_no_problems():
  for coupling in ('paired', 'optimal', 'entropic'):
    assert list(problems(UNET.clone(coupling=coupling, sigma=0.1), **SIDES)) == []
  assert list(problems(UNET, **SIDES | UNPAIRED)) == []


@pytest.mark.parametrize(
  ('fields', 'changes', 'line'),
  [
    ({'coupling': 'nearest'}, {}, "coupling='nearest': choose one of paired, optimal, entropic"),
    ({'coupling': 'paired'}, UNPAIRED, "coupling='paired': the images of digits are no pairs; choose optimal"),
    ({'coupling': 'entropic'}, UNPAIRED, 'set sigma above 0, or choose optimal'),
    ({'sigma': -1.0}, {}, 'sigma=-1.0: must not be negative'),
    ({'channels_a': 1}, {}, 'images of A have 1 channels and those of B 3, and no path between'),
    ({}, {'shapes': {'image_a': (8, 8, 3), 'image_b': (8, 10, 3)}}, 'A is 8x8, and B 8x10; set a size'),
    ({}, {'value_range': (0.0, 1.0)}, 'images that are translated need (-1.0, 1.0)'),
  ],
)
def test_what_cannot_is_one_line(fields, changes, line):
  found = problems(UNET.clone(**fields), **SIDES | changes)
  assert len(found) == 1 and line in found[0], found


def test_a_way_from_image_to_image_has_a_rule_and_steps_alone():
  refused = lambda **changes: list(UNET.problems_of_sampler(defaults(SAMPLER) | changes))
  assert refused(steps=3, name='ddim') == []
  assert refused(name='unipc')[0].startswith("name='unipc': a path from image to image is no denoising")
  assert refused(churn=1.0) == ['churn=1.0: has no effect on a Bridge; leave it out']
