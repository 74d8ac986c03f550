"""Times the training step of a config, on the data that it would use."""

import functools
import os
import pathlib
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from gen_jax import build, stages
from gen_jax.build import Task
from gen_jax.training import dispatch, loop, parallel
from gen_jax.training.state import TrainState
from gen_jax.training.step import updates_per_step
from gen_jax.training.stopwatch import Stopwatch
from gen_jax.types import Batch

try:
  import resource
except ImportError:  # as on Windows
  resource = None

UNTIMED = 2  # the first dispatch compiles, the second fills the pipeline
LEAST = 3  # dispatches that are timed, at least
BATCHES = 50  # made in a dispatch, at least, where they are timed alone, so that the dispatch itself hardly counts


class Timing(NamedTuple):
  """What a benchmark found; times in seconds."""

  examples: int  # that a step consumes
  steps: list[int]  # of each timed dispatch
  seconds: list[float]  # from the end of the dispatch before to its own
  compilation: float  # see `summary`
  phases: Mapping[str, float]  # of the start-up
  cached: bool  # whether the step came from the compilation cache
  waited: float  # for `next(inputs)`, while the devices had nothing to do
  batch: float  # a step's batches alone, made as the compiled step makes them
  peak_bytes: int
  device: str

  def milliseconds(self) -> list[float]:
    """A step's, by dispatch."""
    return [1e3 * seconds / steps for steps, seconds in zip(self.steps, self.seconds, strict=True)]

  def shares(self) -> tuple[float, float]:
    """The parts of the wall time that go to waiting for inputs, and to making batches within the step."""
    wall = sum(self.seconds)
    waited = self.waited / wall
    return waited, min(self.batch * sum(self.steps) / wall, 1 - waited)

  def summary(self) -> dict[str, float | int | str]:
    """What a program reads.

    examples_per_second    of all devices together, over the whole of the timed part
    milliseconds_per_step  the median over dispatches
    compile_seconds        from calling the first dispatch to having its result, less the time its steps take later:
                           tracing, lowering, and compiling or reading from the cache
    input_wait_fraction    the share of the wall time that input costs: the devices idle until `next(inputs)` returns,
                           or make batches themselves
    peak_bytes             of the fullest device's memory; on a CPU the process's peak resident set
    device                 number and kind of the devices
    """
    return {
      'examples_per_second': self.examples * sum(self.steps) / sum(self.seconds),
      'milliseconds_per_step': statistics.median(self.milliseconds()),
      'compile_seconds': self.compilation,
      'input_wait_fraction': sum(self.shares()),
      'peak_bytes': self.peak_bytes,
      'device': self.device,
    }

  def table(self) -> str:
    """What a person reads."""
    times, summary, (waited, made) = self.milliseconds(), self.summary(), self.shares()
    return '\n'.join(
      f'{name:16}  {value}'
      for name, value in {
        'device': self.device,
        'timed': f'{sum(self.steps)} steps in {len(self.steps)} dispatches of {span(self.steps)}',
        'step': f'{summary["milliseconds_per_step"]:.3f} ms, the median; {min(times):.3f} to {max(times):.3f}',
        'examples': f'{summary["examples_per_second"]:.1f} a second, {self.examples} a step',
        'compilation': f'{self.compilation:.2f} s, {"from the cache" if self.cached else "cold"}: '
        f'tracing {self.phases["tracing"]:.2f}, compiling {self.phases["compilation"]:.2f}',
        'input': f'{100 * (waited + made):.1f} % of the time: {100 * waited:.1f} waiting for it, '
        f'{100 * made:.1f} making batches in the step ({1e3 * self.batch:.3f} ms)',
        'peak memory': f'{self.peak_bytes / 2**20:.0f} MiB, of {"a device" if device_peaks() else "the process"}',
      }.items()
    )


def span(numbers: list[int]) -> str:
  """'5', or '3 to 5'."""
  least, most = min(numbers), max(numbers)
  return str(least) if least == most else f'{least} to {most}'


def timed_windows(config: ConfigDict, steps: int) -> list[tuple[int, int]]:
  """The first dispatches of training: those untimed, then at least `steps` steps in at least `LEAST` of them.

  They end where those of training do, but for `config.steps`, which may be fewer.
  """
  windows = []
  for start, stop in loop.windows_from(0, config, until=2**31 - 1):
    windows.append((start, stop))
    if len(windows) >= UNTIMED + LEAST and stop - windows[UNTIMED - 1][1] >= steps:
      break
  return windows


