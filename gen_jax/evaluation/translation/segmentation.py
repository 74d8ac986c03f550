"""Consistency with label maps: of what is read off translated images, how much is what they were made from.

Label maps are int [N,H,W] of classes 0..K-1. A pixel whose true class is none of these, such as -1 or 255, is ignored.
"""

import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.translation.statistics import Interval, percentile_interval, resampled_counts

RESAMPLES = 1_000


def confusions(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
  """The number of pixels of each image of true class i that are predicted to be j, int64 [N,K,K].

  UserError where the maps differ in shape, or what is predicted is no class.
  """
  if truth.shape != prediction.shape:
    raise UserError(f'label maps {list(prediction.shape)} cannot be compared with {list(truth.shape)}')
  if prediction.size and not 0 <= prediction.min() <= prediction.max() < classes:
    raise UserError(f'predicted classes are {prediction.min()} to {prediction.max()}, not within 0 to {classes - 1}')
  pairs = np.where((truth >= 0) & (truth < classes), classes * truth.astype(np.int64) + prediction, classes**2)
  counts = [np.bincount(pair.ravel(), minlength=classes**2 + 1)[: classes**2] for pair in pairs]
  return np.array(counts, np.int64).reshape(-1, classes, classes)


def confusion(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
  """The same over all images, int64 [K,K]."""
  return confusions(truth, prediction, classes).sum(0)


def segmentation_scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
  """Pixel accuracy, class accuracy and IoU (intersection over union) of confusions [...,K,K], each [...] in [0, 1].

  diag / sum; the mean over classes of diag / row; the mean over classes of diag / (row + col - diag), each denominator
  plus 10^-12, so that classes that do not occur count as 0: the FCN score of Isola et al. (2017), as their code has it.
  """
  diagonal = np.diagonal(confusion, axis1=-2, axis2=-1)
  rows, columns = confusion.sum(-1), confusion.sum(-2)
  return {
    'pixel_accuracy': diagonal.sum(-1) / (rows.sum(-1) + 1e-12),
    'class_accuracy': (diagonal / (rows + 1e-12)).mean(-1),
    'iou': (diagonal / (rows + columns - diagonal + 1e-12)).mean(-1),
  }


def score_intervals(confusions: np.ndarray, seed: int = 0) -> dict[str, Interval]:
  """`segmentation_scores` over all images, of confusions [N,K,K], with intervals by bootstrap over images."""
  number, classes, _ = confusions.shape
  counts = resampled_counts(number, RESAMPLES, seed)
  resampled = (counts @ confusions.reshape(number, -1)).reshape(-1, classes, classes)
  of_all, of_resampled = segmentation_scores(confusions.sum(0)), segmentation_scores(resampled)
  return {name: percentile_interval(value, of_resampled[name]) for name, value in of_all.items()}
