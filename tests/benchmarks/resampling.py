"""What resampling costs: drawing a batch by weights, beside the training step, and the pass that computes the weights.

python tests/benchmarks/resampling.py                                       # experiments/db_vae.py
python tests/benchmarks/resampling.py --config=experiments/db_vae.py:faces --repeats=5
"""

import argparse
import pathlib
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

from gen_jax import build
from gen_jax.app import arguments, benchmark
from gen_jax.training import loop, parallel, resampling
from gen_jax.training.stopwatch import Stopwatch

DRAWS = 2_000  # in one compiled loop
STEPS = 100


def milliseconds(function, times: int = 1) -> float:
  """Of one of the `times` that a call of the compiled function does its work."""
  begun = time.perf_counter()
  jax.block_until_ready(function())
  return 1e3 * (time.perf_counter() - begun) / times


def compiled_draws(task):
  """`draw()`: the rows of DRAWS batches, one after the other as in training, by the weights of the initial state."""
  rows = jnp.asarray(parallel.local_rows(task.config.batch_size)[0])

  @jax.jit
  def draw(state):
    of_batch = lambda k: task.data.rows(jnp.uint32(0), state, k, rows, task.config.batch_size, task.data.size)
    add = lambda k, sums: sums + of_batch(k.astype(jnp.uint32))
    return jax.lax.fori_loop(0, DRAWS, add, jnp.zeros(len(rows), jnp.int32))

  return lambda: draw(task.data.initial_state)


def compiled_pass(task):
  """`compute()`: the weights from what the initial model says of all positives."""
  update, state = resampling.update_of(task), loop.initial_state(task)
  compute = parallel.data_parallel(
    lambda state, inputs, seed, count, rows: (update(state, inputs, seed), {}), False, task.config.data_parallel
  )
  inputs = next(loop.open_stage(task, 0, Stopwatch())[1])
  rows = parallel.local_rows(task.config.batch_size)
  return lambda: compute(jax.tree.map(jnp.copy, state), inputs, np.uint32(0), np.int32(1), rows)[0]


def main() -> None:
  """Prints the medians of the repeats, which take turns, and their ranges."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--config', default='experiments/db_vae.py')
  parser.add_argument('--repeats', type=int, default=5)
  flags = parser.parse_args()
  config = arguments.load_experiment(flags.config)
  task = build.task(config)
  draw, compute, found = compiled_draws(task), compiled_pass(task), []
  milliseconds(draw), milliseconds(compute)  # these compile
  for _ in range(flags.repeats):
    step = benchmark.measure(config, STEPS, Stopwatch()).summary()['milliseconds_per_step']
    found.append((step, milliseconds(draw, DRAWS), milliseconds(compute)))
  steps, draws, passes = (np.array(column) for column in zip(*found, strict=True))
  epoch = resampling.steps_of_epoch(task)
  print(benchmark.describe_devices())
  for name, values in {
    'a training step, ms': steps,
    'drawing its batch by weights, ms': draws,
    'the same, % of the step': 100 * draws / steps,
    f'computing the weights of {len(task.data.initial_state["weights"])} positives, ms': passes,
    f'the same, % of an epoch of {epoch} steps': 100 * passes / (epoch * steps),
  }.items():
    print(f'{name:60} {statistics.median(values):8.3f}  ({values.min():.3f} to {values.max():.3f})')


if __name__ == '__main__':
  main()