def measure(config: ConfigDict, steps: int, watch: Stopwatch) -> Timing:
  """Trains from the start as `loop.run` does, networks that grow at full size, but saves, evaluates, writes nothing."""
  windows = timed_windows(config, steps)
  task = build.task(config, stages.stages_of(config)[-1].start)._replace(until=windows[-1][1])
  run_steps, inputs = loop.open_stage(task, 0, watch)
  state = loop.initial_state(task)
  watch.lap('model and state')
  try:
    first = next(inputs)
    called = time.perf_counter()
    state, history = run_steps(state, first, windows[0][1])
    jax.block_until_ready(history)
    called = time.perf_counter() - called
    waits, ends = run_timed(run_steps, state, inputs, windows[1:])
  finally:
    inputs.close()
  lengths = [stop - start for start, stop in windows[UNTIMED:]]
  seconds = [float(x) for x in np.diff(ends)]
  step = statistics.median(x / n for x, n in zip(seconds, lengths, strict=True))
  return Timing(
    examples=config.batch_size * updates_per_step(task.model),
    steps=lengths,
    seconds=seconds,
    compilation=max(called - windows[0][1] * step, 0.0),
    phases=dict(watch.phases),
    cached=run_steps.cached,
    waited=idle_seconds(waits[1:], ends),
    peak_bytes=max(device_peaks(), default=process_peak()),
    batch=time_of_batches(task, first),
    device=describe_devices(),
  )


def run_timed(
  run_steps: Callable, state: TrainState, inputs: Iterator[Mapping[str, Any]], windows: list[tuple[int, int]]
) -> tuple[list[tuple[float, float]], list[float]]:
  """Trains over the windows as training does.

  Returns, by window, when its inputs were requested and when they arrived; and when the devices had finished it.
  """
  waits, ended, pending = [], [], None
  with ThreadPoolExecutor(1) as watcher:  # as the loop itself sees an end only when it next asks for a result
    for start, stop in windows:
      before = time.perf_counter()
      window = next(inputs)
      waits.append((before, time.perf_counter()))
      state, history = run_steps(state, window, stop - start)
      ended.append(watcher.submit(end_of, history))
      if parallel.wait_between_dispatches():
        jax.block_until_ready(history)
      for values in (pending or {}).values():
        np.asarray(values)
      pending = history
      parallel.highest(0)
    return waits, [end.result() for end in ended]


def end_of(history: Mapping[str, jax.Array]) -> float:
  """The time at which the results are there."""
  jax.block_until_ready(history)
  return time.perf_counter()


def idle_seconds(waits: list[tuple[float, float]], ends: list[float]) -> float:
  """Seconds spent waiting for inputs after the window before, of which `ends` has one more, had been finished."""
  return sum(max(0.0, arrived - max(before, end)) for (before, arrived), end in zip(waits, ends, strict=False))


def time_of_batches(task: Task, inputs: Mapping[str, Any]) -> float:
  """Seconds that a step's batches take when nothing is done with them: no preprocessing, no training."""
  config, streamed = task.config, task.data.arrays is None
  most, seed = max(loop.longest_window(task), BATCHES), np.uint32(config.seed)
  rows = parallel.local_rows(config.batch_size)
  batch_of = loop.batches_of(task)
  make = parallel.data_parallel(dispatch.repeat_step(keep_batch, batch_of, most), streamed, config.data_parallel)
  of_a_device = {name: values[0] for name, values in inputs.items()} if streamed else inputs
  state, times = TrainState(np.int32(0), {}, {}, {}, {}, task.data.initial_state), []
  shapes = jax.eval_shape(batch_of, of_a_device, state, seed, np.int32(0), rows[0])
  state = state._replace(variables=jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), dict(shapes)))
  for _ in range(1 + LEAST):  # the first one compiles
    begun = time.perf_counter()
    state, _ = make(state, inputs, seed, np.int32(most), rows)
    jax.block_until_ready(state)
    times.append((time.perf_counter() - begun) / most)
  return statistics.median(times[1:])


def keep_batch(state: TrainState, batch: Batch, seed: jax.Array) -> tuple[TrainState, dict[str, jax.Array]]:
  """In place of a training step: keeps the batch, so that all of it is made."""
  del seed
  return state._replace(step=state.step + 1, variables={name: batch[name] for name in state.variables}), {}


def device_peaks() -> list[int]:
  """Peak bytes in use, of each device of this process that counts them."""
  of_devices = [device.memory_stats() or {} for device in jax.local_devices()]
  return [counts['peak_bytes_in_use'] for counts in of_devices if 'peak_bytes_in_use' in counts]


def process_peak() -> int:
  """The peak resident set, in bytes; 0 where the system does not say it."""
  if resource is None:
    return 0
  unit = 1 if sys.platform == 'darwin' else 1024
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def describe_devices() -> str:
  """'1 x NVIDIA H100', or '2 x cpu AMD EPYC, 8 cores'."""
  kind = jax.devices()[0].device_kind
  if jax.default_backend() == 'cpu':
    kind = f'cpu {processor()}, {os.cpu_count()} cores'
  return f'{jax.device_count()} x {kind}'


@functools.cache
def processor() -> str:
  """The model of the processor."""
  info = pathlib.Path('/proc/cpuinfo')
  lines = info.read_text().splitlines() if info.exists() else []
  models = [line.partition(': ')[2] for line in lines if line.startswith('model name')]
  return models[0] if models else platform.machine()
