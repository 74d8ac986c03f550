"""Hyper-parameters that change with the step."""

import jax
import numpy as np
import pytest

from gen_jax import schedules

STEPS, LEVELS = (10, 20, 50), (60.0, 5.0, 1.0)


@pytest.mark.parametrize('logarithmic', [False, True])
def test_values_are_interpolated_and_constant_outside(logarithmic):
  schedule = schedules.interpolated_schedule(STEPS, LEVELS, logarithmic)
  of, inverse = (np.log, np.exp) if logarithmic else (np.asarray, np.asarray)
  expected = inverse(np.interp([0, 10, 13, 20, 45, 50, 9_000], STEPS, of(LEVELS)))
  steps = np.array([0, 10, 13, 20, 45, 50, 9_000], np.int32)
  np.testing.assert_allclose(jax.jit(jax.vmap(schedule))(steps), expected, rtol=1e-6)
  assert float(schedule(13)) == pytest.approx(expected[2])


@pytest.mark.parametrize(
  ('steps', 'levels', 'message'),
  [
    ((1, 2), (1.0,), '2 steps and 1 levels'),
    ((), (), '0 steps'),
    ((1, 1), (1.0, 2.0), 'each must be above the one before'),
    ((1, 2), (1.0, 0.0), 'all must be finite and above 0'),
    ((1, 2), (1.0, float('nan')), 'all must be finite'),
    (('a', 'b'), (1.0, 2.0), 'could not convert string to float'),
  ],
)
def test_what_cannot_be_interpolated_is_said(steps, levels, message):
  with pytest.raises(ValueError, match=message):
    schedules.interpolated_schedule(steps, levels, logarithmic=True)


@pytest.mark.parametrize('step', [0, 5, 90, 100_000])
def test_the_decay_of_a_young_average_looks_back_a_tenth_of_the_steps(step):
  assert float(schedules.warm_up_decay(0.99)(step)) == pytest.approx(min(0.99, (1 + step) / (10 + step)))
