"""pix2pix and CycleGAN, of images and of voices: their losses in closed form, who moves, what is refused, devices."""

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
from gen_jax.models.cyclegan import draw_masks
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


def test_losses_of_voices_are_those_of_the_papers():
  forth, back = 0.5, -0.3
  model = CycleGAN(
    Shift(forth), Shift(back), Mean(), Mean(), 3, 3, identity_weight=2.0, identity_steps=5, masked_frames=6,
    second_discriminator_a=Mean(), second_discriminator_b=Mean(),
  )  # fmt: skip
  keys = {name: jax.random.fold_in(KEY, i) for i, name in enumerate(('params', 'pool', 'mask'))}
  value_of = lambda method, *rest: model.init_with_output(keys, BATCH, *rest, method=method)[0]
  mask_a, mask_b = map(np.asarray, value_of('masks'))
  assert (mask_a != mask_b).any() and (mask_a == 0).any()
  to_b, to_a = A * mask_a + forth, B * mask_b + back
  square = lambda x, of: ((x.mean((1, 2, 3)) - of) ** 2).mean()
  cycles = [np.abs(to_b + back - A).mean(), np.abs(to_a + forth - B).mean()]
  fooled = square(to_b, 1) + square(to_a, 1) + square(to_b + back, 1) + square(to_a + forth, 1)
  for step, same in ((4, 0.8), (5, 0.0)):
    value, metrics = value_of('generator_loss', step)
    assert [metrics['cycle_a'], metrics['cycle_b']] == pytest.approx(cycles, rel=1e-5)
    assert value == pytest.approx(fooled + 10 * sum(cycles) + 2 * same, rel=1e-5)
  value, _ = value_of('discriminator_loss', 0)
  once = square(A, 1) + square(B, 1) + square(to_b, 0) + square(to_a, 0)
  twice = square(A, 1) + square(B, 1) + square(to_b + back, 0) + square(to_a + forth, 0)
  assert value == pytest.approx((once + twice) / 2, rel=1e-5)
  seen_whole = model.init_with_output(KEY, BATCH, method='translate_to_b')[0]
  np.testing.assert_allclose(seen_whole, A + forth, rtol=1e-6)


def test_masks_are_runs_of_uniform_length_and_place():
  rows = np.arange(4_000, dtype=np.int32)
  masks = np.asarray(draw_masks(KEY, rows, (4_000, 8, 3, 1), 4))
  assert masks.shape == (4_000, 8, 1, 1) and set(np.unique(masks)) == {0.0, 1.0}
  hidden = 1 - masks[:, :, 0, 0]
  assert (np.abs(np.diff(hidden, axis=1, prepend=0, append=0)).sum(1) <= 2).all()  # one run
  counts = np.bincount(hidden.sum(1).astype(int), minlength=5)
  np.testing.assert_allclose(counts, [1_000] * 4 + [0], atol=5 * np.sqrt(750))
  first = hidden[hidden.sum(1) == 3].argmax(1)
  np.testing.assert_allclose(np.bincount(first, minlength=8), [len(first) / 6] * 6 + [0] * 2, atol=5 * 13)
  np.testing.assert_array_equal(draw_masks(KEY, rows[7:9], (2, 8, 3, 1), 4), masks[7:9])


unet = lambda: networks.UNetTranslator((4, 4), dropouts=1)
resnet = lambda: networks.ResNetTranslator((4, 4), blocks=1)
patches = lambda: networks.PatchDiscriminator(4, 1)
gated = lambda: networks.GatedTranslator((4, 4), width=8, blocks=1, kernel=3, reach=5)
spectral = lambda: networks.PatchDiscriminator(4, 1, norm='spectral')
MODELS = {
  'pix2pix': Pix2Pix(unet(), patches(), channels_b=3),
  'cyclegan': CycleGAN(resnet(), resnet(), patches(), patches(), 1, 3, identity_weight=0.0, pool_size=5),
  'voices': CycleGAN(
    gated(), gated(), spectral(), spectral(), 1, 3, 'hinge', identity_weight=0.0, masked_frames=5, pool_size=0,
    second_discriminator_a=spectral(), second_discriminator_b=spectral(),
  ),
}  # fmt: skip


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
SOUND = {'kind': 'sound', 'shapes': dict.fromkeys(PAIRS['shapes'], (16, 12, 1)), 'value_range': (0.0, 1.0)}

SHORT = SOUND | {'shapes': dict.fromkeys(PAIRS['shapes'], (8, 16, 1))}


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
  assert lines(MODELS['voices'], **SOUND) == []
  frame_by_frame = networks.GatedTranslator((4,) * 4, norm='frame')
  assert lines(MODELS['voices'].clone(generator_a=frame_by_frame, generator_b=frame_by_frame), **SHORT) == []


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
    ('cyclegan', {'masked_frames': 5}, {}, 'masked_frames=5: hides frames of voices, and these data are images; set 0'),
    ('cyclegan', {'generator_a': networks.GatedTranslator()}, {}, 'GatedTranslator: sees frames of voices; choose'),
    ('voices', {'masked_frames': 16}, SOUND, 'masked_frames=16: examples have 16 frames, of which some must be seen'),
    ('voices', {'identity_steps': 5}, SOUND, 'identity_steps=5: has no effect with identity_weight=0'),
    ('voices', {'second_discriminator_b': None}, SOUND, 'second_discriminator_a: set that of B as well, or neither'),
    ('voices', {'generator_a': networks.GatedTranslator(reach=4)}, SOUND, 'reach=4: must be odd'),
    ('voices', {'generator_a': networks.GatedTranslator(norm='batch')}, SOUND, "norm='batch': choose one of"),
    ('voices', {'generator_a': networks.GatedTranslator((4, 4), 1, norm='frame')}, SOUND, "norm='frame': a layer has"),
    ('voices', {'generator_a': networks.GatedTranslator((4,) * 4)}, SOUND, 'of 8; set config.data.bands=16, or'),
    ('voices', {'generator_a': networks.GatedTranslator((4,) * 4)}, SHORT, 'frames=8: must be at least 16'),
    ('voices', {'masked_frames': 1}, SOUND, 'masked_frames=1: runs of fewer frames than 1 hide nothing'),
    ('voices', {'generator_a': networks.ResNetTranslator((4,))}, SOUND, 'bounded=True: frames of voices go beyond 1'),
    ('cyclegan', {'generator_a': networks.UNetTranslator((4, 4), 1, bounded=False)}, {}, 'bounded=False: images end'),
  ],
)
def test_what_cannot_is_one_line(name, fields, changes, line):
  found = lines(MODELS[name].clone(**fields), **changes)
  assert any(line in each for each in found), found
