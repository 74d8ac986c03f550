"""Integration of a velocity: the order of each rule, the way back, and what lies between."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax.diffusion import flows

START = jnp.array([[0.3, -1.0], [2.0, 0.5]])
ORDERS = {'ddim': 1, 'heun': 2}


def velocity(x, t):
  """Of x(t) = x(0) e^(sin 3t / 3), turned by t^2 / 2."""
  return jnp.cos(3 * t) * x + t * jnp.stack([-x[:, 1], x[:, 0]], axis=-1)


def solution(x, t, since=0.0):
  """x(t) in float64."""
  growth, angle = np.exp((np.sin(3 * t) - np.sin(3 * since)) / 3), (t**2 - since**2) / 2
  turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
  return growth * np.asarray(x, np.float64) @ turn


@pytest.mark.parametrize('name', flows.RULES)
@pytest.mark.parametrize(('start', 'end'), [(0.0, 1.0), (1.0, 0.0), (0.2, 0.7)])
def test_order_of_rules(name, start, end):
  error = lambda steps: np.abs(
    flows.integrate(name, velocity, START, start, end, steps) - solution(START, end, start)
  ).max()
  coarse, fine = error(16), error(32)
  assert coarse / fine == pytest.approx(2 ** ORDERS[name], rel=0.15)


def test_number_of_steps_may_be_traced():
  traced = jax.jit(lambda steps: flows.integrate('heun', velocity, START, 0.0, 1.0, steps))
  for steps in (3, 20):
    np.testing.assert_allclose(traced(steps), flows.integrate('heun', velocity, START, 0.0, 1.0, steps), rtol=1e-5)
  assert traced._cache_size() == 1


@pytest.mark.parametrize(('steps', 'rtol'), [(100, 1e-3), (4, 0.2)])
def test_trajectory_passes_the_solution(steps, rtol):
  states = flows.trajectory('heun', velocity, START, 0.0, 1.0, steps, frames=5)
  assert states.shape == (6, 2, 2)
  for t, state in zip(np.linspace(0, 1, 6), states, strict=True):
    np.testing.assert_allclose(state, solution(START, t), rtol=rtol, atol=0.1 * rtol)


def test_trajectory_ends_where_the_integral_does():
  states = flows.trajectory('ddim', velocity, START, 1.0, 0.0, 12, frames=4)
  np.testing.assert_allclose(states[-1], flows.integrate('ddim', velocity, START, 1.0, 0.0, 12), rtol=1e-5)
