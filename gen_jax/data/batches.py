"""A split in batches of one size, for evaluation."""

import functools
from collections.abc import Callable, Iterator

import jax
import numpy as np

from gen_jax import randomness
from gen_jax.data.dataset import Dataset
from gen_jax.types import Batch


@functools.partial(jax.jit, static_argnums=(0, 1))
def prepare(finish: Callable, process: Callable, rows, key: jax.Array) -> Batch:
  """Rows as they are read -> the batch as the model sees it."""
  return process(finish(rows), key)


def chosen_rows(size: int, examples: int = 0) -> np.ndarray:
  """All rows of a split of `size`, int [N]; or `examples` of them in a fixed random order, the first of more."""
  if 0 < examples < size:
    return np.random.default_rng(0).permutation(size)[:examples]
  return np.arange(size)


def evaluation_batches(
  dataset: Dataset, process: Callable[[Batch, jax.Array], Batch], batch_size: int, examples: int = 0
) -> Iterator[Batch]:
  """Preprocessed batches with 'mask' over the split, or over `examples` of it in a fixed random order.

  Noise is keyed by the row of the data set, so it does not depend on the size of the batches.
  """
  chosen = chosen_rows(dataset.size, examples)
  for start in range(0, len(chosen), batch_size):
    place = start + np.arange(batch_size)
    mask = (place < len(chosen)).astype(np.float32)
    # from the start again, as what normalizes by the batch sees the padding too
    index = chosen[place % len(chosen)].astype(np.int32)
    rows = {**dataset.fetch(index), 'index': index, 'row': index, 'mask': mask}
    yield prepare(dataset.finish, process, rows, randomness.key(0))
