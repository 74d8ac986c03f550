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

BatchOf = Callable[..., Batch]
"""`(inputs, state, seed, i, rows) -> batch`: the raw batches [updates, B, ...] of the next step, the i-th of its
dispatch, on a device that takes their rows `rows` [B]. Pure: the seed, the step and `state.data` determine them,
with `inputs`, the arrays that they are read from."""
Windows = Sequence[tuple[int, int]]  # (first step, step after the last) of each dispatch


def resident_batch(dataset: Dataset, batch_size: int, updates: int) -> BatchOf:
  """Takes the arrays of the data set for inputs, and gathers the rows where the arrays are.

  Features that stand in an order of their own are gathered by it; 'index' is the row of all else.
  """

  def batch_of(
    inputs: Mapping[str, jax.Array], state: TrainState, seed: jax.Array, i: jax.Array, rows: jax.Array
  ) -> Batch:
    """A `BatchOf` of rows gathered on the device."""
    del i
    numbers = (state.step * updates + jnp.arange(updates)).astype(jnp.uint32)
    of_batch = lambda k: dataset.rows(seed, state.data, k, rows, batch_size, dataset.size)
    index = jax.vmap(of_batch)(numbers)
    own_of = lambda place, size: jax.vmap(lambda k: order.own_rows(seed, place, k, rows, batch_size, size))(numbers)
    own = {name: own_of(place, size) for place, (name, size) in enumerate(dataset.own_order.items())}
    gathered = {name: array[own.get(name, index)] for name, array in inputs.items()} | {'index': index}
    return jax.vmap(dataset.finish)(gathered)

  return batch_of


def streamed_batch(dataset: Dataset) -> BatchOf:
  """Takes the rows of a window of steps for inputs, as `streamed_inputs` reads them: those of step i of the window."""

  def batch_of(
    inputs: Mapping[str, jax.Array], state: TrainState, seed: jax.Array, i: jax.Array, rows: jax.Array
  ) -> Batch:
    """A `BatchOf` of rows that were read ahead."""
    del state, seed, rows
    return jax.vmap(dataset.finish)({name: array[i] for name, array in inputs.items()})

  return batch_of


def streamed_inputs(
  dataset: Dataset, seed: int, rows: np.ndarray, batch_size: int, updates: int, workers: int, windows: Windows
) -> Iterator[Mapping[str, np.ndarray]]:
  """Loads ahead what `streamed_batch` takes: for each window {name: [devices, longest, updates, B / devices, ...]}.

  `rows` [devices, B / devices] are those of this process; a window shorter than the longest repeats its last step.
  """
  order_of = stream.order_of_steps(dataset, seed, updates, batch_size)
  steps = stream.batches(dataset, lambda step: order_of(step)[:, rows], windows[0][0], windows[-1][1], workers=workers)
  longest = max(stop - start for start, stop in windows)
  with contextlib.closing(steps):
    for start, stop in windows:
      window = [next(steps) for _ in range(start, stop)]
      window += window[-1:] * (longest - len(window))
      # [longest, updates, devices, B / devices, ...] -> [devices, longest, updates, B / devices, ...]
      yield {name: np.moveaxis(np.stack([step[name] for step in window]), 2, 0) for name in window[0]}


def repeat_step(
  train_step: Callable, batch_of: BatchOf, longest: int, update_data: Callable[..., TrainState] | None = None
) -> Callable:
  """`run_steps(state, inputs, seed, count, rows)`: `count` <= `longest` training steps on one device.

  `update_data(state, inputs, seed)`, where there is one, comes before each step and changes `state.data`, if it is due.

  `train_step(state, batch, seed)` is one of them. The seed, uint32, is an argument, so that runs that differ in
  nothing else share one compilation; so is the count, for windows of every length.
  """

  @jax.jit  # for its shapes and in the loop it is traced once
  def step_of(state: TrainState, inputs, seed: jax.Array, i: jax.Array, rows: jax.Array):
    state = update_data(state, inputs, seed) if update_data else state
    batch = batch_of(inputs, state, seed, i, rows)
    updates = batch['index'].shape[0]
    return train_step(state, batch | {'row': jnp.broadcast_to(rows, (updates, *rows.shape))}, seed)

  def run_steps(state: TrainState, inputs, seed: jax.Array, count: jax.Array, rows: jax.Array):
    """The state after `count` steps, and metrics {name: [longest]}, of which the first `count` are filled."""

    def body(i, carry):
      state, history = carry
      state, metrics = step_of(state, inputs, seed, i, rows)
      return state, jax.tree.map(lambda all_steps, x: all_steps.at[i].set(x), history, metrics)

    _, shapes = jax.eval_shape(step_of, state, inputs, seed, 0, rows)
    history = jax.tree.map(lambda x: jnp.zeros((longest,), x.dtype), shapes)
    return jax.lax.fori_loop(0, count, body, (state, history))

  return run_steps
