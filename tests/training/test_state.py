"""Which variables evaluation sees."""

import chex
import jax
import numpy as np
import pytest
from small import small_config

from gen_jax import build
from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.training import loop
from gen_jax.training.state import evaluated_average, evaluated_variables

WIDTHS = {'ema_widths': (0.05, 0.1), 'snapshots': 3}


def test_the_average_called_ema_is_evaluated_where_there_is_none_named():
  task = build.task(small_config(averages={'a': 0.999}))
  state = loop.initial_state(task)
  assert set(state.ema) == {'ema', 'a'}
  z, batch = np.ones((2, 3), np.float32), {'row': np.arange(2)}
  decode = lambda state: np.asarray(BoundModel(task.model, evaluated_variables(state)).decode(z, batch))
  moved = state._replace(params=jax.tree.map(lambda x: x + 1, state.params))
  np.testing.assert_array_equal(decode(moved), decode(state))
  assert not np.array_equal(decode(moved._replace(ema={})), decode(state))
  other = state._replace(ema=state.ema | {'a': jax.tree.map(lambda x: x + 1, state.ema['a'])})
  np.testing.assert_array_equal(decode(other), decode(state))
  of = lambda state, name: evaluated_variables(state, name)['params']['decoder']
  chex.assert_trees_all_equal(of(other, 'a'), other.ema['a']['params']['decoder'])
  assert evaluated_average(state) == 'ema' and evaluated_average(state._replace(ema={})) == ''


def test_groups_without_an_average_are_evaluated_as_they_are():
  state = loop.initial_state(build.task(small_config('gan')))
  moved = state._replace(params=jax.tree.map(lambda x: x + 1, state.params))
  variables = evaluated_variables(moved)
  chex.assert_trees_all_equal(variables['params']['discriminator'], moved.params['discriminator'])
  chex.assert_trees_all_equal(variables['params']['generator'], state.params['generator'])
  assert set(variables) == {'params', 'batch_stats', 'spectral', 'training'}


def test_the_rule_of_an_average_is_a_number_or_a_schedule_of_the_step():
  rising = {'name': 'linear_schedule', 'init_value': 0.0, 'end_value': 0.6, 'transition_steps': 10}
  rules = build.averages(small_config(averages={'rising': rising, 'fixed': 0.5}))
  assert list(rules) == ['ema', 'fixed', 'rising']
  assert (float(rules['ema'](80)), rules['fixed'](80)) == (pytest.approx(0.9), 0.5)
  np.testing.assert_allclose(rules['rising'](5), 0.3)
  np.testing.assert_allclose([rule(0) for rule in rules.values()], [0.1, 0.1, 0.0], rtol=1e-6)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'averages': {'ema': 0.5}}, 'config.averages.ema: is that of config.ema_decay; set one of them'),
    ({'averages': {'fast': 1.5}}, r'config.averages.fast=1.5: must lie in \[0, 1\)'),
    ({'averages': {'fast': {'name': 'constant_schedule', 'value': 1.5}}}, r'must lie in \[0, 1\), and begins at 1.5'),
    ({'averages': {'fast': {'name': 'adam', 'learning_rate': 1.0}}}, "config.averages.fast.name='adam' is no schedule"),
    ({'evaluated_average': 'slow'}, "config.evaluated_average='slow' is no average; there are ema"),
    ({'ema_widths': (0.05,), 'averages': {'width_0_05': 0.5}}, 'config.averages.width_0_05: is that of config.ema_wid'),
    ({'ema_widths': (0.05,), 'snapshots': 3}, 'config.snapshots=3: needs at least two config.ema_widths'),
    ({'ema_width': 0.07, 'ema_widths': (0.05, 0.1)}, 'config.ema_width=0.07: this run keeps no snapshots'),
    (WIDTHS | {'ema_width': 0.3}, r'config.ema_width=0.3: must lie in \(0, 0.28\)'),
    (WIDTHS | {'ema_width': 0.07, 'evaluated_average': 'ema'}, "config.ema_width=0.07: config.evaluated_average='ema'"),
  ],
)
def test_averages_that_cannot_be(changes, message):
  with pytest.raises(UserError, match=message):
    build.averages(small_config(**changes))



def test_evaluation_is_of_the_model_at_the_step_of_the_checkpoint():
  opening = {'name': 'linear_schedule', 'init_value': 0.0, 'end_value': 3.0, 'transition_steps': 60}
  task = build.task(small_config(model={'open_latents': opening}))
  state = loop.initial_state(task)
  z, batch = np.ones((2, 3), np.float32), {'row': np.arange(2)}

  def decode(step):
    return np.asarray(BoundModel(task.model, evaluated_variables(state._replace(step=np.int32(step)))).decode(z, batch))

  closed, half, full = (decode(step) for step in (0, 20, 60))
  assert abs(closed - half).max() > 1e-4 and abs(half - full).max() > 1e-4
  np.testing.assert_array_equal(full, decode(100))
