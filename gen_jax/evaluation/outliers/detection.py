"""How well a score tells outliers from the rest: areas under two curves, and errors at a fixed rate of finds."""

import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.discriminator import roc_auc
from gen_jax.metrics import Metric, measures


@measures({
  'auroc': Metric('the chance that an outlier scores above another image, ties half; .5: guessing', '', 'higher'),
  'aupr': Metric('the average precision of a search for outliers, those that score most first', '', 'higher'),
  'fpr95': Metric('the share of other images that are taken for outliers where 95 % of the outliers are', '', 'lower'),
})
def detection(inside: np.ndarray, outside: np.ndarray) -> dict[str, float]:
  """The scores [N] of images of the data set beside those of outliers [M], larger for what is more of an outlier.

  `auroc`: P(outside > inside) + P(outside = inside) / 2, by ranks. `aupr`: sum_k (R_k - R_(k-1)) P_k over the
  thresholds, precision P and recall R of outliers; M / (N + M) for guessing, so it compares at equal M / N alone.
  `fpr95`: the share of `inside` at or above the threshold that the .95 of `outside` that score most are at or above.
  UserError where a score is no number, or there is none.
  """
  inside, outside = (np.asarray(scores, np.float64).ravel() for scores in (inside, outside))
  if not len(inside) or not len(outside):
    raise UserError('scores of at least one image of the data set and of one outlier are needed')
  if np.isnan(inside).any() or np.isnan(outside).any():
    raise UserError('a score is not a number: an image of another kind than the score can judge')
  threshold = np.sort(outside)[::-1][int(np.ceil(0.95 * len(outside))) - 1]
  return {
    'auroc': roc_auc(outside, inside),
    'aupr': average_precision(inside, outside),
    'fpr95': float((inside >= threshold).mean()),
  }


def average_precision(inside: np.ndarray, outside: np.ndarray) -> float:
  """The area below the steps of precision over recall, one step for each distinct score."""
  scores = np.concatenate([inside, outside])
  is_outlier = np.concatenate([np.zeros(len(inside)), np.ones(len(outside))])
  order = np.argsort(-scores, kind='stable')
  scores = scores[order]
  last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)  # of each run of equal scores
  found = np.cumsum(is_outlier[order])[last]
  precision, recall = found / (last + 1), found / len(outside)
  return float((np.diff(recall, prepend=0.0) * precision).sum())


def combine(scores: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
  """The mean surprise -log p of several scores, [N]: by Fisher's method (1925), which one small p alone can decide.

  p is the share of held-out images that score at least as much as an image, of V of them at least 1 / (2 V).

  scores: (of held-out images of the data set [V], of the images [N]) of each.
  """
  surprises = []
  for held_out, values in scores:
    as_large = len(held_out) - np.searchsorted(np.sort(held_out), values, 'left')
    surprises.append(-np.log(np.maximum(as_large, 0.5) / len(held_out)))
  return np.mean(surprises, axis=0)
