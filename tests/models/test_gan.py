"""The GAN: who moves, what each loss is, labels, penalties, averages, devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gen_jax import adversarial, networks
from gen_jax.augmentation import augment
from gen_jax.evaluation.bound import BoundModel
from gen_jax.models import GAN
from gen_jax.training.state import create_state, evaluated_variables
from gen_jax.training.step import train_step, updates_per_step

KEY, ROWS, SHAPE = jax.random.key(0), 8, (8, 8, 1)
IMAGES = {
  'plain': GAN(networks.ConvGenerator((8,)), networks.ConvDiscriminator((8, 8)), SHAPE, latent_dim=3),
  'wasserstein': GAN(
    networks.MLPGenerator((8,), bounded=True), networks.ConvDiscriminator((8,), norm='none'), SHAPE, latent_dim=3,
    loss='wasserstein', penalty='wgan_gp', penalty_weight=10.0, drift=1e-3, critic_steps=2,
  ),
  'spectral': GAN(
    networks.MLPGenerator((8,), bounded=True), networks.ConvDiscriminator((8,), norm='spectral'), SHAPE, latent_dim=3,
    head=networks.LinearHead(spectral=True), loss='hinge', penalty='r1', penalty_weight=10.0, penalty_every=2,
    augment=('translation', 'cutout'),
  ),
  'projection': GAN(
    networks.ConvGenerator((8,), condition='batch_norm', num_classes=4), networks.ConvDiscriminator((8,)), SHAPE,
    head=networks.ProjectionHead(4), latent_dim=3, conditional=True, num_classes=4,
  ),
  'classifier': GAN(
    networks.MLPGenerator((8,), bounded=True, num_classes=4), networks.MLPDiscriminator((8,)), SHAPE,
    head=networks.ClassifierHead(4), latent_dim=3, conditional=True, num_classes=4,
  ),
}  # fmt: skip


def batch_of(updates):
  image = np.random.default_rng(1).uniform(-1, 1, (updates, ROWS, *SHAPE)).astype(np.float32)
  row = np.broadcast_to(np.arange(ROWS, dtype=np.int32), (updates, ROWS))
  return {'image': image, 'row': row, 'label': row % 4}


BATCH = jax.tree.map(lambda x: x[0], batch_of(1))


@functools.cache
def initial_state(name):
  model = IMAGES[name]
  optimizers = {player: optax.adam(1e-3) for player in model.players}
  return jax.jit(lambda: create_state(model, optimizers, KEY, BATCH, averages=['ema']))(), optimizers


@functools.cache
def state_after_step(name, devices=1):
  """(the state, the metrics) after one step."""
  state, optimizers = initial_state(name)
  step = functools.partial(
    train_step, model=IMAGES[name], optimizers=optimizers, preprocess=lambda batch, key: batch, rng=KEY,
    averages={'ema': lambda step, born: 0.9},
  )
  batch = batch_of(updates_per_step(IMAGES[name]))
  split = jax.tree.map(lambda x: np.moveaxis(x.reshape(len(x), devices, -1, *x.shape[2:]), 1, 0), batch)
  results = jax.jit(jax.vmap(step, (None, 0), axis_name='batch'))(state, split)
  return jax.tree.map(lambda x: np.asarray(x)[0], results)


@pytest.mark.parametrize('name', IMAGES)
def test_every_gan_moves_both_players_and_the_average_of_one(name):
  model = IMAGES[name]
  assert updates_per_step(model) == model.critic_steps + 1
  before, _ = initial_state(name)
  after, metrics = state_after_step(name)
  moved = jax.tree.map(lambda a, b: np.any(a != b), before.params, after.params)
  assert all(any(jax.tree.leaves(group)) for group in moved.values())
  assert all(np.isfinite(x) for x in metrics.values())
  assert {'real', 'fake', 'discriminator_accuracy', 'diversity', 'generator/grad_norm'} <= set(metrics)
  assert set(after.ema['ema']['params']) == {'generator'} and set(after.ema['ema']['batch_stats']) <= {'generator'}
  if name in ('plain', 'projection'):
    assert set(after.ema['ema']['batch_stats']) == {'generator'}
  for collection, new in (('params', after.params), ('batch_stats', after.variables.get('batch_stats', {}))):
    for group, old in before.ema['ema'][collection].items():
      off = lambda a, b, c: np.abs(c - (0.9 * a + 0.1 * b)).max()
      assert max(jax.tree.leaves(jax.tree.map(off, old, new[group], after.ema['ema'][collection][group]))) < 1e-6


@pytest.mark.parametrize('player', ['discriminator', 'generator'])
def test_only_the_player_who_moves_changes(player):
  model, (state, optimizers) = IMAGES['spectral'], initial_state('spectral')

  class Alone(GAN):
    @property
    def players(self):
      return {player: GAN.players.fget(self)[player]}

  fields = {field: getattr(model, field) for field in GAN.__dataclass_fields__ if field not in ('parent', 'name')}
  step = functools.partial(
    train_step, model=Alone(**fields), optimizers=optimizers, preprocess=lambda batch, key: batch, rng=KEY, averages={}
  )
  split = jax.tree.map(lambda x: x[None], batch_of(1))
  after, _ = jax.jit(jax.vmap(step, (None, 0), axis_name='batch'))(state, split)
  after = jax.tree.map(lambda x: np.asarray(x)[0], after)
  equal = lambda a, b: all(jax.tree.leaves(jax.tree.map(lambda x, y: np.array_equal(x, y), a, b)))
  moves = model.players[player].trains
  assert {group for group in state.params if not equal(state.params[group], after.params[group])} == set(moves)
  # the generator's update leaves the discriminator's vectors alone
  assert equal(state.variables['spectral'], after.variables['spectral']) == (player == 'generator')
  for rival in set(model.players) - {player}:
    assert equal(state.opt_state[rival], after.opt_state[rival])


def value(model, state, method, batch=BATCH):
  """What a method of the model, or a function `(model, batch, step)`, gives at step 0."""
  options = {'rngs': KEY, 'method': method, 'mutable': list(state.variables)}
  run = jax.jit(lambda variables, batch: model.apply(variables, batch, 0, **options)[0])
  return run({'params': state.params, **state.variables}, batch)


def test_the_losses_are_those_of_the_logits():
  state, _ = initial_state('plain')

  def logits(model, batch, step):
    noise = jax.random.split(model.make_rng('noise'), 4)[0]
    of_real, of_fake = (model.discriminate(x, batch) for x in (batch['image'], model.generate(batch, noise)))
    return of_real.logits, of_fake.logits

  r, f = value(IMAGES['plain'], state, logits)
  for loss in ('minimax', 'hinge'):
    pair = adversarial.LOSSES[loss]
    results, metrics = value(IMAGES['plain'].clone(loss=loss), state, 'discriminator_loss')
    np.testing.assert_allclose(results, pair.discriminator(r, f).mean(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose([metrics['real'], metrics['fake']], [r.mean(), f.mean()], rtol=1e-3, atol=1e-5)

  def fake_logits(model, batch, step):
    noise = jax.random.split(model.make_rng('noise'))[0]
    return model.discriminate(model.generate(batch, noise), batch).logits

  f = value(IMAGES['plain'], state, fake_logits)
  for loss in ('minimax', 'non_saturating'):
    results, _ = value(IMAGES['plain'].clone(loss=loss), state, 'generator_loss')
    np.testing.assert_allclose(results, adversarial.LOSSES[loss].generator(None, f).mean(), rtol=1e-4, atol=1e-5)


def test_the_weight_of_a_penalty_may_be_a_schedule():
  state, _ = initial_state('spectral')
  model = IMAGES['spectral'].clone(penalty_weight=lambda step: 3.0 + 2.0 * step, penalty_every=1)
  of_step = lambda model, batch, step: model.discriminator_loss(batch, jnp.int32(5))
  loss, metrics = value(model, state, of_step)
  free, _ = value(model.clone(penalty_weight=0.0), state, of_step)
  np.testing.assert_allclose(loss - free, 13.0 * metrics['penalty'], rtol=1e-3)


def test_the_relativistic_losses_pair_the_rows():
  """Each real example with the fake one of its row, of both players' own batches."""
  state, _ = initial_state('plain')
  model = IMAGES['plain'].clone(loss='relativistic')

  def logits(number):
    def of(model, batch, step):
      noise = jax.random.split(model.make_rng('noise'), number)[0]
      real, fake = (model.discriminate(x, batch) for x in (batch['image'], model.generate(batch, noise)))
      return real.logits, fake.logits

    return value(model, state, of)

  r, f = logits(4)
  np.testing.assert_allclose(
    value(model, state, 'discriminator_loss')[0], np.log1p(np.exp(f - r)).mean(), rtol=1e-4, atol=1e-5
  )
  r, f = logits(3)
  loss, _ = value(model, state, 'generator_loss')
  np.testing.assert_allclose(loss, np.log1p(np.exp(r - f)).mean(), rtol=1e-4, atol=1e-5)
  assert abs(loss - np.log1p(np.exp(f - r)).mean()) > 1e-4


