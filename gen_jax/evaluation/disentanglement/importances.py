"""DCI: disentanglement, completeness and informativeness (Eastwood & Williams, 2018)."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from gen_jax.evaluation.disentanglement.subsets import TEST, TRAIN, Points, draw_subsets, points_of
from gen_jax.metrics import Metric, measures


def dci(
  codes: np.ndarray, factors: np.ndarray, *, seed: int = 0, train: int | None = None, test: int | None = None
) -> dict[str, float]:
  """DCI by the importances of gradient-boosted trees, as Locatello et al. (2019): minutes.

  R_jk >= 0 is the importance of z_j for v_k. disentanglement: sum_j rho_j (1 - H_K(R_j. / sum_k R_jk)), rho_j the share
  of z_j in all importance and H_K the entropy to base K; completeness: the same with the axes exchanged;
  informativeness_train, informativeness_test: the mean accuracy; on the noise of dSprites that of training is .53.
  Arguments as of `modularity_explicitness`.
  """
  from sklearn.ensemble import GradientBoostingClassifier  # slow to import

  parts = draw_subsets(points_of(codes, factors), (train, test), (TRAIN, TEST), seed)
  return dci_scores(*importances_and_accuracies(lambda: GradientBoostingClassifier(random_state=seed), *parts))


def dci_fast(
  codes: np.ndarray, factors: np.ndarray, *, seed: int = 0, train: int | None = None, test: int | None = None
) -> dict[str, float]:
  """DCI by the importances of 25 bagged trees of depth 8: seconds. Names and arguments as of `dci`."""
  parts = draw_subsets(points_of(codes, factors), (train, test), (TRAIN, TEST), seed)
  return dci_scores(*forest_importances(*parts, seed))


def forest_importances(known: Points, new: Points, seed: int) -> tuple[np.ndarray, np.ndarray]:
  """`importances_and_accuracies` of random forests."""
  from sklearn.ensemble import RandomForestClassifier

  forest = lambda: RandomForestClassifier(25, max_features=None, max_depth=8, random_state=seed)
  return importances_and_accuracies(forest, known, new)


@measures({
  'disentanglement': Metric(
    'whether each latent matters for one factor alone, by the importances of trees', better='higher'
  ),
  'completeness': Metric('whether one latent alone matters for each factor', better='higher'),
  'informativeness_train': Metric('informativeness on the points that the trees learned from', better='higher'),
  'informativeness_test': Metric('the accuracy with which trees read factors from the code', better='higher'),
})
def dci_scores(importances: np.ndarray, accuracies: np.ndarray) -> dict[str, float]:
  """DCI of R [D,K], and accuracies on known and new points [2,K]."""
  return {
    'disentanglement': concentration(importances),
    'completeness': concentration(importances.T),
    'informativeness_train': float(accuracies[0].mean()),
    'informativeness_test': float(accuracies[1].mean()),
  }


def importances_and_accuracies(model: Callable[[], Any], known: Points, new: Points) -> tuple[np.ndarray, np.ndarray]:
  """(R [D,K], accuracy on known and new points [2,K]); the factors in threads, as trees release the interpreter."""

  def of_factor(k: int) -> tuple[np.ndarray, float, float]:
    fitted = model().fit(known.codes, known.factors[:, k])
    accuracy = lambda part: fitted.score(part.codes, part.factors[:, k])
    return fitted.feature_importances_, accuracy(known), accuracy(new)

  with ThreadPoolExecutor(os.cpu_count()) as pool:
    parts = list(pool.map(of_factor, range(known.factors.shape[1])))
  importances, *accuracies = zip(*parts, strict=True)
  return np.stack(importances, axis=1), np.array(accuracies)


def concentration(importances: np.ndarray) -> float:
  """sum_j rho_j (1 - H_K(R_j. / sum_k R_jk)) of R [D,K] >= 0; 0 where all R are 0, 1 where K = 1."""
  rows, count = importances.sum(1, keepdims=True), importances.shape[1]
  if not rows.any():
    return 0.0
  p = importances / np.where(rows > 0, rows, 1.0)
  entropy = -(p * np.log(np.where(p > 0, p, 1.0))).sum(1) / max(np.log(count), np.finfo(float).tiny)
  return float((rows[:, 0] / rows.sum() * (1 - entropy)).sum())
