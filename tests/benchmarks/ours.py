"""Our side of the benchmarks: training steps as `gen_jax.training.loop` compiles them, samples as evaluation does."""

import math
import pathlib
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import rows, serve
from gen_jax.app import memory
from gen_jax.app.benchmark import device_peaks, process_peak, processor
from gen_jax.build import Task
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.samples import draw_samples
from gen_jax.networks.convolution import convolve
from gen_jax.training import loop
from gen_jax.training.compiled import cache_hits
from gen_jax.training.metrics import check_finite
from gen_jax.training.state import evaluated_variables
from gen_jax.training.stopwatch import Stopwatch

EXPORTED = 8_192  # images at most that PyTorch trains on


class Training:
  """A run from its first step on, without checkpoints and files."""

  def __init__(self, task: Task):
    self._run_steps, inputs = loop.open_stage(task, 0, Stopwatch())
    self._inputs, self._longest = next(inputs), task.config.steps_per_dispatch
    self.state = loop.initial_state(task)

  @property
  def parameters(self) -> int:
    return size(self.state.params)

  @property
  def cached(self) -> bool:
    return self._run_steps.cached

  def window(self, count: int) -> dict[str, jax.Array]:
    """Dispatches `count` steps -> their metrics [longest], of which the first `count` are filled."""
    self.state, history = self._run_steps(self.state, self._inputs, count)
    return history

  def run(self, seconds: float, expected_ms: float) -> float:
    """Milliseconds a step, of about so many seconds in windows as `loop.run` has them, metrics read one behind."""
    count = min(self._longest, max(1, round(1e3 * seconds / expected_ms)))
    begin, windows, pending = time.perf_counter(), 0, None
    while windows == 0 or time.perf_counter() - begin < seconds:
      history = self.window(count)
      if pending is not None:
        check(pending, count)
      pending, windows = history, windows + 1
    check(pending, count)
    return 1e3 * (time.perf_counter() - begin) / (windows * count)


def check(history: Mapping[str, jax.Array], count: int) -> None:
  """As the recorder does with each window."""
  check_finite({name: np.asarray(x)[:count] for name, x in history.items()}, 0)


class Sampling:
  """Samples of a fresh model as evaluation draws them: a batch of them stands where `Training` has a step."""

  def __init__(self, task: Task):
    state, config = loop.initial_state(task), task.config
    self._model = BoundModel(task.model, evaluated_variables(state, config.evaluated_average, config.sampler))
    self._batch_size, self.parameters, self.cached = config.batch_size, size(state.params), False

  def window(self, count: int) -> dict[str, np.ndarray]:
    """Draws `count` batches -> the mean and the deviation of each, [count]."""
    with cache_hits() as hits:
      batches = [draw_samples(self._model, self._batch_size, self._batch_size) for _ in range(count)]
    self.cached = self.cached or bool(hits)
    return {'mean': np.array([x.mean() for x in batches]), 'deviation': np.array([x.std() for x in batches])}

  def run(self, seconds: float, expected_ms: float) -> float:
    """Milliseconds a batch, of about so many seconds."""
    del expected_ms
    begin, batches = time.perf_counter(), 0
    while batches == 0 or time.perf_counter() - begin < seconds:
      check(self.window(1), 1)
      batches += 1
    return 1e3 * (time.perf_counter() - begin) / batches


def size(params: Any) -> int:
  """The number of parameters."""
  return sum(x.size for x in jax.tree.leaves(params))


class Worker:
  """The commands of `compare.py` and `gpu.py`."""

  def __init__(self):
    self._training, self._expected = None, None

  def about(self) -> dict[str, Any]:
    device = jax.devices()[0]
    versions = f'gen_jax on JAX {jax.__version__}, {jax.device_count()} {device.device_kind} device(s)'
    return {
      'rows': list(rows.ROWS),
      'experiments': list(rows.EXPERIMENTS),
      'papers': list(rows.PAPERS),
      'text': versions,
      'device': device.platform,
      'device_kind': device.device_kind,
      'processor': describe_processor(),
      'rounding': rounding(),
    }

  def export(self, row: str, path: str, precision: str = 'float32', short: bool = False) -> dict[str, int]:
    """The row's first images before `preprocess`, [N,H,W,C], as a .npy file; what else PyTorch must be told.

    Pairs of images are one with the channels of both.
    """
    made = rows.task(row, precision, short)
    index = np.arange(min(EXPORTED, made.data.size), dtype=np.int32)
    batch = made.data.finish(made.data.fetch(index))
    np.save(path, np.concatenate([batch[name] for name in made.data.features], axis=-1))
    return {'batch_size': made.config.batch_size}

  def build(self, row: str, precision: str = 'float32', short: bool = False) -> dict[str, Any]:
    """Makes and tries the model; the first step is timed from tracing to its end, without imports and data."""
    made = rows.task(row, precision, short)
    self._training = (Sampling if row in rows.SAMPLED else Training)(made)
    begin = time.perf_counter()
    jax.block_until_ready(self._training.window(1))
    first = time.perf_counter() - begin
    self._training.window(1)  # from arrays on the device, no longer on the host
    begin = time.perf_counter()
    jax.block_until_ready(self._training.window(5))
    self._expected = 1e3 * (time.perf_counter() - begin) / 5
    return {
      'parameters': self._training.parameters,
      'first_step_s': first,
      'cached': self._training.cached,
      'peak_bytes': peak_bytes(),
      'batch_size': made.config.batch_size,
      'steps': made.config.steps,
    }

  def run(self, seconds: float) -> float:
    """Milliseconds a step, or a batch of samples."""
    self._expected = self._training.run(seconds, self._expected)
    return self._expected


def peak_bytes() -> int:
  """The most memory of a GPU that this process has used; without one, its peak resident set."""
  return max(device_peaks(), default=process_peak())


def rounding() -> dict[str, str]:
  """What becomes of float32 in products and in convolutions: 'float32', or 'TF32' where 2^-12 is lost beside 1."""
  x, identity = jnp.full((2, 16, 16, 256), 1 + 2**-12), jnp.eye(256)
  kernel = jnp.zeros((3, 3, 256, 256)).at[1, 1].set(identity)
  results = {
    'products': jax.jit(jnp.matmul)(x.reshape(-1, 256), identity),
    'convolutions': jax.jit(lambda x, kernel: convolve(x, kernel, (1, 1), ((1, 1), (1, 1)), (1, 1)))(x, kernel),
  }
  return {name: 'TF32' if float(y.ravel()[0]) == 1 else 'float32' for name, y in results.items()}


def describe_processor() -> str:
  """'AMD EPYC, 512-bit vectors'."""
  info = pathlib.Path('/proc/cpuinfo')
  flags = info.read_text().split() if info.exists() else []
  bits = next((bits for flag, bits in (('avx512f', 512), ('avx2', 256)) if flag in flags), None)
  return f'{processor()}, {bits}-bit vectors' if bits else processor()


def matmul_gflops(size: int = 2_048) -> float:
  """The best rate of ten float32 products of square matrices, 10^9 operations a second."""
  x, product, best = jnp.ones((size, size)), jax.jit(jnp.matmul), math.inf
  product(x, x).block_until_ready()
  for _ in range(10):
    begin = time.perf_counter()
    product(x, x).block_until_ready()
    best = min(best, time.perf_counter() - begin)
  return 2e-9 * size**3 / best


if __name__ == '__main__':
  memory.keep_freed()  # as `launch.py` does
  worker = Worker()
  serve.serve({name: getattr(worker, name) for name in ('about', 'export', 'build', 'run')} | {'gflops': matmul_gflops})
