"""Spearman's rank correlation, and that of latents with the factors that made the data."""

from collections.abc import Iterator

import numpy as np

from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import factors, methods, needs, unconditional
from gen_jax.evaluation.source import Source, collect
from gen_jax.metrics import Metric, measures


def rank_correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Spearman's rank correlation of each column of a [N,I] with each of b [N,J]: [I,J] in [-1, 1].

  Pearson's correlation of the ranks, tied values at their mean rank; 0 where a column is constant, which has none. Any
  number of columns: `scipy.stats.spearmanr` gives a matrix, of two columns a number, and of one an error.
  """
  from scipy.stats import rankdata  # slow to import

  ranks = [rankdata(x, axis=0) for x in (a, b)]
  deviations = [x - x.mean(0) for x in ranks]
  norms = [np.linalg.norm(x, axis=0) for x in deviations]
  units = [x / np.where(norm > 0, norm, 1.0) for x, norm in zip(deviations, norms, strict=True)]
  return units[0].T @ units[1]


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
  rows = collect(source.batches(), codes=model.encode, factors='factors')
  for k, column in enumerate(np.abs(rank_correlations(rows['codes'], rows['factors'])).T):
    yield f'spearman_{k}', float(column.max())
    yield f'spearman_latent_{k}', float(column.argmax())
