"""Samplers with exact denoisers, against the flow in closed form or by scipy, and the papers' formulas in float64."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from exact_denoisers import ONE, TWO, denoiser

from gen_jax import randomness
from gen_jax.diffusion import grids, samplers

KEY = randomness.key(0)
LOW, HIGH = 0.002, 10.0
GRID = grids.karras(LOW, HIGH)
DETERMINISTIC = [name for name in samplers.SAMPLERS if name != 'ancestral']


def noise_of(rows, seed=1):
  return jax.random.normal(randomness.key(seed), (rows, 2))


def sampler(name, mixture, rows, grid=GRID, frames=0):
  """(steps, churn) -> what `sample` returns, compiled once."""
  noise = noise_of(rows)
  return jax.jit(
    lambda steps, churn=0.0: samplers.sample(
      name, denoiser(mixture), noise, grid, steps, KEY, jnp.arange(rows), churn, frames
    )
  )


def levels(grid, steps):
  return np.array([grid(i, steps) for i in range(steps + 1)], np.float64)


def flow(mixture, x):
  """The probability-flow ODE from HIGH to 0: of one normal in closed form, else by scipy."""
  x = np.asarray(x, np.float64)
  if len(mixture.weights) == 1:
    values, vectors = np.linalg.eigh(mixture.covariances[0])
    return mixture.means + (x - mixture.means) @ (vectors * np.sqrt(values / (values + HIGH**2))) @ vectors.T
  denoise = denoiser(mixture, np)
  # d x / d ln sigma = x - D
  slope = lambda log_sigma, x: (x.reshape(-1, 2) - denoise(x.reshape(-1, 2), np.exp(log_sigma))).ravel()
  end = scipy.integrate.solve_ivp(slope, (np.log(HIGH), np.log(1e-4)), x.ravel(), rtol=1e-8, atol=1e-8).y[:, -1]
  return denoise(end.reshape(-1, 2), 1e-4)


@pytest.mark.parametrize('name', DETERMINISTIC)
@pytest.mark.parametrize('mixture', [ONE, TWO], ids=['one', 'two'])
def test_the_flow_is_followed_and_the_error_falls_with_the_order(name, mixture):
  run, exact = sampler(name, mixture, 16), flow(mixture, HIGH * noise_of(16))
  steps = np.array([32, 64, 128])
  errors = [np.sqrt(np.mean((np.asarray(run(n)[0]) - exact) ** 2)) for n in steps]
  slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
  low, high = {'ddim': (0.85, 1.15), 'unipc': (2.5, 3.7)}.get(name, (1.8, 2.3))
  assert low < slope < high, (slope, errors)
  assert errors[-1] < (2e-2 if name == 'ddim' else 2e-3)
  np.testing.assert_allclose(run(1_000)[0], exact, atol=1e-2 if name == 'ddim' else 1e-4)


@pytest.mark.parametrize('mixture', [ONE, TWO], ids=['one', 'two'])
@pytest.mark.parametrize(('name', 'churn'), [('ancestral', 0.0), ('heun', 40.0)])
def test_samples_by_noise_have_the_moments_of_the_data(name, churn, mixture):
  rows, steps = 10_000, 400
  x = np.asarray(sampler(name, mixture, rows)(steps, churn)[0], np.float64)
  mean, covariance = mixture.moments()
  np.testing.assert_array_less(np.abs(x.mean(0) - mean), 4 * np.sqrt(np.diag(covariance) / rows))
  products = (x - mean)[:, :, None] * (x - mean)[:, None, :]
  np.testing.assert_array_less(np.abs(products.mean(0) - covariance), 4 * products.std(0) / np.sqrt(rows))
  if name == 'heun':  # and it did add noise
    assert np.abs(x - np.asarray(sampler(name, mixture, rows)(steps)[0])).mean() > 0.3


def step_at(sigma, to, draw):
  sigma, to = jnp.float32(sigma), jnp.float32(to)
  return samplers.At(jnp.array(3), sigma, sigma, sigma, to, jnp.float32(0.0), lambda: draw)


@pytest.mark.parametrize('t', [1, 2, 500, 999])
def test_ancestral_is_the_posterior_of_ddpm(t):
  # x_0, ..., x_T; Ho et al. (2020), eq. 7, with their betas
  beta = np.concatenate([[0.0], np.linspace(1e-4, 0.02, 1_000)])
  abar = np.cumprod(1 - beta)
  x0, x_t, eps = np.random.default_rng(0).standard_normal((3, 5, 2))
  mean = np.sqrt(abar[t - 1]) * beta[t] * x0 + np.sqrt(1 - beta[t]) * (1 - abar[t - 1]) * x_t
  mean, deviation = mean / (1 - abar[t]), np.sqrt((1 - abar[t - 1]) / (1 - abar[t]) * beta[t])
  sigma = np.sqrt((1 - abar) / abar)
  at = step_at(sigma[t], sigma[t - 1], jnp.array(eps, jnp.float32))
  denoise = lambda x, sigma: jnp.array(x0, jnp.float32)
  _, _, x = samplers.ancestral(denoise, jnp.array(x_t / np.sqrt(abar[t]), jnp.float32), at, None)
  np.testing.assert_allclose(np.sqrt(abar[t - 1]) * x, mean + deviation * eps, rtol=2e-4, atol=2e-4)


def test_ancestral_is_the_posterior_of_a_simulation():
  rng, rows, to, sigma = np.random.default_rng(0), 200_000, 0.7, 1.1
  x0 = rng.uniform(-1, 1, rows)
  x_to = x0 + to * rng.standard_normal(rows)
  x = x_to + np.sqrt(sigma**2 - to**2) * rng.standard_normal(rows)
  weights, _, _, _ = np.linalg.lstsq(np.stack([x0, x], 1), x_to)
  residual = x_to - np.stack([x0, x], 1) @ weights

  def step(x0, x, draw):
    denoise = lambda x, sigma: jnp.full((1, 1), x0)
    return float(samplers.ancestral(denoise, jnp.full((1, 1), x), step_at(sigma, to, draw), None)[2][0, 0])

  np.testing.assert_allclose([step(1.0, 0.0, 0.0), step(0.0, 1.0, 0.0)], weights, atol=4 / np.sqrt(rows))
  np.testing.assert_allclose(step(0.0, 0.0, 1.0), residual.std(), rtol=4 / np.sqrt(2 * rows))


def edm_heun(denoise, x, sigma):
  """Algorithm 1 of Karras et al. (2022)."""
  for now, to in itertools.pairwise(sigma):
    slope = (x - denoise(x, now)) / now
    end = x + (to - now) * slope
    if to > 0:
      end = x + (to - now) * (slope + (end - denoise(end, to)) / to) / 2
    x = end
  return x


def vp_2m(denoise, x, sigma):
  """Algorithm 2 of Lu et al. (2022) in the coordinates of a variance-preserving path, a^2 + s^2 = 1."""
  a = 1 / np.sqrt(1 + sigma**2)
  s, x, estimates = a * sigma, a[0] * x, []
  for i in range(len(sigma) - 1):
    estimates.append(denoise(x / a[i], sigma[i]))
    if sigma[i + 1] == 0:
      return estimates[-1]
    h, d = np.log(sigma[i] / sigma[i + 1]), estimates[-1]
    if i > 0:
      r = np.log(sigma[i - 1] / sigma[i]) / h
      d = (1 + 1 / (2 * r)) * d - 1 / (2 * r) * estimates[-2]
    x = s[i + 1] / s[i] * x - a[i + 1] * np.expm1(-h) * d
  return None


def vp_unipc(denoise, x, sigma):
  """UniPC with B_2(h) of Zhao et al. (2023) as for any order, at most 2, in the same coordinates."""
  a = 1 / np.sqrt(1 + sigma**2)
  s, x, lam = a * sigma, a[0] * x, -np.log(sigma[:-1])
  m = [denoise(x / a[0], sigma[0])]
  for i in range(len(sigma) - 2):
    h = lam[i + 1] - lam[i]
    r = [(lam[i - 1] - lam[i]) / h] if i > 0 else []
    differences = [(m[i - 1] - m[i]) / r[0]] if i > 0 else []
    base, b_h = s[i + 1] / s[i] * x - a[i + 1] * np.expm1(-h) * m[i], np.expm1(-h)
    prediction = base - a[i + 1] * b_h * sum(0.5 * d for d in differences)
    m.append(denoise(prediction / a[i + 1], sigma[i + 1]))
    rows, b, factor, g = [], [], 1, np.expm1(-h) / -h - 1
    for n in range(1, len(r) + 2):
      rows.append(np.array([*r, 1.0]) ** (n - 1))
      b.append(g * factor / b_h)
      factor *= n + 1
      g = g / -h - 1 / factor
    rho = np.linalg.solve(np.array(rows), np.array(b)) if i > 0 else [0.5]
    x = base - a[i + 1] * b_h * sum(w * d for w, d in zip(rho, [*differences, m[i + 1] - m[i]], strict=True))
  return m[-1]


@pytest.mark.parametrize('steps', [1, 2, 3, 9])
@pytest.mark.parametrize(
  ('name', 'reference'), [('heun', edm_heun), ('dpm_solver_2m', vp_2m), ('unipc', vp_unipc)]
)
def test_samplers_are_those_of_the_papers(name, reference, steps):
  x = HIGH * np.asarray(noise_of(16), np.float64)
  expected = reference(denoiser(TWO, np), x, levels(GRID, steps))
  np.testing.assert_allclose(sampler(name, TWO, 16)(steps)[0], expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize('k', [1, 2, 3])
def test_phi_is_an_integral(k):
  z = np.array([-20.0, -3.0, -1.001, -0.999, -0.1, -1e-3, -1e-6, 0.0, 0.5])
  integrand = lambda t, z: np.exp((1 - t) * z) * t ** (k - 1) / np.prod(np.arange(1, k))
  expected = [scipy.integrate.quad(integrand, 0, 1, args=(one,))[0] for one in z]
  np.testing.assert_allclose(samplers.phi(k, jnp.array(z, jnp.float32)), expected, rtol=3e-6)


@pytest.mark.parametrize('name', samplers.SAMPLERS)
def test_nothing_is_compiled_anew(name):
  traced = []

  def run(steps, churn, high, seed):
    def denoise(x, sigma):
      traced.append(name)
      return denoiser(TWO)(x, sigma)

    key, grid = randomness.key(seed), grids.karras(LOW, high)
    return samplers.sample(name, denoise, noise_of(4), grid, steps, key, jnp.arange(4), churn, frames=3)

  compiled = jax.jit(run)
  compiled(5, 0.0, HIGH, 0)
  once = len(traced)
  results = [compiled(*moved)[0] for moved in ((9, 0.0, HIGH, 0), (9, 4.0, HIGH, 0), (9, 4.0, HIGH, 1))]
  assert len(traced) == once
  moves = [bool((a != b).any()) for a, b in itertools.pairwise(results)]
  assert moves == [name in samplers.CHURNED, name in ('ancestral', *samplers.CHURNED)]


@pytest.mark.parametrize('steps', [1, 4])
@pytest.mark.parametrize('name', samplers.SAMPLERS)
def test_evaluations_are_counted(name, steps):
  calls = []

  def denoise(x, sigma):
    calls.append(float(sigma))
    return 0.5 * x

  with jax.disable_jit():
    samplers.sample(name, denoise, noise_of(1), GRID, steps, KEY, jnp.arange(1))
  assert len(calls) == samplers.evaluations(name, steps) and min(calls) > 0


@pytest.mark.parametrize('name', samplers.SAMPLERS)
def test_frames_are_where_a_shorter_run_ends(name):
  steps, frames = 8, 4
  x, path = sampler(name, TWO, 4, frames=frames)(steps)
  cut = sampler(name, TWO, 4, grid=lambda i, _: GRID(i, steps))
  np.testing.assert_array_equal(path.states[0], GRID(0, steps) * noise_of(4))
  for frame, step in enumerate([0, 2, 4, 6]):
    np.testing.assert_allclose(path.states[frame], cut(step)[0], rtol=1e-5, atol=1e-5)
    estimate = denoiser(TWO)(path.states[frame], GRID(step, steps))
    np.testing.assert_allclose(path.estimates[frame], estimate, rtol=1e-5, atol=1e-5)
  np.testing.assert_array_equal(path.states[-1], x)
  np.testing.assert_array_equal(path.estimates[-1], x)
  np.testing.assert_allclose(x, sampler(name, TWO, 4)(steps)[0], rtol=1e-5, atol=1e-5)


def test_few_steps_fill_all_frames():
  every, few = (sampler('ddim', TWO, 4, frames=frames)(2)[1] for frames in (2, 7))
  for short, long in zip(every, few, strict=True):
    np.testing.assert_array_equal(long, short[np.array([0, 0, 0, 0, 1, 1, 1, 2])])


@pytest.mark.parametrize('name', samplers.SAMPLERS)
def test_a_row_is_the_same_in_any_batch(name):
  noise, rows = noise_of(4), jnp.arange(4)
  run = lambda part: samplers.sample(name, denoiser(TWO), noise[part], GRID, 7, KEY, rows[part], churn=5.0)[0]
  np.testing.assert_allclose(run(slice(2, 4)), run(slice(0, 4))[2:], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('name', samplers.SAMPLERS)
def test_a_known_x0_is_reached(name):
  # where D is constant, every step is exact, and so is the last
  known = jnp.array([[1.0, -3.0]])
  x, path = samplers.sample(
    name, lambda x, sigma: known, noise_of(1), GRID, 5, KEY, jnp.arange(1), churn=1.0, frames=5
  )
  np.testing.assert_array_equal(x, known)
  if name in DETERMINISTIC and name not in samplers.CHURNED:
    straight = [known + GRID(i, 5) / HIGH * (HIGH * noise_of(1) - known) for i in range(6)]
    np.testing.assert_allclose(path.states, straight, rtol=1e-5, atol=1e-5)


def test_karras_is_edms():
  i = np.arange(18)
  expected = (80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
  np.testing.assert_allclose(levels(grids.karras(0.002, 80.0), 18), [*expected, 0], rtol=1e-5)
  even = levels(grids.karras(0.002, 80.0, rho=1.0), 18)
  np.testing.assert_allclose(even, [*np.linspace(80, 0.002, 18), 0], rtol=1e-5)
  np.testing.assert_allclose(levels(grids.karras(0.002, 80.0), 1), [80, 0], rtol=1e-5)


def test_levels_are_those_of_even_times():
  sigma_of = lambda t: t / (1 - t)  # of the path (1 - t) x0 + t eps
  time = np.linspace(0.99, 0.01, 7)
  np.testing.assert_allclose(levels(grids.uniform_time(sigma_of, 0.01, 0.99), 7), [*time / (1 - time), 0], rtol=1e-4)
  np.testing.assert_allclose(levels(grids.uniform_time(sigma_of, 0.01, 0.99), 1), [99, 0], rtol=1e-4)