def test_a_lazy_penalty_is_as_large_on_the_whole():
  state, _ = initial_state('spectral')
  model, variables = IMAGES['spectral'], {'params': state.params, **state.variables}
  penalty = jax.jit(lambda variables, step: model.apply(variables, BATCH, step, rngs=KEY, method='discriminator_loss',
                    mutable=['spectral'])[0][1]['penalty'])  # fmt: skip
  results = [penalty(variables, step) for step in range(4)]
  always = value(model.clone(penalty_every=1), state, 'discriminator_loss')[1]['penalty']
  assert always > 0
  np.testing.assert_allclose(results, [2 * always, 0, 2 * always, 0], rtol=1e-5)


def test_penalty_drift_and_cross_entropy_enter_the_loss():
  state, _ = initial_state('wasserstein')
  wasserstein, results = IMAGES['wasserstein'], {}
  for weight, drift in ((0.0, 0.0), (2.0, 0.0), (0.0, 3.0)):
    model = wasserstein.clone(penalty_weight=weight, drift=drift)
    results[weight, drift] = value(model, state, 'discriminator_loss')
  plain, metrics = results[0.0, 0.0]
  np.testing.assert_allclose(results[2.0, 0.0][0] - plain, 2 * metrics['penalty'], rtol=1e-3)
  r = value(wasserstein, state, lambda model, batch, step: model.logits(batch))
  np.testing.assert_allclose(results[0.0, 3.0][0] - plain, 3 * (r**2).mean(), rtol=1e-2, atol=1e-6)
  state, _ = initial_state('classifier')
  for player, field in (('discriminator', 'discriminator_weight'), ('generator', 'generator_weight')):
    losses = [
      value(IMAGES['classifier'].clone(head=head), state, f'{player}_loss')[0]
      for head in (networks.ClassifierHead(4, **{field: weight}) for weight in (0.0, 1.0))
    ]
    np.testing.assert_allclose(losses[1] - losses[0], np.log(4), atol=0.1)  # it knows nothing yet


