"""Dynamic time warping (Sakoe and Chiba, 1978): the cheapest way to run through two sequences side by side.

A path goes from the cell (0, 0) of the distances between them to the last one by steps (1, 1), (1, 0) and (0, 1) of
weight 1, and costs the sum of its cells; of steps that cost the same, the first named is taken.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.audio.stft import of_length

BUCKET = 128  # frames: sequences are filled up to multiples of it, so that few programs are compiled


class Warp(NamedTuple):
  """The cheapest path, or one for each pair of a batch.

  Attributes:
    cost: the sum of the distances along it.
    steps: the number of its cells, both ends included.
  """

  cost: np.ndarray
  steps: np.ndarray

  @property
  def mean(self) -> np.ndarray:
    """The mean distance along the path."""
    return self.cost / self.steps


def warp_each(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> Warp:
  """The paths [B] by Euclidean distances between B pairs of sequences [N,K] and [M,K], which may be of any lengths."""
  length = bucket_of([*first, *second])
  lengths = [np.array([len(sequence) for sequence in side]) for side in (first, second)]
  filled = [np.stack([of_length(np.float32(sequence), length) for sequence in side]) for side in (first, second)]
  return Warp(*map(np.asarray, _warp_batch(*filled, *lengths)))


def bucket_of(sequences: Sequence[np.ndarray]) -> int:
  """The length that holds them all, a multiple of BUCKET."""
  return -(-max(map(len, sequences)) // BUCKET) * BUCKET


def warp(first: jax.Array, second: jax.Array, rows: jax.Array, columns: jax.Array) -> Warp:
  """The path between the first `rows` of [N,K] and the first `columns` of [M,K], whatever lies behind.

  A scan over anti-diagonals, whose cells (i, k - i) need only those of the two before: memory grows with N and M, not
  with their product.
  """
  number, last = len(first), len(first) + len(second) - 2
  # in reverse the frames k - i of the second, i = 0 ... N - 1, are a piece; what lies beyond its ends is far
  reverse = jnp.pad(second[::-1], ((number - 1, number - 1), (0, 0)), constant_values=jnp.inf)
  down = lambda of_row, outside: jnp.concatenate([jnp.full(1, outside, of_row.dtype), of_row[:-1]])

  def distances(k):
    return jnp.sqrt(jnp.sum((first - jax.lax.dynamic_slice_in_dim(reverse, last - k, number)) ** 2, axis=-1))

  def step(state, k):
    """The costs and steps of the paths to the anti-diagonal k, of those to the two before."""
    (costs_2, steps_2), (costs_1, steps_1), end = state
    costs = jnp.stack([down(costs_2, jnp.inf), down(costs_1, jnp.inf), costs_1])
    move = jnp.argmin(costs, axis=0)  # the first of the least
    steps = jnp.choose(move, [down(steps_2, 0), down(steps_1, 0), steps_1], mode='clip') + 1
    now = Warp(distances(k) + costs.min(0), steps)
    end = jax.tree.map(lambda new, old: jnp.where(k == rows + columns - 2, new[rows - 1], old), now, end)
    return (state[1], now, end), None

  outside = Warp(jnp.full(number, jnp.inf), jnp.zeros(number, int))
  start = Warp(distances(0), jnp.ones(number, int))
  states, _ = jax.lax.scan(step, (outside, start, Warp(start.cost[0], start.steps[0])), jnp.arange(1, last + 1))
  return states[2]


_warp_batch = jax.jit(jax.vmap(warp))
