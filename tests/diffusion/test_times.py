"""Densities of noise levels, and the quantiles that a batch has of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gen_jax.diffusion.paths import PATHS
from gen_jax.diffusion.times import DENSITIES, quantiles_of_rows, spaced_quantiles

U = jnp.linspace(0.005, 0.995, 100)
EXPECTED = {  # the distribution function of a level, by scipy
  'uniform': lambda path, sigma: (path.time(sigma) - path.t_min) / (path.t_max - path.t_min),
  'log_normal': lambda path, sigma: scipy.stats.norm.cdf(np.log(sigma), -1.2, 1.3),
  'logit_normal': lambda path, sigma: scipy.stats.norm.cdf(scipy.special.logit(path.time(sigma)), -1.2, 1.3),
}


@pytest.mark.parametrize('density', DENSITIES)
def test_levels_are_the_quantiles_of_their_density(density):
  path = PATHS['linear']
  sigma = np.asarray(DENSITIES[density](path, U, -1.2, 1.3), np.float64)
  np.testing.assert_allclose(EXPECTED[density](path, sigma), U, atol=1e-4)


def test_quantiles_of_a_batch_are_evenly_spaced_and_each_is_uniform():
  keys = jax.random.split(jax.random.key(0), 500)
  u = np.sort(jax.vmap(lambda key: spaced_quantiles(key, jnp.arange(8)))(keys), axis=1)
  np.testing.assert_allclose(np.diff(u, axis=1), 1 / 8, atol=1e-5)
  first = np.asarray(jax.vmap(lambda key: spaced_quantiles(key, jnp.arange(8))[3])(keys))
  assert scipy.stats.kstest(first, 'uniform').pvalue > 0.01


def test_devices_share_them():
  key, rows = jax.random.key(1), jnp.arange(8)
  shared = jax.vmap(lambda rows: spaced_quantiles(key, rows), axis_name='batch')(rows.reshape(4, 2))
  np.testing.assert_allclose(shared.reshape(-1), spaced_quantiles(key, rows), atol=1e-6)


def test_the_quantile_of_a_row_is_the_same_in_any_batch_and_consecutive_rows_are_spread():
  key, rows = jax.random.key(1), jnp.arange(60_000, 60_256)
  u = np.asarray(quantiles_of_rows(key, rows))
  np.testing.assert_array_equal([quantiles_of_rows(key, rows[i : i + 1])[0] for i in (0, 1, 100)], u[[0, 1, 100]])
  assert np.diff(np.sort(u), prepend=0, append=1).max() < 3 / 256  # of independent ones it is about 6
  step = np.diff(u)[:20] % 1
  np.testing.assert_allclose(step, (np.sqrt(5) - 1) / 2, atol=1e-6)
  keys = jax.random.split(jax.random.key(0), 500)
  first = np.asarray(jax.vmap(lambda key: quantiles_of_rows(key, rows)[3])(keys))
  assert scipy.stats.kstest(first, 'uniform').pvalue > 0.01