def test_real_and_fake_are_augmented_for_both_players():
  plain = IMAGES['wasserstein'].clone(penalty='none', penalty_weight=0.0)
  model, (state, _) = plain.clone(augment=('contrast', 'brightness')), initial_state('wasserstein')

  def logits(model, batch, step, player, names):
    keys = jax.random.split(model.make_rng('noise'), 4 if player == 'discriminator' else 2)
    through = lambda x, key: model.discriminate(augment(x, names, key, batch['row']), batch).logits.mean()
    fake = through(model.generate(batch, keys[0]), keys[-1])
    return (through(batch['image'], keys[-2]), fake) if player == 'discriminator' else (fake,)

  by_hand = functools.cache(
    lambda player, names: value(model, state, functools.partial(logits, player=player, names=names))
  )
  for names, each in (((), plain), (model.augment, model)):
    _, metrics = value(each, state, 'discriminator_loss')
    np.testing.assert_allclose((metrics['real'], metrics['fake']), by_hand('discriminator', names), rtol=1e-4)
    loss, _ = value(each, state, 'generator_loss')
    np.testing.assert_allclose(loss, -by_hand('generator', names)[0], rtol=1e-4)
  for player in model.players:
    assert np.abs(np.subtract(by_hand(player, model.augment), by_hand(player, ()))).min() > 1e-4

  loss = lambda params: value(model, state._replace(params=params), 'generator_loss')[0]
  assert optax.tree.norm(jax.jit(jax.grad(loss))(state.params)['generator']) > 1e-3


