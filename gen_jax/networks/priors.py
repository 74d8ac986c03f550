"""p(z), alike in form: `(latent_dim, posterior of images) -> the distribution of one vector z [D]`.

That of ClassMixturePrior has an axis of classes before all others.
"""

from collections.abc import Callable, Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.distributions import Normal, NormalMixture, standard_normal
from gen_jax.errors import positive
from gen_jax.types import Facts

Posterior = Callable[[jax.Array], Normal]


class StandardNormal(nn.Module):
  """N(0, I)."""

  @nn.compact
  def __call__(self, latent_dim: int, posterior: Posterior) -> Normal:
    """Knows no parameters."""
    return standard_normal((latent_dim,))


def learned_mixture(module: nn.Module, *shape: int) -> NormalMixture:
  """The parameters of a module as mixtures of Normals, [..., K, D] = `shape`."""
  logits = module.param('logits', nn.initializers.zeros, shape[:-1])
  mu = module.param('mu', nn.initializers.normal(0.5), shape)
  log_sigma = module.param('log_sigma', nn.initializers.zeros, shape)
  return NormalMixture(jax.nn.log_softmax(logits), Normal(mu, log_sigma))


class MixturePrior(nn.Module):
  """sum_k pi_k N(mu_k, diag sigma_k^2), all learned."""

  components: int = 100

  def problems(self, facts: Facts) -> Iterator[str]:
    """A component."""
    yield from positive(self, 'components')

  @nn.compact
  def __call__(self, latent_dim: int, posterior: Posterior) -> NormalMixture:
    """Begins near N(0, I): mu_k ~ N(0, I / 4), sigma_k = 1."""
    return learned_mixture(self, self.components, latent_dim)


class ClassMixturePrior(nn.Module):
  """p(z|y) = sum_k pi_yk N(mu_yk, diag sigma_yk^2), all learned."""

  num_classes: int
  components: int = 20

  def problems(self, facts: Facts) -> Iterator[str]:
    """A component."""
    yield from positive(self, 'components')

  @nn.compact
  def __call__(self, latent_dim: int, posterior: Posterior) -> NormalMixture:
    """p(z|y) of every class y, [num_classes, ...]; begins as MixturePrior."""
    return learned_mixture(self, self.num_classes, self.components, latent_dim)


class VampPrior(nn.Module):
  """1/K sum_k q(z|u_k) at learned pseudo-inputs u_k (Tomczak & Welling, 2018)."""

  image_shape: tuple[int, int, int]
  components: int = 500
  low: float = 0.0  # images lie in [low, 1]

  def problems(self, facts: Facts) -> Iterator[str]:
    """A component."""
    yield from positive(self, 'components')

  @nn.compact
  def __call__(self, latent_dim: int, posterior: Posterior) -> NormalMixture:
    """The posterior must be a diagonal Normal."""
    u = self.param('pseudo_inputs', nn.initializers.normal(0.5), (self.components, *self.image_shape))
    log_weights = jnp.full((self.components,), -jnp.log(self.components))
    return NormalMixture(log_weights, posterior(self.low + (1 - self.low) * nn.sigmoid(u)))


class ClusterPrior(nn.Module):
  """p(z|y) = N(mu_y, diag sigma_y^2) of every cluster y, learned."""

  formerly = 'Clusters'

  @nn.compact
  def __call__(self, clusters: int, latent_dim: int) -> Normal:
    """Begins at mu_y ~ N(0, I), sigma_y = 1; [K,D]."""
    mu = self.param('mu', nn.initializers.normal(1.0), (clusters, latent_dim))
    return Normal(mu, self.param('log_sigma', nn.initializers.zeros, (clusters, latent_dim)))
