"""Modularity and explicitness: whether a latent tells of one factor, and whether a code tells all of it.

Ridgeway & Mozer (2018).
"""

from typing import Any

import numpy as np

from gen_jax.evaluation.disentanglement.information import mutual_information
from gen_jax.evaluation.disentanglement.subsets import BINS, TEST, TRAIN, Points, bin_codes, draw_subsets, points_of
from gen_jax.metrics import Metric, measures


@measures({
  'modularity': Metric('whether each latent tells of one factor alone', better='higher'),
  'explicitness_train': Metric('explicitness on the points that its classifier learned from', better='higher'),
  'explicitness_test': Metric(
    'how well a linear classifier reads factors from the code: the area under its ROC curve', better='higher'
  ),
})
def modularity_explicitness(
  codes: np.ndarray,
  factors: np.ndarray,
  *,
  seed: int = 0,
  bins: int = BINS,
  train: int | None = None,
  test: int | None = None,
) -> dict[str, float]:
  """modularity: mean_j 1 - sum_{k != k*} I_jk^2 / (I_jk*^2 (K - 1)), k* the factor of which z_j tells most.

  A latent without information counts as 0, as a dead one does. Noise does not, as the mutual information of finitely
  many points is above 0: that of dSprites gets about .66.

  explicitness_train, explicitness_test: the area under the ROC curve of a logistic regression from the standardized
  code, one value against the rest, averaged over values and factors; .5 is chance. codes [N,D], integer factors [N,K];
  `train` and `test` rows, None: 10,000 and 5,000, or all in this proportion. UserError as of `mig`.
  """
  known, new = draw_subsets(points_of(codes, factors), (train, test), (TRAIN, TEST), seed)
  areas = np.array([explicitness_of_factor(known, new, k) for k in range(known.factors.shape[1])])
  return {
    'modularity': modularity(mutual_information(bin_codes(known.codes, bins), known.factors)),
    'explicitness_train': float(areas[:, 0].mean()),
    'explicitness_test': float(areas[:, 1].mean()),
  }


def modularity(information: np.ndarray) -> float:
  """Modularity, in [0, 1], of the mutual information I(z_j; v_k) [D,K]; 1 where there is one factor."""
  squares = information**2
  best = squares.max(1)
  rest = (squares.sum(1) - best) / (np.where(best > 0, best, 1.0) * max(1, squares.shape[1] - 1))
  return float(np.where(best > 0, 1 - rest, 0.0).mean())


def explicitness_of_factor(known: Points, new: Points, k: int) -> tuple[float, float]:
  """The area under the ROC curve for factor k, on the rows that the regression learned from, and on new ones."""
  from sklearn.linear_model import LogisticRegression  # slow to import

  mean, scale = known.codes.mean(0), known.codes.std(0)
  standard = lambda z: (z - mean) / np.where(scale > 0, scale, 1.0)
  model = LogisticRegression(max_iter=1_000).fit(standard(known.codes), known.factors[:, k])
  return tuple(mean_roc_auc(model, standard(part.codes), part.factors[:, k]) for part in (known, new))


def mean_roc_auc(model: Any, codes: np.ndarray, values: np.ndarray) -> float:
  """The mean over the values that occur, beside others, of the area of value against rest; .5 without such values.

  By Mann and Whitney: the share of pairs of value and rest that the probability puts in order, ties as a half.
  """
  from scipy.stats import rankdata

  one = values[:, None] == model.classes_
  ranks, ones = rankdata(model.predict_proba(codes), axis=0), one.sum(0)
  occurs = (ones > 0) & (ones < len(values))
  if not occurs.any():
    return 0.5
  ones = ones[occurs]
  above = (ranks * one).sum(0)[occurs] - ones * (ones + 1) / 2
  return float((above / (ones * (len(values) - ones))).mean())
