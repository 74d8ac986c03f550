"""Averages of a width that is chosen afterwards, against integrals and direct sums."""

import functools

import jax
import numpy as np
import pytest
from scipy import integrate

from gen_jax import power_ema

BASIS = (0.05, 0.1)
STEPS = 10_000
WIDTHS = (0.001, 0.05, 0.1, 0.2, 0.279)


def weights_of(width, step, steps=STEPS):
  """Of the parameters after each of `steps` steps in the average after `step`: integrals of the profile, [steps]."""
  return np.diff(np.minimum(np.arange(steps + 1) / step, 1) ** (power_ema.gamma_of(width) + 1))


@functools.cache
def walk():
  """A random walk with a drift, [STEPS]."""
  return np.cumsum(np.random.default_rng(0).normal(size=STEPS) + 0.05)


@pytest.mark.parametrize('width', WIDTHS)
def test_the_exponent_gives_the_deviation_of_its_profile(width):
  gamma = power_ema.gamma_of(width)
  assert power_ema.width_of(gamma) == pytest.approx(width, rel=1e-9)
  moment = lambda k: integrate.quad(lambda x: (gamma + 1) * x ** (gamma + k), 0, 1, points=[1 - width], limit=200)[0]
  assert np.sqrt(moment(2) - moment(1) ** 2) == pytest.approx(width, rel=1e-4)


def test_the_first_step_forgets_the_beginning_and_later_ones_forget_less():
  decays = np.array([power_ema.decay(step, width=0.05) for step in range(50)])
  assert decays[0] == 0 and np.all(np.diff(decays) > 0) and decays[-1] < 1
  exponent = power_ema.gamma_of(0.05) + 1
  np.testing.assert_allclose(decays[1:], [(1 - 1 / t) ** exponent for t in range(2, 51)], rtol=1e-5)


def test_decays_of_long_runs_are_not_rounded_away():
  exponent = power_ema.gamma_of(0.05) + 1
  for step in (10**5, 10**6):
    assert 1 - float(power_ema.decay(step, width=0.05)) == pytest.approx(exponent / step, rel=5e-3)


def test_an_average_that_is_tracked_is_the_sum_by_its_profile():
  sequence = walk()[:2000].astype(np.float32)

  def track(average, x):
    step, value = x
    decay = power_ema.decay(step, width=0.1)
    average = decay * average + (1 - decay) * value
    return average, average

  _, tracked = jax.lax.scan(track, np.float32(1e6), (np.arange(2000), sequence))  # begins far away
  for step in (1, 2, 10, 500, 2000):
    assert tracked[step - 1] == pytest.approx(weights_of(0.1, step, 2000) @ sequence, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(('widths', 'steps'), [((0.05, 0.1), (7, 9)), ((0.2, 0.05), (9, 4)), ((0.1, 0.1), (5, 5))])
def test_inner_products_are_integrals(widths, steps):
  (g, h), (step, step_of_other) = map(power_ema.gamma_of, widths), steps
  profile = lambda x, gamma, end: (gamma + 1) * x**gamma / end ** (gamma + 1)
  end = min(step, step_of_other)
  expected = integrate.quad(lambda x: profile(x, g, step) * profile(x, h, step_of_other), 0, end)[0]
  (product,) = power_ema.inner_products(*(np.array([x]) for x in (g, step, h, step_of_other)))[0]
  assert product == pytest.approx(expected, rel=1e-7)


def combined(sequence, widths, steps, width, step):
  """The combination's value of a sequence whose averages are tracked exactly, and its error."""
  coefficients, error = power_ema.combination(widths, steps, width, step)
  assert coefficients.shape == (len(steps), len(widths)) and coefficients.sum() == pytest.approx(1, abs=1e-12)
  kept = np.array([[weights_of(each, at) @ sequence for each in widths] for at in steps])
  return np.sum(coefficients * kept), error


@pytest.mark.parametrize('width', BASIS)
def test_of_a_tracked_width_the_combination_is_the_tracked_average(width):
  steps = list(range(500, STEPS + 1, 500))
  for last in (1, 7, 20):
    made, error = combined(walk(), BASIS, steps[:last], width, steps[last - 1])
    assert made == pytest.approx(weights_of(width, steps[last - 1]) @ walk(), rel=1e-6) and error < 1e-6


@pytest.mark.parametrize(('width', 'most'), [(0.03, 0.05), (0.07, 5e-3), (0.15, 0.01), (0.2, 0.03)])
def test_between_snapshots_of_two_widths_lie_others(width, most):
  """Of 20 snapshots; the error is that of the profiles of single steps too, and the average's follows it."""
  steps = list(range(500, STEPS + 1, 500))
  made, error = combined(walk(), BASIS, steps, width, STEPS)
  coefficients, _ = power_ema.combination(BASIS, steps, width, STEPS)
  wanted = weights_of(width, STEPS)
  kept = np.array([[weights_of(each, at) for each in BASIS] for at in steps])  # [20, 2, STEPS]
  profile = np.tensordot(coefficients, kept, 2)
  assert error == pytest.approx(np.linalg.norm(profile - wanted) / np.linalg.norm(wanted), rel=0.02)
  assert 1e-5 < error < most
  lag = abs(wanted @ walk() - walk()[-1])
  assert made == pytest.approx(wanted @ walk(), abs=0.02 * lag)


def test_more_snapshots_are_nearer_and_the_last_ones_matter():
  steps_of = lambda count: [STEPS * k // count for k in range(1, count + 1)]
  errors = [power_ema.combination(BASIS, steps_of(count), 0.15, STEPS).error for count in (1, 5, 20, 100)]
  assert errors == sorted(errors, reverse=True) and errors[0] > 0.2 and errors[-1] < 1e-3
  assert power_ema.combination(BASIS, steps_of(100)[:-20], 0.05, STEPS).error > 0.5


def test_names_are_keys_without_a_point():
  assert [power_ema.name_of(width) for width in (0.05, 0.1, 0.125)] == ['width_0_05', 'width_0_1', 'width_0_125']
