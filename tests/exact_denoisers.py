"""Mixtures of normals, of which all that a diffusion model learns is known in closed form."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np


class Mixture(NamedTuple):
  """sum_k weights_k N(means_k, covariances_k) in the plane."""

  weights: np.ndarray  # [K]
  means: np.ndarray  # [K,D]
  covariances: np.ndarray  # [K,D,D]

  def moments(self):
    """Mean [D] and covariance [D,D]."""
    mean = self.weights @ self.means
    second = self.covariances + self.means[:, :, None] * self.means[:, None, :]
    return mean, np.einsum('k,kij->ij', self.weights, second) - np.outer(mean, mean)

  def component(self, *which):
    """The mixture of some of the components."""
    which = list(which)
    return Mixture(self.weights[which] / self.weights[which].sum(), self.means[which], self.covariances[which])


def gaussian(mean, covariance):
  return Mixture(np.ones(1), np.array([mean], float), np.array([covariance], float))


ONE = gaussian([0.5, -0.2], [[1.0, 0.3], [0.3, 0.25]])
TWO = Mixture(
  np.array([0.3, 0.7]),
  np.array([[-1.5, 0.5], [1.0, 0.0]]),
  np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.2, -0.1], [-0.1, 0.4]]]),
)


def components(mixture, x, sigma, xp):
  """(E[x0 | x, k] [K,B,D], log p(k | x) [K,B]) at x [B,D]; `xp` is NumPy, in float64, or that of JAX."""
  dtype = x.dtype
  values, vectors = np.linalg.eigh(mixture.covariances)
  vectors = xp.asarray(vectors, dtype)
  noisy = xp.asarray(values, dtype) + sigma**2
  centered = x[None] - xp.asarray(mixture.means[:, None], dtype)
  rotated = xp.einsum('kij,kbi->kbj', vectors, centered)
  shrunk = rotated * (xp.asarray(values, dtype) / noisy)[:, None]
  estimates = xp.asarray(mixture.means[:, None], dtype) + xp.einsum('kij,kbj->kbi', vectors, shrunk)
  log_joint = xp.asarray(np.log(mixture.weights)[:, None], dtype) - 0.5 * (
    (rotated**2 / noisy[:, None]).sum(-1) + xp.log(noisy).sum(-1)[:, None]
  )
  largest = log_joint.max(0, keepdims=True)
  log_evidence = largest + xp.log(xp.exp(log_joint - largest).sum(0, keepdims=True))
  return estimates, log_joint - log_evidence


def denoiser(mixture, xp=jnp):
  """(x, sigma) -> E[x0 | x]."""

  def denoise(x, sigma):
    estimates, log_posterior = components(mixture, x, sigma, xp)
    return (xp.exp(log_posterior)[:, :, None] * estimates).sum(0)

  return denoise


def classifier(mixture, k):
  """(x, sigma) -> log p(k | x; sigma) [B]."""
  return lambda x, sigma: components(mixture, x, sigma, jnp)[1][k]
