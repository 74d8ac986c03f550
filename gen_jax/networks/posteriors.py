"""Heads that read an encoder's output as q(z|x), alike in form.

`outputs(D)` says how many numbers the encoder gives for D latents. What a head returns turns noise eps ~ N(0, I) [B,D]
into (z [B,D], log q(z|x) [B]) by `reparameterize`, and has the code `mean` [B,D].
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.distributions import MultivariateNormal, Normal
from gen_jax.errors import positive
from gen_jax.types import Facts


class DiagonalNormal(nn.Module):
  """N(mu, diag sigma^2) (Kingma & Welling, 2014)."""

  def outputs(self, latent_dim: int) -> int:
    """mu, log sigma^2."""
    return 2 * latent_dim

  @nn.compact
  def __call__(self, h: jax.Array, latent_dim: int) -> Normal:
    """[B, outputs] -> q(z|x)."""
    mu, log_variance = jnp.split(h, 2, axis=-1)
    return Normal(mu, 0.5 * log_variance)


class FullNormal(nn.Module):
  """N(mu, L L^T) with a Cholesky factor L, whose diagonal is exp of what the encoder gives."""

  def outputs(self, latent_dim: int) -> int:
    """mu, the logarithms of L's diagonal, and what stands below it."""
    return 2 * latent_dim + latent_dim * (latent_dim - 1) // 2

  @nn.compact
  def __call__(self, h: jax.Array, latent_dim: int) -> MultivariateNormal:
    """[B, outputs] -> q(z|x)."""
    mu, log_diagonal, below = jnp.split(h, (latent_dim, 2 * latent_dim), axis=-1)
    scale_tril = jax.vmap(jnp.diag)(jnp.exp(log_diagonal))
    return MultivariateNormal(mu, scale_tril.at[:, *np.tril_indices(latent_dim, -1)].set(below))


class MaskedMLP(nn.Module):
  """MADE: output i of each of `outputs` groups depends on z_j, j < i, and on the context (Germain et al., 2015)."""

  hidden: int
  outputs: int

  @nn.compact
  def __call__(self, z: jax.Array, context: jax.Array) -> list[jax.Array]:
    """z [B,D], context [B,C] -> `outputs` arrays [B,D], which begin at 0."""
    dim = z.shape[-1]
    inputs, units = np.arange(1, dim + 1), np.arange(self.hidden) % max(dim - 1, 1) + 1
    into = self.param('into', nn.initializers.lecun_normal(), (dim, self.hidden))
    out = self.param('out', nn.initializers.zeros, (self.hidden, self.outputs * dim))
    h = z @ (into * (inputs[:, None] <= units)) + nn.Dense(self.hidden)(context)
    h = nn.elu(h) @ (out * (units[:, None] < np.tile(inputs, self.outputs)))
    # output 1 depends on no z, but on the context
    return jnp.split(h + nn.Dense(self.outputs * dim, kernel_init=nn.initializers.zeros)(context), self.outputs, -1)


class Flow(NamedTuple):
  """A Normal, then steps z -> (z, log |dz'/dz| [B])."""

  base: Normal
  steps: Sequence[Callable[[jax.Array], tuple[jax.Array, jax.Array]]]

  @property
  def mean(self) -> jax.Array:
    """The image of eps = 0, not the mean."""
    return self.reparameterize(jnp.zeros_like(self.base.mu))[0]

  def reparameterize(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(z, log q(z|x) [B])."""
    z, log_q = self.base.reparameterize(eps)
    for step in self.steps:
      z, log_determinant = step(z)
      log_q -= log_determinant
    return z, log_q


class InverseAutoregressiveFlow(nn.Module):
  """z <- s z + (1 - s) m, s and m of a MADE; the latents change their order after each step (Kingma et al., 2016)."""

  steps: int = 2
  hidden: int = 200
  context: int = 100

  def problems(self, facts: Facts) -> Iterator[str]:
    """A step, and a width above 0."""
    yield from positive(self, 'steps', 'hidden')

  def outputs(self, latent_dim: int) -> int:
    """mu, log sigma^2 of the base, and the context of the steps."""
    return 2 * latent_dim + self.context

  @nn.compact
  def __call__(self, h: jax.Array, latent_dim: int) -> Flow:
    """[B, outputs] -> q(z|x)."""
    mu, log_variance, context = jnp.split(h, (latent_dim, 2 * latent_dim), axis=-1)
    networks = [MaskedMLP(self.hidden, 2, name=f'step_{i}') for i in range(self.steps)]

    def step_by(network: nn.Module) -> Callable:
      """A step z [B,D] -> (z' [B,D], log |det dz'/dz| [B])."""

      def step(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        m, s = network(z, context)
        s = s + 1.0  # sigmoid(1) at first: most of z is kept
        return (nn.sigmoid(s) * z + nn.sigmoid(-s) * m)[:, ::-1], nn.log_sigmoid(s).sum(-1)

      return step

    return Flow(Normal(mu, 0.5 * log_variance), [step_by(network) for network in networks])
