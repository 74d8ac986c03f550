"""Two trees of thin branches in the plane, each a class and a mixture of normals (Karras et al., 2024, figures 1, 2).

On these, "Guiding a Diffusion Model with a Bad Version of Itself" shows what guidance does: a small model draws points
beside the ever thinner branches, and guidance may remove these, or whole branches (`toy_example.py` of its code).
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gen_jax.gaussian_mixtures import GaussianMixture, from_covariances

SEED = 2  # of the lengths and angles, as in the paper
DEPTH, PARTS = 7, 8  # branches from the root to a tip; normals of a branch
ANGLES = (math.pi / 4, math.pi * 5 / 4)  # of the trunks, both of which begin at one place
DEVIATION = 0.5  # of the whole, along either axis


class Branch(NamedTuple):
  """A line from `start` [2] to `end` [2]; the trunk's depth is 0."""

  depth: int
  start: np.ndarray
  end: np.ndarray


def grow(rng: np.random.RandomState, angle: float, depth: int = 0, start: np.ndarray | float = 0.0) -> Iterator[Branch]:
  """A branch and all that grow from it, depth first: 2^DEPTH - 1 of a whole tree.

  Its length is .292 * .8^depth, its two children turn by .7^depth to either side; each of these times 1 + .2 N(0, 1).
  """
  if depth == DEPTH:  # after its angle is drawn, as in the paper, whose numbers would be others
    return
  vary = lambda x: x * (1 + 0.2 * rng.standard_normal())
  end = start + vary(0.292 * 0.8**depth) * np.array([math.cos(angle), math.sin(angle)])
  yield Branch(depth, np.broadcast_to(start, 2), end)
  for side in (1, -1):
    yield from grow(rng, angle + side * vary(0.7**depth), depth + 1, end)


def normals(branches: list[Branch]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """(weights [K], means [K,2], covariances [K,2,2]) of branches, PARTS normals each, K of them in all.

  The normals of a branch of length l stand between .07 l and .93 l, .06 l their deviation along it and
  .012 * .8^depth across; together they weigh l * .5^depth.
  """
  depth, start, end = (np.array(values) for values in zip(*branches, strict=True))
  along = end - start  # [branches,2]
  length = np.linalg.norm(along, axis=-1)
  across = (0.8**depth / length)[:, None] * np.stack([-along[:, 1], along[:, 0]], axis=-1)
  factors = np.stack([0.06 * along, 0.012 * across], axis=-1)  # [branches,2,2], columns
  places = np.linspace(0.07, 0.93, PARTS)
  means = start[:, None] + places[None, :, None] * along[:, None]
  covariances = np.einsum('kij,klj->kil', factors, factors)
  return np.repeat(length * 0.5**depth, PARTS), means.reshape(-1, 2), np.repeat(covariances, PARTS, axis=0)


def moments(weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """(mean [D], variances [D]) of a mixture of weights [K], means [K,D] and covariances [K,D,D]."""
  shares = weights / weights.sum()
  mean = shares @ means
  return mean, shares @ (np.diagonal(covariances, axis1=1, axis2=2) + (means - mean) ** 2)


def trees() -> tuple[GaussianMixture, GaussianMixture]:
  """The upper right and the lower left tree, which are equally frequent: 1,016 normals each.

  Together, both axes have mean 0 and deviation .5. In the paper classes are as frequent as their branches weigh, .477
  and .523, and its scale, (1.3136, 1.3844), is smaller by .1 %.
  """
  rng = np.random.RandomState(SEED)  # the paper's stream of numbers
  classes = [normals(list(grow(rng, angle))) for angle in ANGLES]
  equal = [(weights / weights.sum(), means, covariances) for weights, means, covariances in classes]
  mean, variances = moments(*map(np.concatenate, zip(*equal, strict=True)))
  scale = DEVIATION / np.sqrt(variances)
  return tuple(
    from_covariances(weights, scale * (means - mean), np.outer(scale, scale) * covariances)
    for weights, means, covariances in classes
  )
