"""The training loop, top to bottom."""

import contextlib
import functools
import io
import pathlib
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from gen_jax import build, randomness
from gen_jax.data import stream
from gen_jax.data.dataset import Dataset
from gen_jax.errors import UserError, show
from gen_jax.evaluation.bound import Verbs
from gen_jax.evaluation.evaluate import evaluate
from gen_jax.files import write_bytes
from gen_jax.training import dispatch, parallel
from gen_jax.training.checkpoint import Checkpoints
from gen_jax.training.compiled import Compiled
from gen_jax.training.metrics import Recorder
from gen_jax.training.state import TrainState, create_state
from gen_jax.training.step import train_step, updates_per_step
from gen_jax.training.stopwatch import Stopwatch
from gen_jax.types import Batch, Model


def next_stop(step: int, config: ConfigDict) -> int:
  """The end of the window that starts at `step`: absolute multiples, so that a resumed run has the same windows."""
  periods = (config.steps_per_dispatch, config.log_every, config.eval_every, config.save_every)
  return min([config.steps] + [(step // period + 1) * period for period in periods])


def inputs_of_windows(
  config: ConfigDict, data: Dataset, updates: int, rows: np.ndarray, start: int
) -> Iterator[Mapping[str, Any]]:
  """What each window from `start` on is played with: the arrays themselves, or batches read ahead."""
  if data.arrays is not None:
    arrays = parallel.replicate(dict(data.arrays))
    while True:
      yield arrays
  windows, step = [], start
  while step < config.steps:
    windows.append((step, next_stop(step, config)))
    step = windows[-1][1]
  streamed = dispatch.streamed_inputs(
    data, config.seed, rows, config.batch_size, updates, config.data.workers, windows
  )
  # two windows are made and on their way to the devices while others are played
  yield from stream.ahead(parallel.split_over_devices(window) for window in streamed)


def compiled_steps(
  config: ConfigDict, data: Dataset, game: Model, optimizers: Mapping[str, optax.GradientTransformation]
) -> Callable:
  """`play(state, inputs, count, rows)` on all devices."""
  one_step = functools.partial(
    train_step,
    model=game,
    optimizers=optimizers,
    preprocess=build.preprocessor(config, data, train=True),
    rng=jax.random.fold_in(randomness.key(config.seed), 1),
    ema=config.ema_decay,
  )
  batch_of = batches_of(config, data, updates_per_step(game))
  play = dispatch.several_steps(one_step, batch_of, config.steps_per_dispatch)
  return parallel.data_parallel(play, streamed=data.arrays is None)


def batches_of(config: ConfigDict, data: Dataset, updates: int) -> Callable[..., Batch]:
  """(inputs, step, i, rows) -> the raw batches of one step, made inside the compiled loop."""
  if data.arrays is None:
    return dispatch.streamed_batch(data)
  return dispatch.resident_batch(data, config.seed, config.batch_size, updates)


def fresh_state(
  config: ConfigDict, data: Dataset, game: Model, optimizers: Mapping[str, optax.GradientTransformation]
) -> TrainState:
  """The state at step 0; under `jax.eval_shape` its shapes, which is what restoring needs."""
  batch = build.example_batch(data, build.preprocessor(config, data, train=False), rows=2)
  key = jax.random.fold_in(randomness.key(config.seed), 0)
  return create_state(game, optimizers, key, batch, averages=config.ema_decay > 0)


def initial_state(
  config: ConfigDict, data: Dataset, game: Model, optimizers: Mapping[str, optax.GradientTransformation]
) -> TrainState:
  """`fresh_state` on the host, made by one program."""
  # it runs once, so on a processor it is not worth what LLVM would spend on it: a quarter of the time to compile
  quick = {'xla_backend_optimization_level': 0} if jax.default_backend() == 'cpu' else None
  fresh = jax.jit(functools.partial(fresh_state, config, data, game, optimizers), compiler_options=quick)
  return parallel.to_host(fresh())


@contextlib.contextmanager
def traced_to(folder: pathlib.Path) -> Iterator[None]:
  """Writes a trace of what happens inside, and says where it is."""
  with jax.profiler.trace(str(folder)):
    yield
  if parallel.is_main():
    show(f'profile of one dispatch in {folder}: tensorboard --logdir={folder}')


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
  """Collects SIGTERM and SIGINT instead of dying of them; a second one is obeyed at once."""
  received, previous = [], {}

  def restore():
    for name, handler in previous.items():
      signal.signal(name, handler)

  def note(number, frame):
    del frame
    received.append(number)
    restore()

  for name in (signal.SIGTERM, signal.SIGINT):
    previous[name] = signal.signal(name, note)
  try:
    yield received
  finally:
    restore()


def keep_fixed_noise(workdir: pathlib.Path, step: int, samples: np.ndarray) -> None:
  """What fixed noise has become at a step -> WORKDIR/fixed_noise/STEP.npy, which the figures show over time."""
  file = io.BytesIO()
  np.save(file, samples)
  write_bytes(workdir / 'fixed_noise' / f'{step:09d}.npy', file.getvalue())


def train(config: ConfigDict, workdir: pathlib.Path, watch: Stopwatch | None = None) -> tuple[TrainState, bool]:
  """Trains from the newest checkpoint of `workdir`, or from the start, to `config.steps`; `watch` times the start-up.

  Returns the state on the host, and whether all steps were done: False after SIGTERM or SIGINT, which save first.
  Raises UserError where a metric is not finite, or where no checkpoint is whole.
  """
  watch = watch or Stopwatch()
  rows = parallel.local_rows(config.batch_size)
  data, validation = build.dataset(config, 'train'), build.dataset(config, 'validation')
  game = build.model(config, data)
  optimizers = build.optimizers(config, game)
  watch.lap('data')
  play = Compiled(compiled_steps(config, data, game, optimizers), rows, data.arrays is None, watch)

  with contextlib.ExitStack() as stack:
    checkpoints = stack.enter_context(contextlib.closing(Checkpoints.of(config, workdir)))
    if checkpoints.steps():
      shapes = jax.eval_shape(functools.partial(fresh_state, config, data, game, optimizers))
      state = checkpoints.restore_latest(shapes)
      show(f'resumed at step {state.step}')
    else:
      state = initial_state(config, data, game, optimizers)
    start = step = int(state.step)
    if step > config.steps:
      raise UserError(f'{workdir} is at step {step} already, beyond config.steps={config.steps}')
    inputs = inputs_of_windows(config, data, updates_per_step(game), rows, step)
    stack.callback(inputs.close)
    recorder = Recorder(workdir, step, config.steps, config.log_every, writes=parallel.is_main())
    stack.enter_context(contextlib.closing(recorder))
    signals = stack.enter_context(stop_signals())
    watch.lap('model and state')

    second = next_stop(start, config)
    profiled = second if second < config.steps else start  # the first window warms up
    pending = None  # the window whose metrics are still on the device while the next one runs
    while step < config.steps:
      begin, step = step, next_stop(step, config)
      traced = config.profile and begin == profiled
      with traced_to(workdir / 'profile') if traced else contextlib.nullcontext():
        state, history = play(state, next(inputs), step - begin)
        if traced or parallel.wait_between_dispatches():
          jax.block_until_ready(history)
      if pending:
        recorder.window(*pending)
      pending = (begin, step, history)

      stopped = parallel.any_process(bool(signals))
      validates = step == config.steps or step % config.eval_every == 0
      if stopped or validates or step % config.save_every == 0:
        recorder.window(*pending)  # nothing is saved before its metrics are known to be finite
        pending, found = None, {}
        saved = parallel.to_host(state)
        if validates:
          terms = evaluate(config, Verbs(game, saved), validation, config.validation_examples)
          found = {f'validation/{name}': value for name, value in terms.items() if isinstance(value, float)}
          if 'fixed_noise' in terms and parallel.is_main():
            keep_fixed_noise(workdir, step, terms['fixed_noise'])
          recorder.validation(step, found)
        checkpoints.save(saved, found)
      if stopped:
        break
    return parallel.to_host(state), step == config.steps
