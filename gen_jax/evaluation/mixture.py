"""Ex-post density estimation: a mixture of Gaussians fitted to codes (Ghosh et al., 2020, section 4)."""

import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.errors import UserError
from gen_jax.randomness import row_keys


class Mixture(NamedTuple):
  """sum_k w_k N(m_k, L_k L_k^T)."""

  weights: np.ndarray  # [K], sum to 1
  means: np.ndarray  # [K,D]
  factors: np.ndarray  # [K,D,D], lower triangular L_k

  def sample(self, key: jax.Array, rows: jax.Array) -> jax.Array:
    """Codes [B,D], m_k + L_k eps with k ~ w; those of a row depend on `key` and its entry of `rows` [B] alone."""

    def one(key: jax.Array) -> jax.Array:
      component, noise = jax.random.split(key)
      k = jax.random.categorical(component, jnp.log(self.weights))
      return jnp.asarray(self.means)[k] + jnp.asarray(self.factors)[k] @ jax.random.normal(noise, self.means.shape[1:])

    return jax.vmap(one)(row_keys(key, rows))


def fit(codes: np.ndarray, components: int = 10, seed: int = 0) -> Mixture:
  """The mixture with full covariances of codes [N,D], by at most 100 iterations of EM from k-means (scikit-learn).

  10^-6 is added to the variances. Raises UserError where there are fewer codes than components, or none.
  """
  from sklearn.exceptions import ConvergenceWarning  # slow to import
  from sklearn.mixture import GaussianMixture

  if not 1 <= components <= len(codes):
    raise UserError(f'--gmm_components={components}: must lie between 1 and the number of codes, {len(codes)}')
  with warnings.catch_warnings():
    # the bound on the iterations is part of the method; k-means says so where codes coincide
    warnings.simplefilter('ignore', ConvergenceWarning)
    fitted = GaussianMixture(components, random_state=seed).fit(np.asarray(codes, np.float64))
  factors = np.linalg.cholesky(fitted.covariances_)
  return Mixture(*(x.astype(np.float32) for x in (fitted.weights_, fitted.means_, factors)))
