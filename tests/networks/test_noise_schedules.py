import jax
import jax.numpy as jnp
import numpy as np
import pytest
from facts import problems
from small import random_variables

from gen_jax import networks

SCHEDULES = {
  'linear': networks.LinearSchedule(-7.0, 4.0, learned_ends=True),
  'monotone': networks.MonotoneSchedule(-7.0, 4.0, features=6),
}


def bound(name, scale=1.0):
  """(the schedule, its variables, far from where they begin)."""
  schedule = SCHEDULES[name]
  init = lambda key: schedule.init(key, jnp.zeros(()), method='progress')
  return schedule, random_variables(init, scale=scale)


@pytest.mark.parametrize('name', SCHEDULES)
@pytest.mark.parametrize('scale', [0.6, 5.0])
def test_progress_rises_from_zero_to_one(name, scale):
  schedule, variables = bound(name, scale)
  t = jnp.linspace(0, 1, 401)
  progress = np.asarray(jax.jit(lambda t: schedule.apply(variables, t, method='progress'))(t), np.float64)
  assert abs(progress[0]) < 1e-6 and abs(progress[-1] - 1) < 1e-6
  assert (np.diff(progress) > 0).all()
  if name == 'monotone' and scale > 1:
    assert np.abs(progress - t).max() > 0.01


@pytest.mark.parametrize('name', SCHEDULES)
def test_ends_are_those_given_and_what_is_learned(name):
  schedule, variables = bound(name)
  shift = variables['params']['shift']
  ends = schedule.apply(variables, method='ends')
  np.testing.assert_allclose(ends, np.array([-7.0, 4.0]) + shift, rtol=1e-6)
  fixed = schedule.clone(learned_ends=False)
  parameters = fixed.init(jax.random.key(0), jnp.zeros(()), method='progress').get('params', {})
  assert 'shift' not in parameters
  assert fixed.apply({'params': parameters}, method='ends') == (-7.0, 4.0)


def test_the_derivative_is_that_of_differences():
  schedule, variables = bound('monotone', scale=5.0)
  progress = jax.jit(lambda t: schedule.apply(variables, t, method='progress'))
  t = jnp.linspace(0.05, 0.95, 19).reshape(19, 1)  # of any shape
  value, rate = jax.jvp(progress, (t,), (jnp.ones_like(t),))
  np.testing.assert_allclose(value[3, 0], progress(t[3, 0]), rtol=1e-6)
  step = 1e-2
  differences = (progress(t + step) - progress(t - step)) / (2 * step)
  np.testing.assert_allclose(rate, differences, rtol=5e-3)
  assert np.ptp(rate) > 0.1


def test_a_schedule_begins_nearly_as_a_line():
  schedule = networks.MonotoneSchedule()
  t = jnp.linspace(0, 1, 50)
  progress = schedule.init_with_output(jax.random.key(0), t, method='progress')[0]
  np.testing.assert_allclose(progress, t, atol=0.02)


def test_ends_in_the_wrong_order_are_refused():
  for schedule in SCHEDULES.values():
    assert problems(schedule) == []
    line, = problems(schedule.clone(gamma_min=4.0))
    assert line == 'gamma_min=4.0: must be below gamma_max=4.0'
  assert 'must be above 0' in problems(networks.MonotoneSchedule(features=0))[0]
