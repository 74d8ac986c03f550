"""SAP: the separated attribute predictability (Kumar et al., 2018)."""

import numpy as np

from gen_jax.evaluation.disentanglement.information import gaps
from gen_jax.evaluation.disentanglement.subsets import TEST, TRAIN, Points, draw_subsets, points_of
from gen_jax.metrics import Metric, measures


@measures({
  'sap': Metric(
    'by how much the latent that predicts a factor best leads the second; mean over factors', better='higher'
  ),
  'sap_{factor}': Metric('by how much the latent that predicts each factor best leads the second', better='higher'),
})
def sap(
  codes: np.ndarray,
  factors: np.ndarray,
  *,
  seed: int = 0,
  train: int | None = None,
  test: int | None = None,
  continuous: bool = False,
) -> dict[str, float]:
  """mean_k (S_(1)k - S_(2)k): by how much the latent that predicts factor k best leads the second.

  S_jk is the accuracy on new points of a linear classifier of v_k from z_j alone, its classes balanced (C = .01); or,
  `continuous`, the squared correlation of the training points. One latent cannot separate many ordered values
  linearly: a perfect code of dSprites gets .25. Arguments as of `modularity_explicitness`.
  """
  known, new = draw_subsets(points_of(codes, factors), (train, test), (TRAIN, TEST), seed)
  if continuous:
    scores = squared_correlation(known.codes, known.factors)
  else:
    latents, kinds = range(known.codes.shape[1]), range(known.factors.shape[1])
    scores = np.array([[svm_accuracy(known, new, j, k, seed) for k in kinds] for j in latents])
  gap = gaps(scores)
  return {'sap': float(gap.mean())} | {f'sap_{k}': float(g) for k, g in enumerate(gap)}


def svm_accuracy(known: Points, new: Points, j: int, k: int, seed: int) -> float:
  """The accuracy of a linear support vector machine from z_j to v_k, on new points."""
  from sklearn.svm import LinearSVC  # slow to import

  machine = LinearSVC(C=0.01, class_weight='balanced', random_state=seed)
  return float(machine.fit(known.codes[:, [j]], known.factors[:, k]).score(new.codes[:, [j]], new.factors[:, k]))


def squared_correlation(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
  """cov(z_j, v_k)^2 / (var z_j var v_k), [D,K]; 0 for a constant latent."""
  z, v = codes - codes.mean(0), factors - factors.mean(0)
  variances = np.outer((z**2).mean(0), (v**2).mean(0))
  return (z.T @ v / len(z)) ** 2 / np.where(variances > 0, variances, 1.0)
