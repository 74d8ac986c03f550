"""Denoising errors and moments of the path to noise, beside those of a Gaussian in closed form."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from exact_denoisers import ONE, denoiser

from gen_jax import models
from gen_jax.diffusion import outliers
from gen_jax.evaluation.bound import BoundModel

RNG = np.random.default_rng(0)
POINTS = np.array([[0.5, -0.2], [2.0, 1.0], [-3.0, 0.0]], np.float32)  # the mean, and two others
MEAN, COVARIANCE = ONE.means[0], ONE.covariances[0]
KEY = jax.random.key(0)


def test_denoising_errors_are_bias_and_noise_that_comes_through():
  # D(x_0 + sigma eps) - x_0 = (A - I) (x_0 - m) + sigma A eps, A = C (C + sigma^2)^-1
  sigmas = np.array([0.1, 0.7, 3.0])
  found = outliers.denoising_errors(denoiser(ONE), POINTS, jnp.asarray(sigmas, jnp.float32), 4000, KEY, np.arange(3))
  gain = [COVARIANCE @ np.linalg.inv(COVARIANCE + sigma**2 * np.eye(2)) for sigma in sigmas]
  bias = [(((POINTS - MEAN) @ (a - np.eye(2)).T) ** 2).mean(1) for a in gain]
  noise = [sigma**2 * np.trace(a @ a.T) / 2 for sigma, a in zip(sigmas, gain, strict=True)]
  np.testing.assert_allclose(found, np.transpose(bias) + np.array(noise)[None], rtol=0.05)


def test_noise_is_that_of_the_row_and_new_at_each_draw():
  of = lambda rows: outliers.denoising_errors(denoiser(ONE), POINTS[rows], jnp.array([1.0, 1.0]), 2, KEY, rows)
  rows = np.arange(3)
  np.testing.assert_allclose(of(rows)[::-1], of(rows[::-1]), rtol=1e-5)
  assert (np.abs(of(rows)[:, 0] - of(rows)[:, 1]) > 1e-4).all()


def test_moments_of_the_path_are_integrals_over_that_of_a_gaussian():
  low, high = 0.2, 3.0
  values, vectors = np.linalg.eigh(COVARIANCE)
  t = (np.arange(20_000) + 0.5) / 20_000
  sigma = (low * (high / low) ** t)[:, None, None]
  # along an eigenvector x - m grows like sqrt(lambda + sigma^2), and e = sigma (x - m) / (lambda + sigma^2)
  start = (POINTS - MEAN) @ vectors / np.sqrt(values + low**2)
  slope = start * sigma / np.sqrt(values + sigma**2) @ vectors.T
  change = start * values * sigma / (values + sigma**2) ** 1.5 @ vectors.T
  expected = np.stack([(x**power).mean((0, 2)) for x in (slope, change) for power in (1, 2, 3)], 1)
  found = outliers.path_moments(denoiser(ONE), POINTS, jnp.geomspace(low, high, 2000))
  np.testing.assert_allclose(found[1:], expected[1:], rtol=0.01)
  np.testing.assert_allclose(found[0], 0, atol=1e-5)


class Exact(nn.Module):
  """F of the exact denoiser of N(0, 1) by EDM, with the label that stands for none; nonsense with another."""

  @nn.compact
  def __call__(self, x, noise, labels, rows, train):
    self.param('unused', nn.initializers.zeros, ())
    return jnp.where(labels[:, None, None, None] == 3, 0.0, jnp.nan) * x  # D = c_skip x


def test_a_conditional_model_is_judged_without_labels():
  model = models.Diffusion(Exact(), (2, 2, 1), (-1.0, 1.0), conditional=True, num_classes=3)
  variables = {
    'params': {'denoiser': {'unused': jnp.zeros(())}},
    'statistics': {'mean': np.array([0.5], np.float32), 'deviation': np.float32(2.0)},
  }
  images = RNG.normal(size=(5, 2, 2, 1)).astype(np.float32)
  found = BoundModel(model, variables).outlier_statistics({'image': images, 'row': np.arange(5)})
  assert found['denoising'].shape == (5, 8) and found['path'].shape == (5, 6)
  x = (images - 0.5).reshape(5, 4)
  sigma = np.geomspace(0.2, 20, 10)  # a tenth and ten times the deviation
  slopes = []
  for s, to in zip(sigma, [*sigma[1:], sigma[-1]], strict=True):
    slopes.append(x * s / (4 + s**2))  # (x - D) / s
    x = x + (to - s) * slopes[-1]
  np.testing.assert_allclose(found['path'][:, 1], (np.array(slopes) ** 2).mean((0, 2)), rtol=1e-4)
