"""pix2pix and CycleGAN: their losses in closed form, who moves, what the ablations leave out, devices."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from facts import OPTIMIZER, problems

from gen_jax import networks
from gen_jax.models import CycleGAN, Pix2Pix
from gen_jax.training.state import create_state
from gen_jax.training.step import train_step, updates_per_step

KEY, ROWS = jax.random.key(0), 8


class Shift(nn.Module):
  """A translator that adds a number, and a parameter that is 0."""

  by: float

  @nn.compact
  def __call__(self, x, channels, rows):
    return x[..., :channels] + self.by + self.param('zero', nn.initializers.zeros, (1, 1, 1, 1))


class Mean(nn.Module):
  """A discriminator whose two logits are the mean of what it sees, times a parameter that is 1."""

  @nn.compact
  def __call__(self, x, train):
    mean = x.mean((1, 2, 3)) * self.param('one', nn.initializers.ones, (1,))
    return jnp.stack([mean, mean], axis=-1)[:, None]


def batch_of(updates=1, channels_a=1, channels_b=3):
  rng, row = np.random.default_rng(0), np.broadcast_to(np.arange(ROWS, dtype=np.int32), (updates, ROWS))
  draw = lambda channels: rng.uniform(-1, 1, (updates, ROWS, 16, 16, channels)).astype(np.float32)
  return {'image_a': draw(channels_a), 'image_b': draw(channels_b), 'row': row}


def loss_of(model, batch, loss):
  (value, metrics), _ = model.init_with_output(KEY, batch, 0, method=loss)
  return float(value), {name: float(x) for name, x in metrics.items()}


BATCH = jax.tree.map(lambda x: x[0], batch_of(channels_a=3))
A, B = BATCH['image_a'], BATCH['image_b']
softplus = lambda x: np.log1p(np.exp(x))


def test_losses_of_pix2pix_are_those_of_the_paper():
  fake = A + 0.5
  with_a = lambda y: np.concatenate([A, y], -1).mean((1, 2, 3))
  model = Pix2Pix(Shift(0.5), Mean(), channels_b=3, l1_weight=7.0, adversarial_weight=2.0)
  value, metrics = loss_of(model, BATCH, 'generator_loss')
  assert metrics['l1'] == pytest.approx(np.abs(B - fake).mean(), rel=1e-5)
  assert value == pytest.approx(2 * softplus(-with_a(fake)).mean() + 7 * np.abs(B - fake).mean(), rel=1e-5)
  value, _ = loss_of(model, BATCH, 'discriminator_loss')
  assert value == pytest.approx((softplus(-with_a(B)).mean() + softplus(with_a(fake)).mean()) / 2, rel=1e-5)
  value, _ = loss_of(model.clone(loss='relativistic'), BATCH, 'generator_loss')
  expected = 2 * softplus(with_a(B) - with_a(fake)).mean() + 7 * np.abs(B - fake).mean()
  assert value == pytest.approx(expected, rel=1e-5)
  blind = model.clone(conditional_discriminator=False)
  value, _ = loss_of(blind, BATCH, 'discriminator_loss')
  alone = lambda y: y.mean((1, 2, 3))
  assert value == pytest.approx((softplus(-alone(B)).mean() + softplus(alone(fake)).mean()) / 2, rel=1e-5)


def test_without_an_adversary_there_is_one_player():
  model = Pix2Pix(Shift(0.5), Mean(), channels_b=3, adversarial_weight=0.0)
  assert list(model.players) == ['generator'] and list(model.init(KEY, BATCH)['params']) == ['generator']
  value, metrics = loss_of(model, BATCH, 'generator_loss')
  assert value == pytest.approx(100 * metrics['l1'])


def test_losses_of_cyclegan_are_those_of_the_paper():
  forth, back = 0.5, -0.3  # F and G
  model = CycleGAN(Shift(forth), Shift(back), Mean(), Mean(), 3, 3, cycle_weight=7.0, identity_weight=2.0)
  value, metrics = loss_of(model, BATCH, 'generator_loss')
  mean_a, mean_b = A.mean((1, 2, 3)), B.mean((1, 2, 3))
  fooled = ((mean_a + forth - 1) ** 2).mean() + ((mean_b + back - 1) ** 2).mean()
  assert value == pytest.approx(fooled + 7 * 2 * 0.2 + 2 * (0.5 + 0.3), rel=1e-5)
  assert metrics['cycle_a'] == pytest.approx(0.2, rel=1e-5) and metrics['identity_b'] == pytest.approx(0.5, rel=1e-5)
  value, _ = loss_of(model, BATCH, 'discriminator_loss')  # of the first images, which the pools give as they are
  of_b = ((mean_b - 1) ** 2 + (mean_a + forth) ** 2).mean()
  of_a = ((mean_a - 1) ** 2 + (mean_b + back) ** 2).mean()
  assert value == pytest.approx((of_a + of_b) / 2, rel=1e-5)
  to_b = model.init_with_output(KEY, BATCH, method='translate_to_b')[0]
  np.testing.assert_allclose(to_b, A + forth, rtol=1e-6)
  values = model.init_with_output(KEY, BATCH, method='per_example')[0]
  np.testing.assert_allclose(values['cycle_a'], 0.2, rtol=1e-4)


unet = lambda: networks.UNetTranslator((4, 4), dropouts=1)
resnet = lambda: networks.ResNetTranslator((4, 4), blocks=1)
patches = lambda: networks.PatchDiscriminator(4, 1)
MODELS = {
  'pix2pix': Pix2Pix(unet(), patches(), channels_b=3),
  'cyclegan': CycleGAN(resnet(), resnet(), patches(), patches(), 1, 3, identity_weight=0.0, pool_size=5),
}


@functools.cache
def state_after_steps(name, devices=1, steps=2):
  """(the state before, the state, the metrics) after some steps."""
  model = MODELS[name]
  optimizers = {player: optax.sgd(1e-2) for player in model.players}
  batch = batch_of(updates_per_step(model))
  before = jax.jit(lambda: create_state(model, optimizers, KEY, jax.tree.map(lambda x: x[0], batch)))()
  step = functools.partial(
    train_step, model=model, optimizers=optimizers, preprocess=lambda batch, key: batch, rng=KEY, averages={}
  )
  split = jax.tree.map(lambda x: np.moveaxis(x.reshape(len(x), devices, -1, *x.shape[2:]), 1, 0), batch)
  state, compiled = before, jax.jit(jax.vmap(step, (None, 0), axis_name='batch'))
  for _ in range(steps):
    state, metrics = jax.tree.map(lambda x: np.asarray(x)[0], compiled(state, split))
  return before, state, metrics


@pytest.mark.parametrize('name', MODELS)
def test_every_network_moves(name):
  before, after, metrics = state_after_steps(name)
  moved = jax.tree.map(lambda a, b: np.any(a != b), before.params, after.params)
  assert all(any(jax.tree.leaves(group)) for group in moved.values())
  groups = {group for player in MODELS[name].players.values() for group in player.trains}
  assert groups == set(before.params) and all(np.isfinite(x) for x in metrics.values())


@pytest.mark.parametrize('name', MODELS)
def test_devices_share_a_batch_its_noise_and_its_pool(name):
  _, alone, _ = state_after_steps(name)
  _, together, _ = state_after_steps(name, devices=4)
  for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
    np.testing.assert_allclose(a, b, atol=2e-5)
  if name == 'cyclegan':
    assert alone.variables['pool']['pool_a']['number'] == 5 and alone.variables['pool']['pool_b']['images'].any()


PAIRS = {
  'shapes': {'image_a': (16, 16, 1), 'image_b': (16, 16, 3)},
  'value_range': (-1.0, 1.0),
  'optimizers': dict.fromkeys(('generator', 'discriminator'), OPTIMIZER),
}


def lines(model, **changes):
  """The problems of a model and of its networks."""
  modules = [model, *(value for value in vars(model).values() if isinstance(value, nn.Module))]
  return [line for module in modules for line in problems(module, **PAIRS | changes)]


def test_what_can_work_has_no_problems():
  assert lines(MODELS['pix2pix']) == lines(MODELS['cyclegan']) == []
  points = CycleGAN(
    networks.MLPTranslator((4,)), networks.MLPTranslator((4,)), networks.PointDiscriminator((4,)),
    networks.PointDiscriminator((4,)), 2, 2,
  )  # fmt: skip
  plane = {'kind': 'points', 'shapes': dict.fromkeys(PAIRS['shapes'], (1, 1, 2)), 'value_range': (0.0, 1.0)}
  assert lines(points, **plane) == []


@pytest.mark.parametrize(
  ('name', 'fields', 'changes', 'line'),
  [
    ('pix2pix', {'l1_weight': 0.0, 'adversarial_weight': 0.0}, {}, 'nothing is left to learn from'),
    ('pix2pix', {'l1_weight': -1.0}, {}, 'l1_weight=-1.0: must not be negative'),
    ('pix2pix', {}, {'own_order': {'image_a': 5, 'image_b': 6}}, 'its images are no pairs; choose CycleGAN'),
    ('pix2pix', {}, {'value_range': (0.0, 1.0)}, 'images that are translated need (-1.0, 1.0)'),
    ('pix2pix', {'loss': 'wasserstein'}, {}, "set discriminator.norm='spectral'"),
    ('pix2pix', {'loss': 'l2'}, {}, "loss='l2': choose one of"),
    ('pix2pix', {'generator': networks.UNetTranslator((4,) * 5, dropouts=1)}, {}, 'which must be multiples of 32'),
    ('pix2pix', {'generator': networks.UNetTranslator((4, 4), dropouts=2)}, {}, 'the decoder has 1 layers before'),
    ('pix2pix', {'discriminator': networks.PatchDiscriminator(4, 3)}, {}, 'halvings=3: no patch is left of image_a'),
    ('cyclegan', {'identity_weight': 1.0}, {}, 'images of A have 1 channels and images of B 3; set it to 0'),
    ('cyclegan', {'pool_size': -1}, {}, 'pool_size=-1: must not be negative'),
    ('cyclegan', {'loss': 'wasserstein'}, {}, "set discriminator_b.norm='spectral'"),
    ('cyclegan', {'generator_a': networks.ResNetTranslator((4,) * 5)}, {}, 'features: of image_a, 16x16, too little'),
  ],
)
def test_what_cannot_is_one_line(name, fields, changes, line):
  found = lines(MODELS[name].clone(**fields), **changes)
  assert any(line in each for each in found), found
