"""The training loop, top to bottom."""

import contextlib
import functools
import math
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gen_jax import build, randomness
from gen_jax.build import Task
from gen_jax.data import stream
from gen_jax.data.batches import evaluation_batches
from gen_jax.errors import UserError, show
from gen_jax.evaluation import evaluate
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.source import VALIDATION_ROWS, Source
from gen_jax.files import save_arrays
from gen_jax.signals import stop_signals
from gen_jax.training import dispatch, parallel, resampling, snapshots
from gen_jax.training.carry_over import births_of_stages, carry_over
from gen_jax.training.checkpoint import Checkpoints
from gen_jax.training.compiled import Compiled
from gen_jax.training.metrics import Recorder
from gen_jax.training.state import TrainState, averaged_trees, create_state, evaluated_variables
from gen_jax.training.step import train_step, updates_per_step
from gen_jax.training.stopwatch import Stopwatch
from gen_jax.types import Batch

MEASURED_EXAMPLES, MEASURED_NUMBERS, MEASURED_BATCH = 10_000, 2**26, 500  # that a model may measure, at most


def next_stop(step: int, config: ConfigDict, until: int) -> int:
  """The end of the window that starts at `step`: absolute steps, so that a resumed run has the same windows."""
  periods = (config.steps_per_dispatch, config.log_every, config.eval_every, config.save_every)
  later = [each for each in snapshots.snapshot_steps(config) if each > step]
  return min([until] + [(step // period + 1) * period for period in periods] + later)


def longest_window(task: Task) -> int:
  """The most steps that a dispatch of the task can have."""
  return next_stop(0, task.config, task.until)


def windows_from(start: int, config: ConfigDict, until: int) -> Iterator[tuple[int, int]]:
  """(first step, step after the last) of each dispatch from `start` on."""
  while start < until:
    stop = next_stop(start, config, until)
    yield start, stop
    start = stop


def inputs_of_windows(task: Task, rows: np.ndarray, start: int) -> Iterator[Mapping[str, Any]]:
  """What each window from `start` on is trained with: the arrays themselves, or batches read ahead."""
  config, data = task.config, task.data
  if data.arrays is not None:
    arrays = parallel.replicate(dict(data.arrays))
    while True:
      yield arrays
  windows = list(windows_from(start, config, task.until))
  streamed = dispatch.streamed_inputs(
    data, config.seed, rows, config.batch_size, updates_per_step(task.model), config.data.workers, windows
  )
  # two windows are made and on their way to the devices while others are trained with
  yield from stream.read_ahead(parallel.split_over_devices(window) for window in streamed)


def compiled_steps(task: Task, births: Any = None) -> Callable:
  """`run_steps(state, inputs, seed, count, rows)` on all devices; `births` as in `train_step`."""
  update_data = resampling.update_of(task) if task.resampling else None
  run_steps = dispatch.repeat_step(one_step(task, births), batches_of(task), longest_window(task), update_data)
  return parallel.data_parallel(run_steps, task.data.arrays is None, task.config.data_parallel)


def one_step(
  task: Task, births: Any = None
) -> Callable[[TrainState, Batch, jax.Array], tuple[TrainState, dict[str, jax.Array]]]:
  """(state, batch, seed) -> the state after a step of the task, and its metrics."""

  def step(state: TrainState, batch: Batch, seed: jax.Array) -> tuple[TrainState, dict[str, jax.Array]]:
    """All noise of the training comes from the second key of the seed, the initial parameters from the first."""
    return train_step(
      state,
      batch,
      model=task.model,
      optimizers=task.optimizers,
      preprocess=task.preprocess,
      rng=jax.random.fold_in(randomness.key(seed), 1),
      averages=task.averages,
      births=births,
    )

  return step


def batches_of(task: Task) -> Callable[..., Batch]:
  """(inputs, state, seed, i, rows) -> the raw batches of one step, made inside the compiled loop."""
  if task.data.arrays is None:
    return dispatch.streamed_batch(task.data)
  return dispatch.resident_batch(task.data, task.config.batch_size, updates_per_step(task.model))


def fresh_state(task: Task) -> TrainState:
  """The state at step 0; under `jax.eval_shape` its shapes, which is what restoring needs."""
  preprocess = build.preprocessor(task.config, task.data, train=False)
  batch = build.example_batch(task.data, preprocess, rows=2)
  key = jax.random.fold_in(randomness.key(task.config.seed), 0)
  return create_state(task.model, task.optimizers, key, batch, task.averages, task.data.initial_state)


def shapes_of_state(task: Task) -> TrainState:
  """What `fresh_state` gives, without its numbers."""
  return jax.eval_shape(functools.partial(fresh_state, task))


def initial_state(task: Task) -> TrainState:
  """`fresh_state` on the host, made by one program."""
  # it runs once, so on a processor it is not worth what LLVM would spend on it: a quarter of the time to compile
  quick = {'xla_backend_optimization_level': 0} if jax.default_backend() == 'cpu' else None
  fresh = jax.jit(functools.partial(fresh_state, task), compiler_options=quick)
  return with_measured_data(task, parallel.to_host(fresh()))


def with_measured_data(task: Task, state: TrainState) -> TrainState:
  """The state with what the model keeps of the training data, such as their mean, where it asks for it."""
  if not hasattr(task.model, 'measure_data'):
    return state
  process = build.preprocessor(task.config, task.data, train=False)
  most = max(MEASURED_BATCH, MEASURED_NUMBERS // math.prod(build.shape_of_images(task.config, task.data)))
  batches = evaluation_batches(task.data, process, MEASURED_BATCH, min(MEASURED_EXAMPLES, most))
  examples = np.concatenate([np.asarray(batch['image'])[np.asarray(batch['mask']) > 0] for batch in batches])
  return state._replace(variables={**state.variables, **task.model.measure_data(examples)})


@contextlib.contextmanager
def traced_to(folder: pathlib.Path) -> Iterator[None]:
  """Writes a trace of what happens inside, and says where it is."""
  with jax.profiler.trace(str(folder)):
    yield
  if parallel.is_main():
    show(f'profile of one dispatch in {folder}: tensorboard --logdir={folder}')


def validate(task: Task, state: TrainState, workdir: pathlib.Path) -> dict[str, float]:
  """{'validation/NAME': value} of the evaluators on the validation split; arrays go to WORKDIR/evaluations/STEP.npz."""
  config = task.config
  source = Source.of(config, build.dataset(config, 'validation'), config.validation_examples, VALIDATION_ROWS)
  model = BoundModel(task.model, evaluated_variables(state, config.evaluated_average, config.sampler))
  results = evaluate.run(config.evals, model, source)
  arrays = {name: value for name, value in results.items() if isinstance(value, np.ndarray)}
  if arrays and parallel.is_main():
    save_arrays(workdir / 'evaluations' / f'{int(state.step):09d}.npz', arrays)
  return {f'validation/{name}': value for name, value in results.items() if isinstance(value, float)}


def births_at(task_of: Callable[[int], Task], step: int) -> Any:
  """The step at which each leaf was added of what is averaged at a step; None in the first stage."""
  starts = [0]
  while (until := task_of(starts[-1]).until) <= step < task_of(step).until:
    starts.append(until)
  if len(starts) == 1:
    return None
  return births_of_stages((start, averaged_shapes(task_of(start))) for start in starts)


def averaged_shapes(task: Task) -> dict[str, Any]:
  """The shapes of what an average of the parameters is of."""
  state = shapes_of_state(task)
  return averaged_trees(task.model, state.params, state.variables)


def open_stage(
  task: Task, step: int, watch: Stopwatch, births: Any = None
) -> tuple[Compiled, Iterator[Mapping[str, Any]]]:
  """(`run_steps(state, inputs, count)`, what it takes for each window from `step` on) of a stage."""
  rows = parallel.local_rows(task.config.batch_size)
  run_steps = Compiled(compiled_steps(task, births), task.config.seed, rows, task.data.arrays is None, watch)
  return run_steps, inputs_of_windows(task, rows, step)


def run(
  task_of: Callable[[int], Task], workdir: pathlib.Path, watch: Stopwatch | None = None
) -> tuple[TrainState, int]:
  """Trains from the newest checkpoint of `workdir`, or from the start, to `config.steps`.

  Args:
    task_of: step -> the task at that step, which holds until `task.until`; then the next stage begins. The state at a
      step has the structure of the task at that step.
    workdir: checkpoints, metrics and evaluations are written there.
    watch: times the start-up; each later stage has its own.

  Returns:
    The state on the host; and 0 where all steps were done, else the number of the signal, SIGTERM or SIGINT, which
    has stopped one of the processes: that saves first.

  Raises:
    UserError: a metric is not finite; no checkpoint is whole, or one is of another model.
  """
  watch = watch or Stopwatch()
  watch.lap('data')
  with contextlib.ExitStack() as stack:
    checkpoints = stack.enter_context(contextlib.closing(Checkpoints.of(task_of(0).config, workdir)))
    task, state = restore_or_begin(task_of, checkpoints)
    config, start = task.config, int(state.step)
    step = start
    if step > config.steps:
      raise UserError(f'{workdir} is at step {step} already, beyond config.steps={config.steps}')
    if step < config.steps:
      checkpoints.check_space(state)
    snapshots.remove_later(workdir, step)
    snapshot_steps = snapshots.snapshot_steps(config)
    run_steps, inputs = open_stage(task, step, watch, births_at(task_of, step))
    stack.callback(lambda: inputs.close())
    saved_at = step if checkpoints.steps() else None
    recorder = Recorder(workdir, step, config.steps, config.log_every, parallel.is_main(), saved_at)
    stack.enter_context(contextlib.closing(recorder))
    signals = stack.enter_context(stop_signals())
    watch.lap('model and state')

    second = next_stop(start, config, task.until)
    profiled = second if second < config.steps else start  # the first window warms up
    stopped_by, pending = 0, None  # the window whose metrics are still on the device while the next one runs
    while step < config.steps:
      begin, step = step, next_stop(step, task.config, task.until)
      traced = config.profile and begin == profiled
      with traced_to(workdir / 'profile') if traced else contextlib.nullcontext():
        state, history = run_steps(state, next(inputs), step - begin)
        if traced or parallel.wait_between_dispatches():
          jax.block_until_ready(history)
      if pending:
        recorder.window(*pending)
      pending = (begin, step, history)

      stopped_by = parallel.highest(signals[0] if signals else 0)
      grows = step == task.until < config.steps
      validates = grows or step == config.steps or step % config.eval_every == 0
      if stopped_by or validates or step in snapshot_steps or step % config.save_every == 0:
        recorder.window(*pending)  # nothing is saved before its metrics are known to be finite
        pending, validation = None, {}
        saved = parallel.to_host(state)
        if validates:
          validation = validate(task, saved, workdir)
          recorder.validation(step, validation)
        if grows:  # what is saved at a step has the structure of the task at that step
          watch = Stopwatch()
          inputs.close()
          task = task_of(step)
          state = saved = carry_over(saved, initial_state(task))
          watch.lap('model and state')
          run_steps, inputs = open_stage(task, step, watch, births_at(task_of, step))
          recorder.begin_stage(step)
        if step in snapshot_steps:  # before the checkpoint, so that none stands without what came before it
          checkpoints.finish()
          snapshots.save_snapshot(saved, config, workdir)
        checkpoints.save(saved, validation)
        recorder.saved = step
      if stopped_by:
        break
    return parallel.to_host(state), stopped_by if step < config.steps else 0


def restore_or_begin(task_of: Callable[[int], Task], checkpoints: Checkpoints) -> tuple[Task, TrainState]:
  """The newest whole checkpoint, or the state at step 0, on the host; and the task at its step."""
  if not checkpoints.steps():
    return task_of(0), initial_state(task_of(0))
  state = checkpoints.restore_latest(lambda step: shapes_of_state(task_of(step)))
  if parallel.is_main():
    show(f'resumed at step {state.step}')
  return task_of(int(state.step)), state
