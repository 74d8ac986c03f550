"""UDR: the unsupervised disentanglement ranking (Duan et al., 2020), as Locatello et al. (2019) compute it."""

from collections.abc import Sequence

import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.disentanglement.subsets import finite_codes
from gen_jax.evaluation.spearman import rank_correlations

INFORMATIVE = 0.01  # nats of KL(q || p) above which a latent takes part
POINTS = 1_000


def udr(
  codes: Sequence[np.ndarray],
  kls: Sequence[np.ndarray],
  *,
  seed: int = 0,
  points: int = POINTS,
  similarity: str = 'lasso',
) -> dict[str, float]:
  """How alike each run's latents are to those of the others, up to order and sign; udr_i for run i, udr their mean.

  UDR_ab = 1/2 [mean_c (max_r R_rc)^2 / sum_r R_rc + mean_r (max_c R_rc)^2 / sum_c R_rc] over the latents with a mean KL
  above .01 nats, R the |coefficients| of a lasso (alpha = .1) from the standardized codes of a to those of b, or
  |Spearman correlations|; of run i the median over the others. `codes`: [N,D] of the same N images for each run;
  `kls`: the mean KL of each latent, [D], in nats.
  """
  if similarity not in ('lasso', 'spearman'):
    raise UserError(f'similarity={similarity!r}: choose lasso or spearman')
  codes, kls = [finite_codes(z) for z in codes], [np.asarray(kl) for kl in kls]
  if len(codes) < 2 or len(kls) != len(codes):
    raise UserError(f'udr compares runs: it needs codes and KLs of at least two, not {len(codes)} and {len(kls)}')
  if any(kl.shape != z.shape[1:] or not np.isfinite(kl).all() for z, kl in zip(codes, kls, strict=True)):
    raise UserError('udr needs a finite KL of each latent of each run')
  if len({len(z) for z in codes}) > 1:
    raise UserError(f'udr needs codes of the same images; there are {[len(z) for z in codes]}')
  if len(codes[0]) < points:
    raise UserError(f'{points} points are asked for and {len(codes[0])} are there: ask for fewer, or give more codes')
  rows = np.random.default_rng(seed).permutation(len(codes[0]))[:points]
  latents = [standardize(z[rows][:, kl > INFORMATIVE]) for z, kl in zip(codes, kls, strict=True)]
  scores = np.array([[match_score(similarity_matrix(a, b, similarity)) for b in latents] for a in latents])
  runs = np.arange(len(latents))
  of_run = [float(np.median(scores[runs != i, i])) for i in runs]
  return {'udr': float(np.mean(of_run))} | {f'udr_{i}': score for i, score in enumerate(of_run)}


def standardize(z: np.ndarray) -> np.ndarray:
  """Codes of mean 0 and variance 1; a constant latent stays 0."""
  scale = z.std(0)
  return (z - z.mean(0)) / np.where(scale > 0, scale, 1.0)


def similarity_matrix(a: np.ndarray, b: np.ndarray, similarity: str) -> np.ndarray:
  """R >= 0 [latents of a, latents of b]."""
  if not (a.size and b.size):
    return np.zeros((a.shape[1], b.shape[1]))
  if similarity == 'spearman':
    return np.abs(rank_correlations(a, b))
  from sklearn.linear_model import Lasso  # slow to import

  return np.abs(np.atleast_2d(Lasso(alpha=0.1).fit(a, b).coef_)).T.reshape(a.shape[1], b.shape[1])


def match_score(r: np.ndarray) -> float:
  """UDR_ab of R; a latent like none counts as 0, and so do runs without informative latents."""
  if not r.size:
    return 0.0
  share = lambda r: (r.max(0) ** 2 / np.where(r.sum(0) > 0, r.sum(0), 1.0)).mean()
  return float(share(r) + share(r.T)) / 2
