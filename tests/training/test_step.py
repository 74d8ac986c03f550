import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from two_players import Net, TwoPlayers, points, two_players

from gen_jax.errors import UserError
from gen_jax.schedules import step_of, warm_up_decay
from gen_jax.training.state import create_state
from gen_jax.training.step import train_step, updates_per_step
from gen_jax.types import Player

ROWS = 12
RULES = {  # of the averages of the parameters
  'slow': lambda step, born: 0.75,
  'rising': lambda step, born: step / (step + 1),  # the plain mean
  'young': warm_up_decay(0.999),
}


def unchanged(batch, key):
  return batch


def first_of(tree):
  """The first of each leaf, on the host."""
  return jax.tree.map(lambda x: np.asarray(x)[0], tree)


def optimizers_of(model):
  return {name: optax.adam(1e-2) for name in model.players}


@functools.cache
def start(model):
  """The state at step 0, with every average of RULES."""
  first, data = first_of(points(1, 1, 2)), np.arange(5, dtype=np.float32)
  return create_state(model, optimizers_of(model), jax.random.key(0), first, tuple(RULES), data)


@functools.cache
def compiled(model, devices=1):
  """A step with the rows of the batch split over `devices` slices of an axis named 'batch'."""
  options = {'preprocess': unchanged, 'rng': jax.random.key(7), 'averages': RULES}
  step = functools.partial(train_step, model=model, optimizers=optimizers_of(model), **options)

  @jax.jit
  def run_step(state, batch):
    split = jax.tree.map(lambda x: jnp.moveaxis(x.reshape(x.shape[0], devices, -1, *x.shape[2:]), 1, 0), batch)
    return jax.vmap(step, (None, 0), axis_name='batch')(state, split)

  return run_step


def step_once(model, state, batch):
  """One step on one device."""
  return first_of(compiled(model)(state, batch))


def test_each_update_gets_its_own_batch_and_the_right_number_is_made():
  model = two_players(critic_steps=3)
  state = start(model)
  assert updates_per_step(model) == 4
  after, metrics = step_once(model, state, points(2, 4, ROWS))
  assert after.step == 1
  assert after.variables['count']['counter']['calls'] == 3
  counts = {name: int(after.opt_state[name][0].count) for name in model.players}
  assert counts == {'discriminator': 3, 'generator': 1}
  # the pool saw three different batches: .5^k of each, oldest first
  means = points(2, 4, ROWS)['image'].reshape(4, ROWS, 2).mean(1)
  expected = sum(0.5 ** (3 - i) * means[i] for i in range(3))
  np.testing.assert_allclose(after.variables['pool']['counter']['mean'], expected, rtol=1e-5)
  assert set(metrics) == {
    'real', 'discriminator/loss', 'discriminator/grad_norm', 'generator/loss', 'generator/grad_norm',
  }  # fmt: skip


def test_a_step_equals_the_updates_written_out_by_hand():
  model = two_players(critic_steps=1)
  state = start(model)
  batch = points(3, 2, ROWS)
  after, metrics = step_once(model, state, batch)

  def by_hand(batch, params, variables, update, group, method):
    key = jax.random.split(jax.random.fold_in(jax.random.fold_in(jax.random.key(7), 0), update))[1]

    def loss(own):
      (value, _), changed = model.apply(
        {'params': {**params, group: own}, **variables}, batch, 0, rngs=key, method=method, mutable=list(variables)
      )
      return value, changed

    (value, changed), grads = jax.value_and_grad(loss, has_aux=True)(params[group])
    moved, _ = optax.adam(1e-2).update(grads, optax.adam(1e-2).init(params[group]))
    return value, {**params, group: optax.apply_updates(params[group], moved)}, {**variables, **changed}

  @jax.jit
  @functools.partial(jax.vmap, axis_name='batch')
  def both(batch):
    first, second = jax.tree.map(lambda x: x[0], batch), jax.tree.map(lambda x: x[1], batch)
    d_loss, params, variables = by_hand(
      first, state.params, state.variables, 0, 'discriminator', 'discriminator_loss'
    )
    g_loss, params, variables = by_hand(second, params, variables, 1, 'generator', 'generator_loss')
    return params, variables, d_loss, g_loss

  params, variables, d_loss, g_loss = first_of(both(jax.tree.map(lambda x: x[None], batch)))
  chex.assert_trees_all_close((after.params, after.variables), (params, variables), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose([metrics['discriminator/loss'], metrics['generator/loss']], [d_loss, g_loss], rtol=1e-5)


def test_playing_one_side_leaves_the_other_bit_equal():
  class GeneratorOnly(TwoPlayers):
    @property
    def players(self):
      return {'generator': Player('generator_loss', ('generator',))}

  model = GeneratorOnly(Net(2), Net(1), two_players().counter, nn.Dense(2))
  state = start(model)
  after, _ = step_once(model, state, points(3, 1, ROWS))
  chex.assert_trees_all_equal(after.params['discriminator'], state.params['discriminator'])
  chex.assert_trees_all_equal(after.params['frozen'], state.params['frozen'])
  moved = jax.tree.map(lambda a, b: np.any(a != b), after.params['generator'], state.params['generator'])
  assert moved['Dense_0']['kernel'] and moved['Dense_1']['kernel']


@pytest.mark.parametrize('devices', [2, 4])
def test_the_number_of_devices_changes_nothing(devices):
  model = two_players()
  state = start(model)
  one = many = state
  for i in range(20):
    batch = points(i, 4, ROWS)
    replicas, second = compiled(model, devices)(many, batch)
    one, first = step_once(model, one, batch)
    many = first_of(replicas)
  chex.assert_trees_all_close(one, many, rtol=0, atol=1e-5)
  chex.assert_trees_all_close(first, first_of(second), rtol=1e-4, atol=1e-5)
  chex.assert_trees_all_equal(many, jax.tree.map(lambda x: np.asarray(x)[-1], replicas))


def test_integer_variables_stay_integers():
  model = two_players()
  state = start(model)
  after, _ = step_once(model, state, points(3, 4, ROWS))
  chex.assert_trees_all_equal_dtypes(after, state)


class Counting(nn.Module):
  """Its metrics are a count and a flag."""

  net: nn.Module

  players = {'model': Player('loss', ('net',))}

  def __call__(self, batch):
    return self.net(batch['image'].reshape(-1, 2))

  def loss(self, batch, step):
    positive = batch['image'] > 0
    return self(batch).mean(), {'count': positive.sum(), 'any': positive.any()}


def test_counts_and_flags_are_averaged_over_devices():
  model = Counting(nn.Dense(1))
  state = start(model)
  batch = points(3, 1, ROWS)
  first = np.arange(ROWS) < ROWS // 2  # the first device sees nothing positive
  sign = np.where(first, -1, 1).astype(np.float32).reshape(1, -1, 1, 1, 1)
  _, metrics = compiled(model, devices=2)(state, batch | {'image': sign * np.abs(batch['image'])})
  np.testing.assert_allclose(metrics['count'], [ROWS / 2] * 2)
  np.testing.assert_allclose(metrics['any'], [0.5] * 2)


def test_the_average_of_the_parameters():
  model = two_players()
  state = start(model)
  after, _ = step_once(model, state, points(3, 4, ROWS))
  average = state.ema['slow']
  assert set(average) == {'params', 'batch_stats'} and set(average['batch_stats']) == {'generator', 'discriminator'}
  new = {'params': after.params, 'batch_stats': after.variables['batch_stats']}  # both, or they would not fit together
  expected = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, average, new)
  chex.assert_trees_all_close(after.ema['slow'], expected, rtol=1e-5, atol=1e-7)
  pointers = {x.unsafe_buffer_pointer() for x in jax.tree.leaves(state.params)}
  assert pointers.isdisjoint(x.unsafe_buffer_pointer() for x in jax.tree.leaves(state.ema))


