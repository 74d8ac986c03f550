"""Our chain against those of Optax, over a few updates."""

import jax
import numpy as np
import optax
import pytest

from gen_jax import optimizers

PARAMS = {'a': np.array([1.0, -2.0], np.float32), 'b': np.full((2, 2), 0.5, np.float32)}


def path(optimizer):
  """The parameters after four updates with growing gradients."""
  params, state = PARAMS, optimizer.init(PARAMS)
  for i in range(4):
    gradients = jax.tree.map(lambda p, i=i: np.float32(i + 1) * np.cos(p), params)
    updates, state = optimizer.update(gradients, state, params)
    params = optax.apply_updates(params, updates)
  return params


@pytest.mark.parametrize('decay', [0.0, 0.1])
@pytest.mark.parametrize('clip', [0.0, 0.5])
def test_adam_is_optaxs(decay, clip):
  schedule = optimizers.learning_rate_schedule(0.1, 'cosine', 2, 8)
  ours = optimizers.adam(schedule, 0.8, 0.9, 1e-6, decay, clip)
  theirs = optax.adamw(schedule, 0.8, 0.9, 1e-6, weight_decay=decay)
  theirs = optax.chain(optax.clip_by_global_norm(clip), theirs) if clip else theirs
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), path(ours), path(theirs))


@pytest.mark.parametrize('decay', [0.0, 0.1])
def test_the_state_has_the_structure_of_optaxs_adamw(decay):
  ours = optimizers.adam(optax.constant_schedule(0.1), 0.8, 0.9, 1e-6, decay, 1.0)
  theirs = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.constant_schedule(0.1)))
  assert jax.tree.structure(ours.init(PARAMS)) == jax.tree.structure(theirs.init(PARAMS))


def test_the_schedule_warms_up_then_falls():
  schedule = optimizers.learning_rate_schedule(0.1, 'cosine', 4, 12)
  values = [float(schedule(step)) for step in (0, 2, 4, 8, 12)]
  np.testing.assert_allclose(values, [0.0, 0.05, 0.1, 0.05, 0.0], atol=1e-7)


def test_weights_are_clipped_after_their_update():
  ours = optimizers.adam(lambda count: 0.3, 0.0, 0.9, 1e-6, 0.0, 0.0, clip=0.6)
  free = optimizers.adam(lambda count: 0.3, 0.0, 0.9, 1e-6, 0.0, 0.0)
  start = jax.tree.map(lambda x: np.clip(x, -0.6, 0.6), PARAMS)
  gradients = jax.tree.map(lambda x: -np.cos(x), PARAMS)
  updates = [optimizer.update(gradients, optimizer.init(start), start)[0] for optimizer in (ours, free)]
  clipped, moved = (optax.apply_updates(start, update) for update in updates)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, np.clip(b, -0.6, 0.6), rtol=1e-5), clipped, moved)
  assert any(np.abs(x).max() > 0.65 for x in jax.tree.leaves(moved))


def test_a_linear_schedule_ends_at_zero():
  schedule = optimizers.learning_rate_schedule(0.1, 'linear', 2, 10)
  np.testing.assert_allclose([schedule(i) for i in (0, 1, 2, 6, 10)], [0, 0.05, 0.1, 0.05, 0], atol=1e-7)


@pytest.mark.parametrize('schedule', ['cosine', 'linear', 'constant_linear'])
def test_a_rate_ends_where_it_shall(schedule):
  rate = optimizers.learning_rate_schedule(0.5, schedule, 0, 20, 0.125)
  assert float(rate(0)) == 0.5 and float(rate(20)) == float(rate(90)) == pytest.approx(0.125)
  middle = 0.5 if schedule == 'constant_linear' else (0.5 + 0.125) / 2
  assert float(rate(10)) == pytest.approx(middle)


def test_a_second_moment_whose_decay_rises():
  """Against Adam by hand, b1 = 0: the step is g / sqrt(v), v and its correction by the decay of the step."""
  b2 = optimizers.cosine_schedule(0.5, 0.9, 4)
  np.testing.assert_allclose([float(b2(k)) for k in (0, 2, 4, 9)], [0.5, 0.7, 0.9, 0.9], rtol=1e-6)
  optimizer = optimizers.adam(optax.constant_schedule(0.1), 0.0, b2, 1e-8, 0.0, 0.0)
  params, v = {'a': np.zeros(1, np.float32)}, 0.0
  state = optimizer.init(params)
  for k, g in enumerate((1.0, -3.0, 2.0)):
    decay = float(b2(k))
    v = decay * v + (1 - decay) * g**2
    updates, state = optimizer.update({'a': np.float32([g])}, state, params)
    np.testing.assert_allclose(updates['a'], -0.1 * g / np.sqrt(v / (1 - decay ** (k + 1))), rtol=1e-5)


def test_a_schedule_goes_on_from_an_update():
  rate = optimizers.begin_at(lambda count: 2.0 * count, 7)
  assert rate(0) == 14 and rate(3) == 20
