"""Several training steps as one compiled call, so that small models are not bound by Python."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.data import order, stream
from gen_jax.data.dataset import Dataset
from gen_jax.training.state import TrainState
from gen_jax.types import Batch

Windows = Sequence[tuple[int, int]]  # (first step, step after the last) of each dispatch


def resident_batch(dataset: Dataset, seed: int, batch_size: int, updates: int) -> Callable[..., Batch]:
  """(arrays, step, i, rows) -> raw batch [updates, B, ...], gathered where the arrays are."""

  def batch_of(arrays: Mapping[str, jax.Array], step: jax.Array, i: jax.Array, rows: jax.Array) -> Batch:
    del i
    batches = (step * updates + jnp.arange(updates)).astype(jnp.uint32)
    index = jax.vmap(lambda batch: order.rows(seed, batch, rows, batch_size, dataset.size))(batches)
    gathered = {name: array[index] for name, array in arrays.items()} | {'index': index}
    return jax.vmap(dataset.finish)(gathered)

  return batch_of


def streamed_batch(dataset: Dataset) -> Callable[..., Batch]:
  """(inputs, step, i, rows) -> raw batch [updates, B, ...]: the i-th of the batches that were loaded."""

  def batch_of(inputs: Mapping[str, jax.Array], step: jax.Array, i: jax.Array, rows: jax.Array) -> Batch:
    del step, rows
    return jax.vmap(dataset.finish)({name: array[i] for name, array in inputs.items()})

  return batch_of


def streamed_inputs(
  dataset: Dataset, seed: int, rows: np.ndarray, batch_size: int, updates: int, workers: int, windows: Windows
) -> Iterator[Mapping[str, np.ndarray]]:
  """Loads ahead what `streamed_batch` takes: for each window {name: [devices, most, updates, B / devices, ...]}.

  `rows` [devices, B / devices] are those of this process; a window shorter than the longest repeats its last step.
  """
  order_of = stream.order_of_steps(seed, updates, batch_size, dataset.size)
  steps = stream.batches(
    dataset, lambda step: order_of(step)[:, rows], windows[0][0], windows[-1][1], workers=workers
  )
  most = max(stop - start for start, stop in windows)
  with contextlib.closing(steps):
    for start, stop in windows:
      window = [next(steps) for _ in range(start, stop)]
      window += window[-1:] * (most - len(window))
      # [most, updates, devices, B / devices, ...] -> [devices, most, updates, B / devices, ...]
      yield {name: np.moveaxis(np.stack([step[name] for step in window]), 2, 0) for name in window[0]}


def several_steps(train_step: Callable, batch_of: Callable[..., Batch], most: int) -> Callable:
  """`play(state, inputs, count, rows)`: `count` <= `most` training steps on one device.

  Returns the state and metrics {name: [most]}, of which the first `count` are filled. The count is traced, so that
  windows of every length share one compilation.
  """

  def one(state: TrainState, inputs, i: jax.Array, rows: jax.Array):
    batch = batch_of(inputs, state.step, i, rows)
    updates = batch['index'].shape[0]
    return train_step(state, batch | {'row': jnp.broadcast_to(rows, (updates, *rows.shape))})

  def play(state: TrainState, inputs, count: jax.Array, rows: jax.Array):
    """The state after `count` steps, and their metrics."""
    def body(i, carry):
      state, history = carry
      state, metrics = one(state, inputs, i, rows)
      return state, jax.tree.map(lambda all_steps, x: all_steps.at[i].set(x), history, metrics)

    _, shapes = jax.eval_shape(one, state, inputs, jnp.int32(0), rows)
    history = jax.tree.map(lambda x: jnp.zeros((most,), x.dtype), shapes)
    return jax.lax.fori_loop(0, count, body, (state, history))

  return play
