"""Paths from data to noise, and what networks estimate on them: identities, in float64 NumPy beside."""

import jax
import numpy as np
import pytest
from scipy.integrate import quad

from gen_jax.diffusion.paths import BETA_MAX, BETA_MIN, PATHS
from gen_jax.diffusion.targets import TARGETS

SIGMA = np.geomspace(0.003, 70, 40).astype(np.float32)
RNG = np.random.default_rng(0)
X_0, EPS = RNG.normal(size=(2, 40))
SIGMA_DATA = np.float32(0.6)


def scale_and_noise(name):
  """(a, s) of the levels SIGMA."""
  a = np.asarray(PATHS[name].scale(SIGMA), np.float64)
  return a, a * SIGMA


@pytest.mark.parametrize('name', PATHS)
def test_noise_rises_with_time_which_is_its_inverse(name):
  path = PATHS[name]
  t = np.linspace(path.t_min, path.t_max, 200, dtype=np.float32)
  sigma = np.asarray(path.sigma(t))
  assert (np.diff(sigma) > 0).all() and sigma[0] < 0.02 and sigma[-1] > 79.9
  np.testing.assert_allclose(path.time(sigma), t, atol=2e-5)
  np.testing.assert_allclose(path.sigma(path.time(SIGMA)), SIGMA, rtol=2e-3)


def test_the_scales_are_what_the_papers_say():
  for name in ('variance_preserving', 'cosine'):
    a, s = scale_and_noise(name)
    np.testing.assert_allclose(a**2 + s**2, 1, atol=1e-6)
  a, s = scale_and_noise('linear')
  np.testing.assert_allclose(a + s, 1, atol=1e-6)
  np.testing.assert_allclose(s, PATHS['linear'].time(SIGMA), atol=1e-6)
  t = np.asarray(PATHS['cosine'].time(SIGMA), np.float64)
  np.testing.assert_allclose(scale_and_noise('cosine')[0], np.cos(np.pi * t / 2), atol=1e-6)
  np.testing.assert_array_equal(scale_and_noise('edm')[0], 1)


def test_the_variance_preserving_path_solves_its_equation():
  """Of dx = -beta(t) x / 2 dt + sqrt(beta(t)) dW: a = e^(-b / 2) and s^2 = 1 - e^-b, b the integral of beta."""
  for t in (0.01, 0.3, 1.0):
    b = quad(lambda u: BETA_MIN + u * (BETA_MAX - BETA_MIN), 0, t)[0]
    np.testing.assert_allclose(PATHS['variance_preserving'].sigma(np.float32(t)) ** 2, np.expm1(b), rtol=1e-4)


def test_it_is_the_discrete_one_of_ho_et_al():
  betas = np.linspace(1e-4, 0.02, 1000)
  kept = np.cumprod(1 - betas)
  t = np.arange(1, 1001) / 1000
  sigma = np.asarray(PATHS['variance_preserving'].sigma(np.float32(t)))
  np.testing.assert_allclose(sigma[50:], np.sqrt(1 / kept - 1)[50:], rtol=0.08)  # of the same times, and as many steps


def exact_target(target, name):
  """What a network is to say of x_0, eps at all levels, written from x_t = a x_0 + s eps."""
  a, s = scale_and_noise(name)
  x = X_0 + SIGMA * EPS
  c_out = SIGMA * SIGMA_DATA / np.sqrt(SIGMA**2 + SIGMA_DATA**2)
  return {
    'epsilon': EPS,
    'data': X_0,
    'v': a * EPS - s * X_0,
    'velocity': EPS - X_0,
    'edm': (X_0 - SIGMA_DATA**2 / (SIGMA**2 + SIGMA_DATA**2) * x) / c_out,
  }[target]


NATURAL = {'epsilon': 'variance_preserving', 'data': 'edm', 'v': 'cosine', 'velocity': 'linear', 'edm': 'edm'}


@pytest.mark.parametrize(('target', 'name'), NATURAL.items())
def test_the_one_line_of_the_loss_gives_what_the_name_of_the_target_says(target, name):
  c = TARGETS[target](PATHS[name], SIGMA, SIGMA_DATA)
  x = X_0 + SIGMA * EPS
  np.testing.assert_allclose((X_0 - c.skip * x) / c.out, exact_target(target, name), atol=2e-3)


@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('name', PATHS)
def test_the_exact_answer_makes_the_exact_denoiser_on_every_path(target, name):
  """So a network trained for one target serves as one of any other: all give the same D."""
  c = TARGETS[target](PATHS[name], SIGMA, SIGMA_DATA)
  x = X_0 + SIGMA * EPS
  answer = (X_0 - np.float64(c.skip) * x) / np.float64(c.out)
  np.testing.assert_allclose(c.skip * x + c.out * answer, X_0, atol=2e-5)
  seen = np.float64(c.input) * x
  if target != 'edm':
    a, s = scale_and_noise(name)
    np.testing.assert_allclose(seen, a * X_0 + s * EPS, rtol=1e-4, atol=1e-5)


def test_edm_is_v_of_data_of_unit_variance_with_another_sign():
  of_edm, of_v = (TARGETS[name](PATHS['cosine'], SIGMA, np.float32(1)) for name in ('edm', 'v'))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), of_edm._replace(out=-of_edm.out), of_v)


@pytest.mark.parametrize('sigma', (0.01, 0.3, 5.0, 80.0))
def test_what_an_edm_network_sees_and_is_to_say_has_unit_second_moment(sigma):
  """Of any data of mean 0, here far from Gaussian ones."""
  x_0 = RNG.choice([-0.3, 0.7], p=[0.7, 0.3], size=200_000)
  deviation = np.float32(x_0.std())
  c = TARGETS['edm'](PATHS['edm'], np.float32(sigma), deviation)
  x = x_0 + sigma * RNG.normal(size=x_0.shape)
  assert abs(((c.input * x) ** 2).mean() - 1) < 0.02
  assert abs((((x_0 - c.skip * x) / c.out) ** 2).mean() - 1) < 0.02
