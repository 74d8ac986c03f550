"""Spearman's rank correlation of latents with the factors that made the data."""

from collections.abc import Iterator

import numpy as np

from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import factors, methods, needs, unconditional
from gen_jax.evaluation.source import Source, collect
from gen_jax.metrics import Metric, measures


@measures({
  'spearman_{factor}': Metric(
    'the largest |rank correlation| of a latent with each factor; 1 where a latent follows it', better='higher'
  ),
  'spearman_latent_{factor}': Metric('the latent whose rank correlation with each factor is the largest'),
})
@needs(factors, methods('encode'), unconditional)
def spearman(model: BoundModel, source: Source) -> Iterator[tuple[str, float]]:
  """For each factor k, the largest |Spearman rank correlation| of a latent's mean with it, in [0, 1], and that latent.

  Says whether a latent follows an ordered factor monotonically; nothing of unordered or cyclic ones.
  """
  from scipy.stats import spearmanr  # slow to import

  rows = collect(source.batches(), codes=model.encode, factors='factors')
  codes, values = rows['codes'], rows['factors']
  latents = codes.shape[1]
  # one matrix of all pairs: rows are latents, columns factors; a constant column has no rank correlation
  varies = np.concatenate([codes.std(0), values.std(0)]) > 0
  ranks = np.concatenate([codes, values], axis=1)[:, varies]
  matrix = np.zeros((len(varies), len(varies)))
  matrix[np.ix_(varies, varies)] = np.atleast_2d(spearmanr(ranks).statistic)
  for k, column in enumerate(np.abs(matrix[:latents, latents:]).T):
    yield f'spearman_{k}', float(column.max())
    yield f'spearman_latent_{k}', float(column.argmax())
