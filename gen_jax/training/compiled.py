"""The compiled training steps: compiled once, before the first dispatch, and never again."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from gen_jax.errors import show
from gen_jax.training import parallel
from gen_jax.training.state import TrainState
from gen_jax.training.stopwatch import Stopwatch

SMALL = 2**16  # numbers in the largest parameter; at 128 x 128 a step takes .77 of the time, at 784 x 512 as long


@contextlib.contextmanager
def cache_hits() -> Iterator[list[str]]:
  """Collects an item for every program that is read from the compilation cache."""
  events = []

  def note(event: str, **details):
    del details
    if event == '/jax/compilation_cache/cache_hits':
      events.append(event)

  jax.monitoring.register_event_listener(note)
  try:
    yield events
  finally:
    jax.monitoring.unregister_event_listener(note)


def options_for(params: Any) -> dict[str, str]:
  """Options of XLA for a training step with these parameters.

  A CPU's YNNPACK computes a small product on one core, Eigen, which is asked next, on all of them. Where one CPU is
  made several devices, these keep the cores busy.
  """
  one_cpu = jax.default_backend() == 'cpu' and jax.device_count() == 1
  if not one_cpu or max(x.size for x in jax.tree.leaves(params)) > SMALL:
    return {}
  left = 'LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION,LIBRARY_FUSION_TYPE_REDUCE'  # to YNNPACK
  return {'xla_cpu_experimental_ynn_fusion_type': left}


class Compiled:
  """`run_steps(state, inputs, count)` on all devices for one seed and these rows, compiled ahead of its first call.

  The seed is an argument of the program, so that another seed compiles nothing anew.

  Later calls with other shapes or dtypes raise TypeError, where jit would compile again without a word. `watch` gets
  what the first call spends before the first step, which is then shown.
  """

  def __init__(
    self, run_steps: Callable, seed: int, rows: np.ndarray, streamed: bool, watch: Stopwatch
  ):  # of `parallel.data_parallel`
    self._run_steps, self._seed, self._rows = run_steps, np.uint32(seed), rows
    self._streamed, self._watch = streamed, watch
    self._call = None
    self.cached = False

  def __call__(
    self, state: TrainState, inputs: Mapping[str, Any], count: int
  ) -> tuple[TrainState, dict[str, jax.Array]]:
    """The state after `count` steps, and the metrics of each."""
    if self._call is None:
      self._compile(state, inputs)
    inputs = parallel.on_all_processes(inputs, self._streamed)
    return self._call(state, inputs, self._seed, np.int32(count), self._rows)

  def _compile(self, state, inputs) -> None:
    self._watch.lap('data')
    lowered = self._run_steps.lower(state, inputs, self._seed, np.int32(0), self._rows)
    self._watch.lap('tracing')
    with cache_hits() as hits:
      self._call = lowered.compile(options_for(state.params))
    self._watch.lap('compilation')
    self.cached = bool(hits)
    self._rows = parallel.on_all_processes(self._rows, split=True)
    if parallel.is_main():
      show(f'first step after {self._watch}{" (from the cache)" if self.cached else ""}')
