"""Batches of a data set too large for memory, read ahead by threads, in the order of training."""

import collections
import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grain
import jax
import numpy as np

from gen_jax.data.dataset import Dataset
from gen_jax.errors import UserError


def order_of_steps(dataset: Dataset, seed: int, updates: int, batch_size: int) -> Callable[[int], np.ndarray]:
  """`step -> indices` int32 [updates, batch_size], the rows that the compiled loop draws from `dataset.rows`.

  Evaluated on the host's processor, so that it never waits for the accelerator, and ahead of the training. UserError
  where the order depends on the course of training, which is not known then, or differs from feature to feature.
  """
  if dataset.own_order:
    raise UserError(
      f'{" and ".join(dataset.own_order)} stand in orders of their own, so they cannot be read ahead: '
      'raise config.data.resident_mib until they fit'
    )
  if jax.tree.leaves(dataset.initial_state):
    raise UserError(
      'the examples of these data are chosen by the course of training, so they cannot be read ahead: '
      'raise config.data.resident_mib until they fit'
    )

  @jax.jit
  def rows(seed, first):  # update u of the step is batch first + u
    numbers, row = first + np.arange(updates, dtype=np.uint32), np.arange(batch_size)
    of_batch = lambda k: dataset.rows(seed, dataset.initial_state, k, row, batch_size, dataset.size)
    return jax.vmap(of_batch)(numbers)

  def indices(step: int) -> np.ndarray:
    with jax.default_device(jax.local_devices(backend='cpu')[0]):
      return np.asarray(rows(np.uint32(seed), np.uint32(step * updates)))

  return indices


def batches(
  dataset: Dataset, indices_of_step: Callable[[int], np.ndarray], start: int, stop: int, *, workers: int = 4
) -> Iterator[Mapping[str, np.ndarray]]:
  """The rows of steps start, ..., stop - 1: one mapping a step, its arrays [*indices.shape, ...].

  Element k depends on step start + k alone. `workers` threads fetch whole steps, two each ahead of use; what
  fetching raises is raised here. Closing the iterator, or letting go of it, ends the threads.
  """

  def load(step: int) -> dict[str, np.ndarray]:
    indices = indices_of_step(step)
    rows = dataset.fetch(indices.reshape(-1))
    shaped = {name: values.reshape(indices.shape + values.shape[1:]) for name, values in rows.items()}
    return shaped | {'index': indices}

  options = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=2 * workers)
  iterator = iter(grain.MapDataset.range(start, stop).map(load).to_iter_dataset(options))
  try:
    yield from iterator
  finally:
    iterator.close()


def read_ahead(items: Generator[Any], number: int = 2) -> Generator[Any]:
  """The items, `number` of them made by a thread before they are asked for; what making raises is raised here."""
  end = object()
  with contextlib.closing(items), ThreadPoolExecutor(1) as thread:
    coming = collections.deque(thread.submit(next, items, end) for _ in range(number))
    try:
      while (item := coming.popleft().result()) is not end:
        coming.append(thread.submit(next, items, end))
        yield item
    finally:
      thread.shutdown(cancel_futures=True)  # before `items` is closed, which must not be at work then
