"""Mixtures of Gaussians with full covariances, and what is left of them under noise: all in closed form.

Of x0 ~ sum_k pi_k N(mu_k, Q_k diag(v_k) Q_k^T) and x = x0 + sigma eps, the density p(x; sigma) is that of the mixture
whose variances are v_k + sigma^2, so that the score and the best denoiser are known exactly.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct


@struct.dataclass
class GaussianMixture:
  """sum_k pi_k N(mu_k, Q_k diag(v_k) Q_k^T) of vectors [D], by the eigenvectors of its covariances.

  Attributes:
    log_weights: log pi_k, [K].
    means: mu_k, [K,D].
    axes: Q_k, [K,D,D], whose columns are orthonormal.
    variances: v_k, [K,D], along the columns of `axes`.
  """

  log_weights: jax.Array
  means: jax.Array
  axes: jax.Array
  variances: jax.Array

  @property
  def covariances(self) -> jax.Array:
    """Q_k diag(v_k) Q_k^T, [K,D,D]."""
    return jnp.einsum('kde,ke,kfe->kdf', self.axes, self.variances, self.axes, precision='highest')

  def diffused(self, sigma: jax.Array | float) -> 'GaussianMixture':
    """The distribution of x0 + sigma eps, eps ~ N(0, I), for one sigma []."""
    return self.replace(variances=self.variances + sigma**2)

  def log_prob(self, x: jax.Array, sigma: jax.Array | float = 0.0) -> jax.Array:
    """log p(x; sigma) [B] of x [B,D]; sigma [] or [B]."""
    return jax.nn.logsumexp(self._log_joint(*self._projected(x, sigma)), axis=-1)

  def score(self, x: jax.Array, sigma: jax.Array | float = 0.0) -> jax.Array:
    """grad_x log p(x; sigma) = -sum_k p(k|x) (Sigma_k + sigma^2 I)^-1 (x - mu_k), [B,D] of x [B,D]; sigma [] or [B]."""
    z, v = self._projected(x, sigma)
    shares = jax.nn.softmax(self._log_joint(z, v))
    return -self._turned_back(shares[:, None] * z / v)

  def denoise(self, x: jax.Array, sigma: jax.Array | float) -> jax.Array:
    """E[x0 | x0 + sigma eps = x] = x + sigma^2 grad_x log p(x; sigma), [B,D] of x [B,D]; sigma [] or [B].

    By the sum over k of p(k|x) (mu_k + Sigma_k (Sigma_k + sigma^2 I)^-1 (x - mu_k)), in which nothing cancels where
    sigma is large.
    """
    z, v = self._projected(x, sigma)
    shares = jax.nn.softmax(self._log_joint(z, v))
    return self._turned_back(shares[:, None] * (self._centers[None] + self.variances.T[None] / v * z))

  def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
    """float32 [n,D], on the host."""
    log_weights, *parameters = (np.asarray(a, np.float64) for a in jax.tree.leaves(self))
    cumulative = np.cumsum(np.exp(log_weights))
    k = np.searchsorted(cumulative, cumulative[-1] * rng.random(n), side='right')
    means, axes, variances = (a[k] for a in parameters)
    eps = rng.standard_normal(means.shape)
    return (means + np.einsum('nde,ne->nd', axes, np.sqrt(variances) * eps)).astype(np.float32)

  @property
  def _centers(self) -> jax.Array:
    """Q_k^T mu_k, [D,K]."""
    return jnp.einsum('kd,kde->ek', self.means, self.axes, precision='highest')

  def _projected(self, x: jax.Array, sigma: jax.Array | float) -> tuple[jax.Array, jax.Array]:
    """(Q_k^T (x - mu_k) [B,D,K], v_k + sigma^2 [1 or B,D,K])."""
    # components last: sums over them and over D are fast then; products in the full precision of float32, as a device
    # that rounds x to 10 bits sees no branch of a width below a thousandth
    z = jnp.einsum('bd,kde->bek', x, self.axes, precision='highest') - self._centers[None]
    return z, self.variances.T[None] + jnp.reshape(jnp.square(sigma), (-1, 1, 1))

  def _log_joint(self, z: jax.Array, v: jax.Array) -> jax.Array:
    """log pi_k N(x; mu_k, Sigma_k + sigma^2 I), [B,K]."""
    constant = self.log_weights - 0.5 * z.shape[1] * math.log(2 * math.pi)
    return constant[None] - 0.5 * (z**2 / v + jnp.log(v)).sum(1)

  def _turned_back(self, z: jax.Array) -> jax.Array:
    """sum_k Q_k z_k, [B,D] of z [B,D,K]."""
    return jnp.einsum('bek,kde->bd', z, self.axes, precision='highest')


def from_covariances(weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> GaussianMixture:
  """The mixture of weights [K] that need not sum to 1, means [K,D] and covariances [K,D,D]; its leaves are NumPy's."""
  variances, axes = np.linalg.eigh(np.asarray(covariances, np.float64))
  leaves = np.log(weights / np.sum(weights)), means, axes, variances
  return GaussianMixture(*(np.asarray(leaf, np.float32) for leaf in leaves))


def mix(mixtures: Sequence[GaussianMixture]) -> GaussianMixture:
  """1/C sum_c p_c of C mixtures, such as those of classes that are equally frequent."""
  all_components = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *mixtures)
  return all_components.replace(log_weights=all_components.log_weights - math.log(len(mixtures)))
