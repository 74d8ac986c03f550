"""Losses and penalties against closed forms, numpy and finite differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit

from gen_jax import adversarial

R, F = np.array([-2.0, 0.3, 4.0]), np.array([1.5, -0.7, -3.0])


def test_losses_are_those_of_their_papers():
  d = {name: np.asarray(loss.discriminator(jnp.array(R), jnp.array(F))) for name, loss in adversarial.LOSSES.items()}
  g = {name: np.asarray(loss.generator(jnp.array(R), jnp.array(F))) for name, loss in adversarial.LOSSES.items()}
  value = np.log(expit(R)) + np.log(1 - expit(F))  # of which D ascends the mean
  for name in ('minimax', 'non_saturating'):
    np.testing.assert_allclose(d[name], -value, rtol=1e-5)
  np.testing.assert_allclose(g['minimax'], np.log(1 - expit(F)), rtol=1e-5)
  np.testing.assert_allclose(g['non_saturating'], -np.log(expit(F)), rtol=1e-5)
  np.testing.assert_allclose(d['least_squares'], (R - 1) ** 2 + F**2, rtol=1e-6)
  np.testing.assert_allclose(g['least_squares'], (F - 1) ** 2, rtol=1e-6)
  np.testing.assert_allclose(d['hinge'], -np.minimum(0, R - 1) - np.minimum(0, -F - 1), rtol=1e-6)
  np.testing.assert_allclose(d['wasserstein'], F - R, rtol=1e-6)
  for name in ('hinge', 'wasserstein'):
    np.testing.assert_allclose(g[name], -F, rtol=1e-6)
  np.testing.assert_allclose(d['relativistic'], -np.log(expit(R - F)), rtol=1e-5)
  np.testing.assert_allclose(g['relativistic'], -np.log(expit(F - R)), rtol=1e-5)


def test_a_loss_that_pairs_does_not_know_the_level_of_the_logits():
  r, f = jnp.array(R), jnp.array(F)
  for name, loss in adversarial.LOSSES.items():
    level = [float(abs(player(r + 2, f + 2) - player(r, f)).max()) for player in loss[:2]]
    assert (max(level) < 1e-5) == loss.pairs, name


BEST = {  # the logit that is best where p(x) real and q(x) fake examples are
  'minimax': lambda p, q: np.log(p / q),
  'non_saturating': lambda p, q: np.log(p / q),
  'least_squares': lambda p, q: p / (p + q),
  'hinge': lambda p, q: np.sign(p - q),
}


@pytest.mark.parametrize('name', BEST)
@pytest.mark.parametrize(('p', 'q'), [(0.7, 0.3), (0.1, 0.5)])
def test_the_best_discriminator(name, p, q):
  loss = lambda x, y: float(adversarial.LOSSES[name].discriminator(jnp.float32(x), jnp.float32(y)))
  weighted = lambda x: p * (loss(x, 0) - loss(0, 0)) + q * loss(0, x)  # the two terms apart
  results = minimize_scalar(weighted, bounds=(-3, 3), method='bounded').x
  np.testing.assert_allclose(results, BEST[name](p, q), atol=2e-2)


def test_both_losses_have_one_gradient_where_nothing_is_known_and_only_one_where_all_is():
  slopes = {name: jax.grad(functools.partial(loss.generator, 0.0)) for name, loss in adversarial.LOSSES.items()}
  for f, minimax, non_saturating in ((0.0, -0.5, -0.5), (-10.0, -expit(-10), -expit(10)), (10.0, -1, -expit(-10))):
    np.testing.assert_allclose(slopes['minimax'](f), minimax, rtol=1e-3)
    np.testing.assert_allclose(slopes['non_saturating'](f), non_saturating, rtol=1e-3)


def arrays(*shapes):
  noise = np.random.default_rng(0)
  return [jnp.array(noise.normal(size=shape), jnp.float32) for shape in shapes]


def test_penalties_of_a_linear_critic():
  real, fake, w = arrays((5, 2, 3, 1), (5, 2, 3, 1), (2, 3, 1))
  logit = lambda x: (x * w[None]).sum((1, 2, 3))
  mix, norm = jnp.linspace(0, 1, 5), float(jnp.linalg.norm(w))
  np.testing.assert_allclose(adversarial.wgan_gp(logit, real, fake, mix), np.full(5, (norm - 1) ** 2), rtol=1e-5)
  for penalty in (adversarial.r1, adversarial.r2):
    np.testing.assert_allclose(penalty(logit, real, fake, mix), np.full(5, norm**2 / 2), rtol=1e-5)


def test_where_each_penalty_looks():
  real, fake = arrays((4, 3), (4, 3))
  logit = lambda x: 0.5 * (x**2).sum(-1)  # whose gradient is x itself
  mix = jnp.array([0.0, 1.0, 0.25, 0.5])
  between = mix[:, None] * real + (1 - mix[:, None]) * fake
  norm = lambda x: np.linalg.norm(x, axis=1)
  np.testing.assert_allclose(adversarial.wgan_gp(logit, real, fake, mix), (norm(between) - 1) ** 2, rtol=1e-4)
  np.testing.assert_allclose(adversarial.r1(logit, real, fake, mix), norm(real) ** 2 / 2, rtol=1e-5)
  np.testing.assert_allclose(adversarial.r2(logit, real, fake, mix), norm(fake) ** 2 / 2, rtol=1e-5)
  both = (norm(real) ** 2 + norm(fake) ** 2) / 2
  np.testing.assert_allclose(adversarial.r1_r2(logit, real, fake, mix), both, rtol=1e-5)


@pytest.mark.parametrize('name', adversarial.PENALTIES)
def test_second_order_gradients_are_finite_differences(name):
  real, fake, w, v = arrays((6, 4), (6, 4), (4, 5), (5, 1))
  mix = jnp.linspace(0.1, 0.9, 6)

  def value(w):
    logit = lambda x: (jnp.tanh(x @ w) @ v)[:, 0]
    return adversarial.PENALTIES[name](logit, real, fake, mix).mean()

  with jax.enable_x64(True):
    real, fake, w, v, mix = (jnp.asarray(np.asarray(x), jnp.float64) for x in (real, fake, w, v, mix))
    gradient = jax.grad(value)(w)
    for i, j in ((0, 0), (2, 3), (3, 4)):
      step = jnp.zeros_like(w).at[i, j].set(1e-5)
      np.testing.assert_allclose(gradient[i, j], (value(w + step) - value(w - step)) / 2e-5, rtol=1e-6)


def test_a_gradient_of_zero_has_a_finite_penalty():
  real, fake = arrays((3, 2), (3, 2))
  value = lambda a: adversarial.wgan_gp(lambda x: a * x.sum(-1), real, fake, jnp.full(3, 0.5)).mean()
  results, slope = jax.value_and_grad(value)(0.0)
  assert results == pytest.approx(1, abs=1e-5) and np.isfinite(slope)
