"""What a benchmark reports, from times that are known."""

import chex
import jax
import numpy as np
import pytest
from small import small_config

from gen_jax import build
from gen_jax.app import benchmark
from gen_jax.training import dispatch, loop
from gen_jax.training.state import TrainState
from gen_jax.training.stopwatch import Stopwatch

TIMING = benchmark.Timing(
  examples=8,
  steps=[5, 5, 10],
  seconds=[0.5, 1.0, 4.5],
  compilation=3.0,
  phases={'tracing': 1.0, 'compilation': 2.0},
  cached=False,
  waited=1.5,
  batch=0.06,
  peak_bytes=3 * 2**20,
  device='2 x toaster',
)


def test_the_numbers_follow_from_the_times():
  assert TIMING.summary() == {
    'examples_per_second': pytest.approx(8 * 20 / 6),
    'milliseconds_per_step': pytest.approx(200),
    'compile_seconds': 3.0,
    'input_wait_fraction': pytest.approx(1.5 / 6 + 0.06 * 20 / 6),
    'peak_bytes': 3 * 2**20,
    'device': '2 x toaster',
  }
  table = TIMING.table()
  assert '20 steps in 3 dispatches of 5 to 10' in table and '200.000 ms, the median; 100.000 to 450.000' in table
  assert '3.00 s, cold: tracing 1.00, compiling 2.00' in table
  assert '45.0 % of the time: 25.0 waiting for it, 20.0 making batches in the step (60.000 ms)' in table
  assert 'from the cache' in TIMING._replace(cached=True).table()


def test_input_costs_no_more_than_all_the_time():
  assert sum(TIMING._replace(batch=10.0).shares()) == pytest.approx(1)


def test_only_waiting_while_the_devices_are_idle_counts():
  ends = [10.0, 20.0, 30.0, 40.0]
  assert benchmark.idle_seconds([(1, 9), (12, 19.5), (21, 29)], ends) == 0
  assert benchmark.idle_seconds([(1, 12), (12, 23), (21, 31)], ends) == 2 + 3 + 1  # from the end of the window before
  assert benchmark.idle_seconds([(11, 12), (25, 28), (30, 30)], ends) == 1 + 3  # from when it was asked for


def test_windows_end_where_those_of_training_do():
  config = small_config(steps_per_dispatch=5, log_every=7, eval_every=50, save_every=20, steps=12)
  spans = benchmark.timed_windows(config, 1)
  assert spans == [(0, 5), (5, 7), (7, 10), (10, 14), (14, 15)]  # two untimed, and no fewer than three others
  for steps in (9, 11, 12, 100):
    timed = benchmark.timed_windows(config, steps)[benchmark.UNTIMED :]
    assert timed[-1][1] - timed[0][0] >= steps > timed[-1][0] - timed[0][0] or len(timed) == benchmark.LEAST
  assert config.steps == 12


def test_schedules_of_a_short_run_are_timed_beyond_their_end():
  config = small_config(steps=3, steps_per_dispatch=2, optimizer={'warmup_steps': 1})
  timing = benchmark.measure(config, 9, Stopwatch())
  assert timing.steps == [2] * 5 and timing.examples == config.batch_size
  assert all(seconds > 0 for seconds in timing.seconds) and timing.compilation > 0


def test_batches_alone_are_made_whole():
  config = small_config('rendered')
  task = build.task(config)
  batch_of, arrays = loop.batches_of(task), dict(task.data.arrays)
  seed, rows, state = np.uint32(0), np.arange(8, dtype=np.int32), TrainState(np.int32(0), {}, {}, {}, {}, ())
  expected = [batch_of(arrays, state._replace(step=np.int32(step)), seed, 0, rows) for step in (0, 2)]
  state = state._replace(variables=jax.tree.map(np.zeros_like, dict(expected[0])))
  run_steps = jax.jit(dispatch.repeat_step(benchmark.keep_batch, batch_of, 3))
  for count, batch in ((1, expected[0]), (3, expected[1])):
    kept, _ = run_steps(state, arrays, seed, count, rows)
    assert kept.step == count
    chex.assert_trees_all_equal(kept.variables, dict(batch))
