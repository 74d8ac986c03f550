"""Total correlation, Wasserstein dependence, mutual information score: how dependent latents are on each other."""

import numpy as np

from gen_jax.evaluation.disentanglement.information import POINTS, mutual_information
from gen_jax.evaluation.disentanglement.subsets import BINS, Points, bin_codes, draw_subsets, finite_codes
from gen_jax.metrics import Metric, measures

SAME = 1e-12


@measures({
  'gaussian_total_correlation': Metric(
    'how dependent latents are on each other, as if they were normal', 'nats', 'lower'
  ),
  'gaussian_wasserstein': Metric('the squared distance of the code from one of independent latents', better='lower'),
  'gaussian_wasserstein_norm': Metric(
    'the squared distance of the code from one of independent latents, by its variance', better='lower'
  ),
  'mutual_information_score': Metric('what two latents tell of each other, mean over pairs', 'nats', 'lower'),
})
def unsupervised(
  codes: np.ndarray, factors: np.ndarray | None = None, *, seed: int = 0, bins: int = BINS, points: int | None = None
) -> dict[str, float]:
  """How dependent latents are on each other (Locatello et al., 2019), which is not how right they are.

  gaussian_total_correlation: 1/2 (sum_j log S_jj - log det S) nats, S the covariance of the codes; the eigenvalues of
  their correlation count as 1e-12 at least, so that latents which say the same have a finite one.
  gaussian_wasserstein: W_2^2(N(0, S), N(0, D)) = 2 tr S - 2 tr (D^1/2 S D^1/2)^1/2 with D = diag S;
  gaussian_wasserstein_norm: the same by tr S. mutual_information_score: that of two latents of `bins` bins, nats,
  averaged over all pairs. Constant latents depend on nothing. Arguments as of `mig`; factors are not read.
  """
  del factors  # that all metrics may be called alike
  codes = finite_codes(codes)
  (part,) = draw_subsets(Points(codes, np.zeros((len(codes), 0), int)), (points,), (POINTS,), seed)
  s = np.atleast_2d(np.cov(part.codes.T))
  variance = np.diag(s)
  alive = variance > 0
  root = np.sqrt(np.where(alive, variance, 1.0))
  correlation = np.where(alive[:, None] & alive, s / np.outer(root, root), np.eye(len(s)))
  eigenvalues = np.linalg.eigvalsh(correlation * np.outer(variance, variance))  # of D^1/2 S D^1/2
  distance = max(0.0, 2 * float(variance.sum() - np.sqrt(np.maximum(eigenvalues, 0)).sum()))
  z = bin_codes(part.codes, bins)
  pairs = mutual_information(z, z)[~np.eye(z.shape[1], dtype=bool)]
  return {
    'gaussian_total_correlation': -0.5 * float(np.log(np.maximum(np.linalg.eigvalsh(correlation), SAME)).sum()),
    'gaussian_wasserstein': distance,
    'gaussian_wasserstein_norm': distance / float(variance.sum()) if alive.any() else 0.0,
    'mutual_information_score': float(pairs.mean()) if pairs.size else 0.0,
  }
