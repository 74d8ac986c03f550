import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from small import random_variables

from gen_jax import networks
from gen_jax.distributions import Normal
from gen_jax.networks.posteriors import MaskedMLP

KEY, DIM, ROWS = jax.random.key(0), 4, 3
FAMILIES = [networks.DiagonalNormal(), networks.FullNormal(), networks.InverseAutoregressiveFlow(3, 16, 5)]
BY_NAME = {'argvalues': FAMILIES, 'ids': lambda family: type(family).__name__}


def draw_with(family):
  """(eps -> (z, log q), q.mean) at random parameters and a random encoder's output."""
  h = 0.5 * jax.random.normal(KEY, (ROWS, family.outputs(DIM)))
  touch = lambda family, h, eps: family(h, DIM).reparameterize(eps)
  init = lambda key, *arguments: family.init(key, *arguments, method=touch)
  variables = random_variables(init, h, jnp.zeros((ROWS, DIM)), scale=0.3)
  mean = family.apply(variables, h, method=lambda family, h: family(h, DIM).mean)
  return jax.jit(lambda eps: family.apply(variables, h, eps, method=touch)), mean


@pytest.mark.parametrize('family', **BY_NAME)
def test_the_density_is_that_of_the_change_of_variables(family):
  draw, mean = draw_with(family)
  eps = jax.random.normal(KEY, (ROWS, DIM))
  _, log_q = draw(eps)
  jacobian = jax.jacobian(lambda eps: draw(eps)[0])(eps)[jnp.arange(ROWS), :, jnp.arange(ROWS)]
  change = np.linalg.slogdet(np.asarray(jacobian))[1]
  np.testing.assert_allclose(log_q, scipy.stats.norm.logpdf(eps).sum(-1) - change, rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(draw(jnp.zeros_like(eps))[0], mean, rtol=1e-5, atol=1e-6)


def test_only_the_diagonal_family_has_independent_latents():
  rows = jax.random.normal(KEY, (ROWS, DIM))
  for family, independent in zip(FAMILIES, (True, False, False), strict=True):
    draw, _ = draw_with(family)
    jacobian = np.asarray(jax.jacobian(lambda eps, draw=draw: draw(eps)[0])(rows))[np.arange(ROWS), :, np.arange(ROWS)]
    others = np.abs(jacobian[:, ~np.eye(DIM, dtype=bool)]).max()
    assert (others == 0) == independent


@pytest.mark.parametrize('dim', [1, 2, 5])
def test_the_masks_leave_each_output_the_inputs_before_it(dim):
  network, z, context = MaskedMLP(12, 2), jnp.ones((1, dim)), jnp.ones((1, 3))
  variables = random_variables(network.init, z, context)
  jacobians = jax.jacobian(lambda z: jnp.stack(network.apply(variables, z, context)))(z)[:, 0, :, 0]  # [2,D,D]
  for jacobian in np.asarray(jacobians):
    assert (jacobian[np.triu_indices(dim)] == 0).all() and (jacobian[np.tril_indices(dim, -1)] != 0).all()
  by_context = jax.jacobian(lambda c: jnp.stack(network.apply(variables, z, c)))(context)
  assert (np.abs(by_context).sum((0, 1, 3, 4)) > 0).all()  # every output, the first too


def test_the_vampprior_is_the_mixture_of_the_posteriors_of_its_pseudo_inputs():
  prior, seen = networks.VampPrior((2, 2, 1), components=3, low=-1.0), []

  def posterior(images):
    seen.append(images)
    flat = images.reshape(len(images), -1)
    return Normal(flat[:, :2], 0.1 * flat[:, 2:])

  variables = random_variables(lambda key: prior.init(key, 2, posterior))
  p = prior.apply(variables, 2, posterior)
  images = seen[-1]
  assert images.shape == (3, 2, 2, 1) and images.min() > -1 and images.max() < 1
  z = np.array([0.3, -0.2])
  one = scipy.stats.norm(np.asarray(images).reshape(3, 4)[:, :2], np.exp(0.1 * np.asarray(images).reshape(3, 4)[:, 2:]))
  np.testing.assert_allclose(p.log_prob(jnp.array(z)), np.log(one.pdf(z).prod(-1).mean()), rtol=1e-5)


def test_a_learned_mixture_is_a_density():
  prior = networks.MixturePrior(components=4)
  p = prior.apply(random_variables(lambda key: prior.init(key, 1, None)), 1, None)
  grid = np.linspace(-12, 12, 4_001)
  density = np.exp(jax.vmap(p.log_prob)(jnp.array(grid)[:, None]))
  np.testing.assert_allclose(np.trapezoid(density, grid), 1, rtol=1e-4)
  assert np.ptp(p.log_weights) > 0.1


def test_a_mixture_of_each_class_has_parameters_of_its_own():
  prior = networks.ClassMixturePrior(3, components=4)
  p = prior.apply(random_variables(lambda key: prior.init(key, 2, None)), 2, None)
  z = np.array([0.3, -0.2])
  of_classes = jax.vmap(lambda p: p.log_prob(jnp.array(z)))(p)
  for c, results in enumerate(of_classes):
    one = scipy.stats.norm(p.components.mu[c], np.exp(p.components.log_sigma[c]))
    expected = np.log((np.exp(p.log_weights[c]) * one.pdf(z).prod(-1)).sum())
    np.testing.assert_allclose(results, expected, rtol=1e-5)
  assert np.ptp(of_classes) > 0.01
