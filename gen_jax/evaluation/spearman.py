"""How latents follow the factors that made the data."""

from collections.abc import Iterator

import numpy as np

from gen_jax.evaluation.means import Batches


def spearman(verbs, batches: Batches) -> Iterator[tuple[str, float]]:
  """For each factor k, the largest |Spearman rank correlation| of a latent's mean with it, and that latent.

  Says whether a latent follows an ordered factor monotonically; nothing of unordered or cyclic ones.
  """
  from scipy.stats import spearmanr  # slow to import

  codes, factors = [], []
  for batch in batches():
    there = np.asarray(batch['mask']) > 0
    codes.append(np.asarray(verbs.encode(batch))[there])
    factors.append(np.asarray(batch['factors'])[there])
  codes, factors = np.concatenate(codes), np.concatenate(factors)
  latents = codes.shape[1]
  # one matrix of all pairs: rows are latents, columns factors; a constant column has no rank correlation
  varies = np.concatenate([codes.std(0), factors.std(0)]) > 0
  ranks = np.concatenate([codes, factors], axis=1)[:, varies]
  matrix = np.zeros((len(varies), len(varies)))
  matrix[np.ix_(varies, varies)] = np.atleast_2d(spearmanr(ranks).statistic)
  for k, column in enumerate(np.abs(matrix[:latents, latents:]).T):
    yield f'spearman_{k}', float(column.max())
    yield f'spearman_latent_{k}', float(column.argmax())