def test_shared_modules_and_shared_groups_are_refused():
  net = Net(1)
  with pytest.raises(UserError, match='fields generator and discriminator hold one module'):
    start(TwoPlayers(net, net, two_players().counter, nn.Dense(2)))

  class Greedy(TwoPlayers):
    @property
    def players(self):
      return {
        'one': Player('generator_loss', ('generator',)),
        'two': Player('discriminator_loss', ('generator', 'discriminator')),
      }

  with pytest.raises(UserError, match='both train the group generator'):
    start(Greedy(Net(2), Net(1), two_players().counter, nn.Dense(2)))


def test_several_averages_each_move_by_their_own_rule():
  model = two_players()
  state, means = start(model), []
  for i in range(3):
    state, _ = step_once(model, state, points(i, 4, ROWS))
    means.append(state.params)
  plain = jax.tree.map(lambda *x: sum(x) / 3, *means)
  chex.assert_trees_all_close(state.ema['rising']['params'], plain, rtol=1e-5, atol=1e-6)
  different = jax.tree.map(lambda a, b: np.any(a != b), state.ema['slow'], state.ema['rising'])
  assert any(jax.tree.leaves(different))


def test_a_young_average_is_of_recent_parameters_and_statistics_and_not_of_their_start():
  model = two_players()
  state = start(model)
  begun, history = state.ema['young'], []
  for i in range(50):
    state, _ = step_once(model, state, points(i, 4, ROWS))
    history.append({'params': state.params, 'batch_stats': state.variables['batch_stats']})
  vector = lambda tree: np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])
  distance = lambda a, b: np.linalg.norm(vector(a) - vector(b))
  recent = jax.tree.map(lambda *x: sum(x) / 10, *history[-10:])
  for name, average in state.ema['young'].items():
    moved = distance(begun[name], recent[name])
    assert moved > 0.3 and distance(average, recent[name]) < 0.05 * moved, name


def test_each_step_has_noise_of_its_own():
  model = two_players()
  state = start(model)
  batch = points(3, 4, ROWS)
  steps = [step_once(model, state._replace(step=np.int32(k)), batch) for k in (0, 1, 0)]
  losses = [metrics['generator/loss'] for _, metrics in steps]
  assert losses[0] == losses[2] and abs(losses[0] - losses[1]) > 1e-4  # all else is equal


def test_the_state_of_the_data_set_goes_on():
  model = two_players()
  state = start(model)
  after, _ = step_once(model, state, points(3, 4, ROWS))
  np.testing.assert_array_equal(after.data, np.arange(5))


def test_a_method_may_read_the_step():
  class Reader(TwoPlayers):
    def generator_loss(self, batch, step):
      loss, metrics = super().generator_loss(batch, step)
      return loss, metrics | {'read': step_of(self), 'given': step}

  fields = two_players()
  model = Reader(fields.generator, fields.discriminator, fields.counter, fields.frozen)
  state = start(model)
  _, metrics = step_once(model, state._replace(step=np.int32(7)), points(3, 4, ROWS))
  assert metrics['read'] == metrics['given'] == 7


def test_two_players_may_not_give_one_metric():
  class Named(TwoPlayers):
    def generator_loss(self, batch, step):
      loss, _ = super().generator_loss(batch, step)
      return loss, {'real': loss}

  model = Named(Net(2), Net(1), two_players().counter, nn.Dense(2))
  state = start(model)
  with pytest.raises(UserError, match="players discriminator and generator both give the metric 'real'"):
    step_once(model, state, points(3, 4, ROWS))
