"""Guidance of exact denoisers, where the truth is known."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact_denoisers import TWO, Mixture, classifier, denoiser, gaussian

from gen_jax import randomness
from gen_jax.diffusion import grids, guidance, samplers

KEY = randomness.key(0)
X = 2 * jax.random.normal(KEY, (8, 2))
EVERYWHERE = (0.0, np.inf)
BETTER, WORSE = denoiser(TWO.component(1)), denoiser(TWO)


@pytest.mark.parametrize('sigma', [0.01, 1.0, 30.0])
def test_strength_1_is_the_better_and_0_the_worse(sigma):
  guided = lambda strength: guidance.guide(BETTER, WORSE, strength, EVERYWHERE)(X, sigma)
  better, worse = BETTER(X, sigma), WORSE(X, sigma)
  np.testing.assert_array_equal(guided(1.0), better)
  np.testing.assert_allclose(guided(0.0), worse, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(guided(3.0), worse + 3 * (better - worse), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(('sigma', 'inside'), [(0.5, False), (0.51, True), (2.0, True), (2.01, False)])
def test_outside_the_interval_only_the_better_is_called(sigma, inside):
  calls = []

  def worse(x, sigma):
    calls.append(sigma)
    return WORSE(x, sigma)

  with jax.disable_jit():
    result = guidance.guide(BETTER, worse, 2.0, (0.5, 2.0))(X, jnp.float32(sigma))
  assert bool(calls) == inside == bool(jnp.abs(result - BETTER(X, sigma)).max() > 1e-3)
  moved = guidance.classifier_guided(WORSE, classifier(TWO, 1), 1.0, (0.5, 2.0))(X, jnp.float32(sigma))
  assert bool(jnp.abs(moved - WORSE(X, sigma)).max() > 1e-3) == inside


def test_strength_and_interval_compile_nothing_anew():
  traced = []

  def run(strength, low, high):
    traced.append(strength)
    denoise = guidance.guide(BETTER, WORSE, strength, (low, high))
    return samplers.sample('heun', denoise, X, grids.karras(0.002, 10.0), 9, KEY, jnp.arange(8))[0]

  compiled = jax.jit(run)
  results = [compiled(*moved) for moved in ((1.0, 0.0, 9.0), (2.0, 0.0, 9.0), (2.0, 1.0, 9.0), (2.0, 1.0, 2.0))]
  assert len(traced) == 1
  assert all(jnp.abs(a - b).max() > 1e-3 for a, b in itertools.pairwise(results))
  alone = samplers.sample('heun', BETTER, X, grids.karras(0.002, 10.0), 9, KEY, jnp.arange(8))[0]
  np.testing.assert_allclose(results[0], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('sigma', [0.1, 1.0, 5.0])
def test_an_exact_classifier_gives_the_exact_conditional(sigma):
  # Bayes: grad log p(x | k) = grad log p(x) + grad log p(k | x), at every sigma
  same = np.array([[0.5, 0.2], [0.2, 0.3]])
  for mixture in (Mixture(np.array([0.4, 0.6]), np.array([[-1.0, 0.0], [1.0, 0.5]]), np.stack([same, same])), TWO):
    for k in (0, 1):
      guided = lambda strength: guidance.classifier_guided(
        denoiser(mixture), classifier(mixture, k), strength, EVERYWHERE  # noqa: B023, called at once
      )(X, sigma)
      np.testing.assert_allclose(guided(1.0), denoiser(mixture.component(k))(X, sigma), rtol=1e-4, atol=1e-4)
      np.testing.assert_array_equal(guided(0.0), denoiser(mixture)(X, sigma))


@pytest.mark.parametrize('sigma', [0.1, 1.0, 5.0])
def test_conditions_of_independent_coordinates_compose(sigma):
  # each coordinate is a mixture of two normals, by itself: component 2 a + b has a of the first, b of the second
  (p, means, variances), (q, others, spreads) = ([0.3, 0.7], [-1, 2], [0.2, 0.5]), ([0.6, 0.4], [0, 1.5], [0.1, 0.3])
  both = [(a, b) for a in (0, 1) for b in (0, 1)]
  whole = Mixture(
    np.array([p[a] * q[b] for a, b in both]),
    np.array([[means[a], others[b]] for a, b in both], float),
    np.array([np.diag([variances[a], spreads[b]]) for a, b in both]),
  )
  first, second = denoiser(whole.component(2, 3)), denoiser(whole.component(0, 2))  # a = 1; b = 0
  composed = lambda *w: guidance.compose(denoiser(whole), [first, second], w)(X, sigma)
  np.testing.assert_allclose(composed(1.0, 1.0), denoiser(whole.component(2))(X, sigma), rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(composed(0.0, 1.0), second(X, sigma), rtol=1e-5, atol=1e-5)
  np.testing.assert_array_equal(composed(0.0, 0.0), denoiser(whole)(X, sigma))


def test_other_conditions_compose_only_as_sigma_goes_to_0():
  # x ~ N(0, I), of which two measurements of variance .5 say 1 and -2 in each coordinate
  normal = lambda mean, variance: denoiser(gaussian([mean, mean], variance * np.eye(2)))
  composed = guidance.compose(normal(0, 1), [normal(1 / 1.5, 0.5 / 1.5), normal(-2 / 1.5, 0.5 / 1.5)], [1.0, 1.0])
  error = lambda sigma: float(jnp.abs(composed(X, sigma) - normal(-1 / 2.5, 0.5 / 2.5)(X, sigma)).max() / sigma**2)
  assert error(0.02) < 0.05 and error(0.5) > 0.5


@pytest.mark.parametrize('name', samplers.SAMPLERS)
def test_the_known_part_is_kept(name):
  known, mask = jnp.array([[1.5, 9.0]] * 8), jnp.array([[1.0, 0.0]] * 8)
  denoise = guidance.inpaint(WORSE, known, mask)
  x, path = samplers.sample(name, denoise, X, grids.karras(0.002, 10.0), 9, KEY, jnp.arange(8), churn=1.0, frames=9)
  np.testing.assert_array_equal(x[:, 0], known[:, 0])
  np.testing.assert_array_equal(path.estimates[:, :, 0], jnp.full((10, 8), 1.5))
  assert jnp.abs(x[:, 1] - 9.0).min() > 1
