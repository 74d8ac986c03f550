"""Gaussian classes, whose optimal denoisers and densities are known."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from gen_jax.diffusion.classify import class_log_prob, middles_of_levels

KEY = jax.random.key(0)
WIDE = (0.005, 100.0)
MEANS = np.array([[0.0, 1.0, -1.0], [1.0, 0.5, 2.0]], np.float32)


def denoiser(mean, deviation):
  """E[x0 | x] of x0 ~ N(mean, deviation^2)."""

  def denoise(x, sigma):
    center = jnp.broadcast_to(jnp.asarray(mean)[None], x.shape)
    return center + deviation**2 / (deviation**2 + sigma**2) * (x - center)

  return denoise


def of_class(mean, deviation, x_0, key=KEY, interval=WIDE, levels=60, **how):
  return np.asarray(class_log_prob(denoiser(mean, deviation), x_0, jnp.arange(len(x_0)), key, interval, levels, **how))


def exact(mean, deviation, x_0):
  return scipy.stats.norm(mean, deviation).logpdf(x_0).sum(-1)


def test_the_levels_are_the_middles_of_equal_parts():
  np.testing.assert_allclose(middles_of_levels((1.0, np.e**2), 2), np.exp([0.5, 1.5]), rtol=1e-5)


def test_classes_of_one_deviation_differ_as_their_densities_do_whatever_the_noise():
  x_0 = jax.random.normal(KEY, (5, 3))
  wanted = exact(MEANS[0], 0.7, x_0) - exact(MEANS[1], 0.7, x_0)
  values = []
  for seed in range(2):
    first, second = (of_class(mean, 0.7, x_0, jax.random.key(seed)) for mean in MEANS)
    np.testing.assert_allclose(first - second, wanted, rtol=0.01, atol=0.01)
    values.append(first)
  assert np.abs(values[0] - values[1]).min() > 0.01  # each by itself is noisy
  unpaired = of_class(MEANS[0], 0.7, x_0, jax.random.key(1)) - of_class(MEANS[1], 0.7, x_0, jax.random.key(2))
  assert np.abs(unpaired - wanted).max() > 0.1


def test_classes_of_other_deviations_differ_as_their_densities_do_on_average():
  x_0 = jnp.broadcast_to(jnp.array([[0.4, -0.2, 1.0]]), (2000, 3))
  difference = of_class(MEANS[0], 0.3, x_0) - of_class(MEANS[1], 1.2, x_0)
  error = difference.std() / np.sqrt(len(x_0))
  wanted = exact(MEANS[0], 0.3, x_0[0]) - exact(MEANS[1], 1.2, x_0[0])
  assert error < 0.1 and abs(difference.mean() - wanted) < 4 * error + 0.02


def test_a_power_weighs_the_levels():
  x_0 = jnp.zeros((1, 3))
  high = of_class(MEANS[0], 1.0, x_0, interval=(2.0, 2.0002), levels=1, power=0.0)
  low = of_class(MEANS[0], 1.0, x_0, interval=(2.0, 2.0002), levels=1)
  np.testing.assert_allclose(low, high / 4, rtol=1e-3)


def test_a_row_has_its_own_noise_whatever_stands_beside_it():
  x_0 = jax.random.normal(KEY, (4, 3))
  alone = class_log_prob(denoiser(MEANS[0], 0.7), x_0[2:3], jnp.array([2]), KEY, WIDE, 8)
  np.testing.assert_allclose(of_class(MEANS[0], 0.7, x_0, levels=8)[2], alone[0], rtol=1e-5)
