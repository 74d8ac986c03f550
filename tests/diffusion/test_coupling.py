"""Couplings of a batch: the assignment beside SciPy's, the entropic plan beside its closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from gen_jax.diffusion import coupling

optimal, squared_distances = jax.jit(coupling.optimal), jax.jit(coupling.squared_distances)


def sides(number, shape=(3, 2, 1), seed=0):
  rng = np.random.default_rng(seed)
  draw = lambda: rng.normal(size=(number, *shape)).astype(np.float32)
  return draw(), draw() + 0.5


def keys_of(number):
  return jax.random.split(jax.random.key(0), number)


def test_squared_distances():
  a, b = sides(9)
  np.testing.assert_allclose(squared_distances(a, b), ((a[:, None] - b[None]) ** 2).sum((2, 3, 4)), rtol=1e-5)


@pytest.mark.parametrize('number', [1, 2, 40, 128])
@pytest.mark.parametrize('ties', [False, True])
def test_least_cost_is_that_of_scipy(number, ties):
  costs = np.asarray(squared_distances(*sides(number)), np.float64)
  costs = np.round(costs / 4) if ties else costs
  places = np.asarray(optimal(jnp.float32(costs)))
  assert sorted(places) == list(range(number))
  least = costs[linear_sum_assignment(costs)].sum()
  np.testing.assert_allclose(costs[np.arange(number), places].sum(), least, rtol=1e-6)


def test_shift_and_scale_of_a_side_change_no_assignment():
  a, b = sides(50)
  np.testing.assert_array_equal(optimal(squared_distances(a, b)), optimal(squared_distances(a, 0.3 * b + 0.7)))


def test_points_of_a_line_stay_in_their_order():
  a, b = sides(30, shape=(1,))
  places = np.asarray(optimal(squared_distances(a, b)))
  np.testing.assert_array_equal(np.argsort(a[:, 0]), np.argsort(b[places, 0]))


def test_entropic_plan_of_gaussians():
  # cov(a, b) = (sqrt(4 s_a^2 s_b^2 + sigma^4) - sigma^2) / 2 (Janati et al., 2020, theorem 1), evenly spaced quantiles
  number, deviations, sigma = 300, (1.0, 0.7), 0.8
  quantiles = jax.scipy.special.ndtri((jnp.arange(number) + 0.5) / number)[:, None]
  a, b = (deviation * quantiles for deviation in deviations)
  draw = jax.jit(lambda keys: coupling.entropic(squared_distances(a, b), 2 * sigma**2, keys))
  places = np.stack([draw(keys) for keys in jax.random.split(jax.random.key(0), (20, number))])
  found = (np.asarray(a)[None, :, 0] * np.asarray(b)[places, 0]).mean()
  wanted = (np.sqrt(4 * np.prod(deviations) ** 2 + sigma**4) - sigma**2) / 2
  assert found == pytest.approx(wanted, abs=0.02)


def test_limits_of_the_entropic_plan():
  a, b = sides(20)
  costs = squared_distances(a, b)
  np.testing.assert_array_equal(coupling.entropic(costs, 1e-3, keys_of(20)), optimal(costs))
  frequent = np.bincount(coupling.entropic(jnp.zeros((20, 20)), 1.0, keys_of(20)), minlength=20)
  assert frequent.max() < 7  # a draw of each at random
