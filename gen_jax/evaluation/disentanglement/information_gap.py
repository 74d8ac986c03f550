"""MIG: the mutual information gap, of binned latents and of the posterior's density."""

import math
from typing import NamedTuple

import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.disentanglement.information import gaps, information_matrix
from gen_jax.evaluation.disentanglement.subsets import BINS, finite_codes, points_of
from gen_jax.metrics import Metric, measures

CHUNK = 2**22  # densities computed at a time
LEVEL = 0.05  # between values of log sigma that count as different


@measures({
  'mig': Metric(
    'the mutual information gap: by how much the latent that tells most of a factor leads the second, of what there is '
    'to tell; mean over factors', better='higher', headline=True,
  ),
  'mig_{factor}': Metric('the mutual information gap of each factor', better='higher'),
})  # fmt: skip
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


@measures({
  'mig_density': Metric("MIG by the posterior's density in place of bins, as first published", better='higher'),
  'mig_density_{factor}': Metric("the gap of each factor by the posterior's density", better='higher'),
})
def mig_density(
  means: np.ndarray, log_variances: np.ndarray, factors: np.ndarray, *, seed: int = 0, samples: int = 10_000
) -> dict[str, float]:
  """The mutual information gap of the posterior's density, mean_k (I(z_(1); v_k) - I(z_(2); v_k)) / log |V_k|.

  I(z_j; v_k) = H(z_j) - H(z_j|v_k), of q(z_j) = 1/N sum_n N(z_j; mu_nj, sigma_nj^2) over all rows and of q(z_j|v_k)
  over those with that value; an entropy from `samples` draws, shared out over the values (Chen et al., 2018, section 4
  and appendix C). Means and log-variances [N,D] of q(z|x_n), integer factors [N,K]. Differs from `mig` in the
  normalizer too. With few rows for each value, and posteriors that hardly overlap, the information is too high: give
  all rows that there are.
  """
  mu, v = points_of(means, factors)
  log_sigma = 0.5 * finite_codes(log_variances)
  if log_sigma.shape != mu.shape:
    raise UserError(f'log_variances must have the shape {list(mu.shape)} of means; these have {list(log_sigma.shape)}')
  rng, sizes = np.random.default_rng(seed), v.max(0) + 1
  rows_of = [[np.flatnonzero(column == value) for value in range(n)] for column, n in zip(v.T, sizes, strict=True)]
  information = np.empty((mu.shape[1], len(sizes)))
  for j in range(mu.shape[1]):
    cells = Cells.of(mu[:, j], log_sigma[:, j])
    everything = cells.entropy(np.arange(len(mu)), rng, samples)
    for k, parts in enumerate(rows_of):
      given = [cells.entropy(rows, rng, -(-samples // len(parts))) for rows in parts]
      information[j, k] = everything - np.dot([len(rows) / len(mu) for rows in parts], given)
  gap = gaps(information) / np.log(sizes)
  return {'mig_density': float(gap.mean())} | {f'mig_density_{k}': float(g) for k, g in enumerate(gap)}


class Cells(NamedTuple):
  """Normals of one latent, those that are nearly equal as one: C of them in the place of N."""

  mu: np.ndarray  # float32 [C]
  sigma: np.ndarray  # float32 [C]
  place: np.ndarray  # int [N], the cell of each row
  rows: tuple[np.ndarray, np.ndarray]  # mu, sigma [N] of the rows themselves

  @classmethod
  def of(cls, mu: np.ndarray, log_sigma: np.ndarray) -> 'Cells':
    """log sigma [N] rounded to steps of .05, mu [N] to steps of a quarter of that sigma.

    Rounding widens a Normal of variance sigma^2 by (sigma / 4)^2 / 12, half a percent, which moves entropies by less
    than .003 nats, and both terms of the information alike.
    """
    sigma = np.exp(LEVEL * np.rint(log_sigma / LEVEL))
    rounded = np.rint(4 * mu / sigma) * sigma / 4 + 1j * sigma  # complex, as pairs are slow to sort
    kinds, place = np.unique(rounded, return_inverse=True)
    return cls(kinds.real.astype(np.float32), kinds.imag.astype(np.float32), place, (mu, np.exp(log_sigma)))

  def entropy(self, rows: np.ndarray, rng: np.random.Generator, samples: int) -> float:
    """-E log q(z) in nats of q, the mean of the Normals of `rows`, by `samples` z ~ q."""
    counts = np.bincount(self.place[rows], minlength=len(self.mu))
    used = np.flatnonzero(counts)
    mu, sigma = self.mu[used], self.sigma[used]
    weights = (counts[used] / (len(rows) * math.sqrt(2 * math.pi) * sigma)).astype(np.float32)
    chosen = rng.choice(rows, samples)
    z = (self.rows[0][chosen] + self.rows[1][chosen] * rng.standard_normal(samples)).astype(np.float32)
    density = []
    for part in np.array_split(z, -(-samples * len(used) // CHUNK)):
      density.append(np.exp(-0.5 * ((part[:, None] - mu) / sigma) ** 2) @ weights)
    return -float(np.log(np.concatenate(density), dtype=np.float64).mean())
