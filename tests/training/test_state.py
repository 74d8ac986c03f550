"""Which variables evaluation sees."""

import chex
import jax
import numpy as np
from small import small_config

from gen_jax import build
from gen_jax.evaluation.bound import BoundModel
from gen_jax.training import loop
from gen_jax.training.state import evaluated_variables


def test_the_first_average_is_evaluated_where_there_is_any():
  task = build.task(small_config(averages={'slow': 0.999}))
  state = loop.initial_state(task)
  assert list(state.ema) == ['ema', 'slow']
  z, batch = np.ones((2, 3), np.float32), {'row': np.arange(2)}
  decode = lambda state: np.asarray(BoundModel(task.model, evaluated_variables(state)).decode(z, batch))
  moved = state._replace(params=jax.tree.map(lambda x: x + 1, state.params))
  np.testing.assert_array_equal(decode(moved), decode(state))
  assert not np.array_equal(decode(moved._replace(ema={})), decode(state))
  other = state._replace(ema=state.ema | {'slow': jax.tree.map(lambda x: x + 1, state.ema['slow'])})
  np.testing.assert_array_equal(decode(other), decode(state))


def test_groups_without_an_average_are_evaluated_as_they_are():
  state = loop.initial_state(build.task(small_config('gan')))
  moved = state._replace(params=jax.tree.map(lambda x: x + 1, state.params))
  variables = evaluated_variables(moved)
  chex.assert_trees_all_equal(variables['params']['discriminator'], moved.params['discriminator'])
  chex.assert_trees_all_equal(variables['params']['generator'], state.params['generator'])
  assert set(variables) == {'params', 'batch_stats', 'spectral'}


def test_the_rule_of_an_average_is_a_number_or_a_schedule_of_the_step():
  rising = {'name': 'linear_schedule', 'init_value': 0.0, 'end_value': 0.9, 'transition_steps': 10}
  rules = build.averages(small_config(averages={'rising': rising, 'fixed': 0.5}))
  assert list(rules) == ['ema', 'fixed', 'rising']
  assert (rules['ema'](3), rules['fixed'](3)) == (0.9, 0.5)
  np.testing.assert_allclose(rules['rising'](5), 0.45)