@pytest.mark.parametrize('name', ['plain', 'wasserstein', 'spectral', 'projection'])
def test_the_number_of_devices_changes_nothing(name):
  one, first = state_after_step(name)
  two, second = state_after_step(name, devices=2)
  close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-5)
  jax.tree.map(close, (one.variables, one.ema), (two.variables, two.ema))
  for key in first:
    np.testing.assert_allclose(first[key], second[key], rtol=1e-3, atol=1e-4, err_msg=key)


def test_samples_are_those_of_the_average_with_its_statistics():
  model = IMAGES['plain']
  other, _ = state_after_step('plain')
  state = other._replace(ema=jax.tree.map(lambda x: x + 0.5, other.ema))
  row, average = {'row': np.arange(4, dtype=np.int32)}, state.ema['ema']
  bound = BoundModel(model, evaluated_variables(state))
  z = bound.latents(row)
  generate = jax.jit(lambda variables, z: model.generator.apply(variables, z, None, SHAPE, False))
  averaged = generate({name: average[name]['generator'] for name in ('params', 'batch_stats')}, z)
  np.testing.assert_allclose(bound.sample(row), averaged, atol=1e-5)
  assert np.abs(BoundModel(model, evaluated_variables(other)).sample(row) - averaged).max() > 1e-3


def test_latent_modes_are_equally_probable_and_stand_beside_the_normal_numbers():
  model = IMAGES['plain'].clone(latent_modes=4)
  rows = {'row': np.arange(4_000, dtype=np.int32)}
  latents = lambda rows: np.asarray(jax.jit(lambda rows: model.apply({}, rows, rngs=KEY, method='latents'))(rows))
  z = latents(rows)
  assert z.shape == (4_000, 3 + 4)
  np.testing.assert_allclose(z.mean(0), 0, atol=0.06)
  np.testing.assert_allclose(z.std(0), 1, atol=0.05)
  np.testing.assert_allclose(np.corrcoef(z[:, :3].T, (z[:, 3:] > 0).argmax(1)), np.eye(4), atol=0.06)
  assert ((z[:, 3:] > 0).sum(1) == 1).all() and len(np.unique(np.round(z[:, 3:], 4))) == 2
  np.testing.assert_array_equal(latents({'row': rows['row'][7:9]}), z[7:9])
  optimizers = {player: optax.sgd(0.1) for player in model.players}
  state = jax.jit(lambda: create_state(model, optimizers, KEY, BATCH))()
  bound, row = BoundModel(model, evaluated_variables(state)), {'row': np.arange(4, dtype=np.int32)}
  np.testing.assert_allclose(bound.sample(row), bound.decode(bound.latents(row), row), atol=1e-6)


def test_samples_of_a_row_do_not_depend_on_the_batch():
  model, (state, _) = IMAGES['projection'], initial_state('projection')
  bound, label = BoundModel(model, evaluated_variables(state)), np.array([0, 1, 2, 3], np.int32)
  whole = bound.sample({'row': np.arange(4, dtype=np.int32), 'label': label})
  part = bound.sample({'row': np.arange(2, 4, dtype=np.int32), 'label': label[2:]})
  np.testing.assert_allclose(whole[2:], part, atol=1e-6)
  assert bound.classes == 4


def test_a_batch_of_equal_examples_has_a_finite_diversity():
  state, _ = initial_state('plain')
  batch = BATCH | {'image': np.broadcast_to(BATCH['image'][:1], BATCH['image'].shape)}
  assert np.isfinite(value(IMAGES['plain'], state, 'generator_loss', batch)[1]['diversity'])


def test_a_collapsed_generator_has_no_diversity():
  from gen_jax.models.gan import standard_deviation

  x = jax.random.normal(KEY, (64, 5))
  np.testing.assert_allclose(standard_deviation(x), np.sqrt(x.var(0).mean()), rtol=1e-5)
  assert standard_deviation(jnp.broadcast_to(x[:1], x.shape)) < 1e-3
