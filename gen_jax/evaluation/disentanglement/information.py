"""Mutual information of factors with latents that are cut into bins, in nats."""

import numpy as np

from gen_jax.evaluation.disentanglement.subsets import BINS, bin_codes, draw_subsets, points_of

POINTS = 10_000


def mutual_information(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """I(a_j; b_k) in nats, [D,K], of the empirical distribution of integers a [n,D] and b [n,K] from 0."""
  return np.array([[_mutual_information(x, y) for y in b.T] for x in a.T])


def _mutual_information(x: np.ndarray, y: np.ndarray) -> float:
  """sum p(x, y) log p(x, y) / (p(x) p(y)); exactly 0 where x or y has one value."""
  width = int(y.max()) + 1
  joint = np.bincount(x * width + y, minlength=(int(x.max()) + 1) * width).reshape(-1, width)
  occurs = joint > 0
  # of whole numbers, so that independence gives log 1
  ratio = joint[occurs] * len(x) / (joint.sum(1, keepdims=True) * joint.sum(0))[occurs]
  return max(0.0, float((joint[occurs] * np.log(ratio)).sum()) / len(x))


def entropies(x: np.ndarray) -> np.ndarray:
  """H(x_k) in nats, [K], of the empirical distribution of integers [n,K]."""
  return np.array([_mutual_information(column, column) for column in x.T])


def information_matrix(
  codes: np.ndarray, factors: np.ndarray, *, seed: int = 0, bins: int = BINS, points: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
  """(I(bin of z_j; v_k) [D,K], H(v_k) [K]), nats, of `points` rows; None: 10,000, or all where there are fewer."""
  (part,) = draw_subsets(points_of(codes, factors), (points,), (POINTS,), seed)
  return mutual_information(bin_codes(part.codes, bins), part.factors), entropies(part.factors)


def gaps(scores: np.ndarray) -> np.ndarray:
  """By how much the best latent of each factor leads the second, [K], of [D,K]; a single latent leads 0."""
  ordered = np.sort(np.concatenate([scores, np.zeros((1, scores.shape[1]))]), axis=0)
  return ordered[-1] - ordered[-2]
