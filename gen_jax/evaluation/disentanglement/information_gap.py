"""The mutual information gap, of binned latents and of the posterior's density."""

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.distributions import Normal
from gen_jax.errors import UserError
from gen_jax.evaluation.disentanglement.information import gaps, information_matrix
from gen_jax.evaluation.disentanglement.points import BINS, checked, checked_codes

CHUNK = 2**22  # densities computed at a time


def mig(
  codes: np.ndarray, factors: np.ndarray, *, seed: int = 0, bins: int = BINS, points: int | None = None
) -> dict[str, float]:
  """The mutual information gap, mean_k (I(z_(1); v_k) - I(z_(2); v_k)) / H(v_k), in [0, 1].

  Of latents cut into `bins` of equal width (Locatello et al., 2019); the differential form of Chen et al. (2018) is
  `mig_density`. A perfect code of dSprites gets .90 with 20 bins, as bins are fewer than values. codes [N,D], integer
  factors [N,K]; `points` rows, None: 10,000 or all. UserError for codes that are not finite, a factor of one value.
  """
  information, entropy = information_matrix(codes, factors, seed=seed, bins=bins, points=points)
  gap = gaps(information) / entropy
  return {'mig': float(gap.mean())} | {f'mig_{k}': float(g) for k, g in enumerate(gap)}


def mig_density(
  means: np.ndarray, log_variances: np.ndarray, factors: np.ndarray, *, seed: int = 0, samples: int = 10_000
) -> dict[str, float]:
  """The mutual information gap of the posterior's density, mean_k (I(z_(1); v_k) - I(z_(2); v_k)) / log |V_k|.

  I(z_j; v_k) = H(z_j) - H(z_j|v_k), of q(z_j) = 1/N sum_n N(z_j; mu_nj, sigma_nj^2) over all rows and of q(z_j|v_k)
  over those with that value; an entropy from `samples` draws, shared out over the values (Chen et al., 2018, section 4
  and appendix C). Means and log-variances [N,D] of q(z|x_n), integer factors [N,K]. Differs from `mig` in the
  normaliser too. With few rows for each value, and posteriors that hardly overlap, the information is too high: give
  all rows that there are.
  """
  mu, v = checked(means, factors)
  log_sigma = 0.5 * checked_codes(log_variances)
  if log_sigma.shape != mu.shape:
    raise UserError(f'log_variances must have the shape {list(mu.shape)} of means; these have {list(log_sigma.shape)}')
  rng = np.random.default_rng(seed)
  entropy = entropy_of(mu, log_sigma, rng, samples, len(mu))  # [D]
  information, sizes = [], []
  for column in v.T:
    parts = [np.flatnonzero(column == value) for value in range(column.max() + 1)]
    most = max(map(len, parts))  # all of one shape, so that it is compiled once
    given = [entropy_of(mu[rows], log_sigma[rows], rng, -(-samples // len(parts)), most) for rows in parts]
    weights = np.array([len(rows) for rows in parts]) / len(column)
    information.append(entropy - weights @ np.stack(given))
    sizes.append(len(parts))
  gap = gaps(np.stack(information, axis=1)) / np.log(sizes)
  return {'mig_density': float(gap.mean())} | {f'mig_density_{k}': float(g) for k, g in enumerate(gap)}


def entropy_of(
  mu: np.ndarray, log_sigma: np.ndarray, rng: np.random.Generator, samples: int, rows: int
) -> np.ndarray:
  """-E log q(z_j) of z_j ~ q(z_j) = 1/n sum_n N(mu_nj, sigma_nj^2), nats, [D]; mu, log sigma [n,D] padded to `rows`."""
  drawn = rng.integers(len(mu), size=samples)
  z = mu[drawn] + np.exp(log_sigma[drawn]) * rng.standard_normal((samples, mu.shape[1]))
  pad = lambda x: np.pad(x, ((0, rows - len(x)), (0, 0))).astype(np.float32)
  return -np.asarray(mean_log_density(z.astype(np.float32), pad(mu), pad(log_sigma), len(mu)), np.float64)


@jax.jit
def mean_log_density(z: jax.Array, mu: jax.Array, log_sigma: jax.Array, count: jax.Array) -> jax.Array:
  """The mean over z [S,D] of log 1/n sum_n N(z_j; mu_nj, sigma_nj^2), [D], of the first n = `count` rows."""
  there = (jnp.arange(len(mu)) < count)[:, None]

  def log_density(z: jax.Array) -> jax.Array:
    log_q = Normal(mu, log_sigma).log_prob(jnp.broadcast_to(z, mu.shape))
    return jax.nn.logsumexp(jnp.where(there, log_q, -jnp.inf), axis=0)

  return jax.lax.map(log_density, z, batch_size=max(1, CHUNK // mu.size)).mean(0) - jnp.log(count)
