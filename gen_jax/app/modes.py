"""What launch.py can do with a config or with a run: its modes, beside every figure of `gen_jax.figures`."""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from gen_jax import build, figures, runs
from gen_jax.app import check, cluster, compilation_cache, memory
from gen_jax.app.benchmark import measure
from gen_jax.app.results import PROTOCOL, describe_evaluation, explanations, table_of
from gen_jax.app.translate import translate as translate
from gen_jax.data.record import Record, describe
from gen_jax.diffusion.settings import COLLECTION, WORSE
from gen_jax.errors import Interrupted, UserError, show
from gen_jax.evaluation import evaluate as evaluate_lib
from gen_jax.figures import write
from gen_jax.figures.figure import CHECKPOINT, TRUST, Flag, mode
from gen_jax.files import check_writable, expanded, save_arrays, write_bytes
from gen_jax.plots import canvas, curves
from gen_jax.plots import report as report_lib
from gen_jax.runs.data import check_data
from gen_jax.runs.run import Run, read_evaluation
from gen_jax.runs.workdir import as_begun, check_folder, check_same, claim_workdir, load_config, workdir_lock
from gen_jax.schedules import step_variables
from gen_jax.training import loop, parallel
from gen_jax.training.metrics import read_metrics
from gen_jax.training.stopwatch import Stopwatch

TIMEOUT = 300
OF_TRAINING = {  # flags of the modes that several processes share
  'distributed': Flag(None, "'auto' on a cluster, or ADDRESS:PORT,PROCESSES,ID; to train, and to benchmark", type=str),
  'process_timeout': Flag(
    None, f'seconds to wait for a process that does not come, or does not answer; {TIMEOUT} by default', 1, type=int
  ),
}
OF_RUNS = {'checkpoint': CHECKPOINT}  # flags of every mode on a run


@mode('trains or resumes; then evaluation, figures, report', of_run=False)
def train(config: ConfigDict, workdir: str | pathlib.Path, watch: Stopwatch | None = None) -> Run:
  """Trains or resumes; then evaluates, makes every figure that the model has methods for, and writes the report.

  Args:
    config: all keys at their present names, as `arguments.parse` and `gen_jax.train` give it.
    workdir: a new folder, or that of a run of the same config, which goes on.
    watch: times what comes before the first step.

  Returns:
    The finished run.

  Raises:
    UserError: the config cannot work; the folder holds something else; a metric is not finite.
    Interrupted: a signal has stopped the run, which has been saved.
  """
  watch, workdir = watch or Stopwatch(), expanded(workdir)
  config = as_begun(workdir, config)
  check.check(config)
  watch.lap('data')
  if not parallel.is_main():
    return train_and_show(config, workdir, watch)
  check_folder(workdir)
  with workdir_lock(workdir):
    show_data(config, claim_workdir(workdir, config))
    return train_and_show(config, workdir, watch)


def show_data(config: ConfigDict, record: Record) -> None:
  """Says what was read, and what the model sees of it."""
  for line in (*describe(record), *build.describe_changes(config, build.dataset(config, 'train'))):
    show(line)


def train_and_show(config: ConfigDict, workdir: pathlib.Path, watch: Stopwatch) -> Run:
  """What every process does of `train`; only the main one shows and writes."""
  state, stopped_by = loop.run(lambda step: build.task(config, step), workdir, watch)
  if stopped_by:
    raise Interrupted(stopped_by, f'stopped and saved at step {state.step}: the same command resumes')
  run = runs.load(workdir, 'best', config)  # on every process, as opening checkpoints synchronizes them
  if parallel.is_main():
    show_written(evaluate(run))
    write.write_automatic_figures(figures.all_figures().values(), run)
    show_written(report(run))
  return run


@mode(
  'times the training step of --config, or of a run: a table, and one line of JSON',
  of_run=False,
  writes=False,
  flags={'benchmark_steps': Flag(200, 'how many steps are timed, rounded up to dispatches', lower_bound=1)},
)
def benchmark(config: ConfigDict, workdir: pathlib.Path, watch: Stopwatch, benchmark_steps: int = 200) -> None:
  """Times at least `benchmark_steps` training steps -> a table, and one line of JSON after it; writes no file."""
  del workdir
  check.check(config)
  watch.lap('data')
  timing = measure(config, benchmark_steps, watch)
  if parallel.is_main():
    print(timing.table())
    print(json.dumps(timing.summary()))


@mode('evaluates on the test split: evaluation.json')
def evaluate(run: Run) -> list[pathlib.Path]:
  """The evaluators on the test split -> evaluation.json, and a table; arrays -> evaluation.npz, and their figures.

  Returns the files that it wrote.
  """
  config = run.config
  check.check_evaluators(config, run.module, run.source)
  names = evaluate_lib.as_tuple(config.evals) + evaluate_lib.as_tuple(config.final_evals)
  results = evaluate_lib.run(names, run.bound(), run.source)
  arrays = {name: results.pop(name) for name in list(results) if isinstance(results[name], np.ndarray)}
  path, step, average = run.workdir / 'evaluation.json', int(run.state.step), run.average
  known = read_evaluation(path)
  examples = min(config.test_examples or run.source.data.size, run.source.data.size)
  protocol = {'step': step, 'split': 'test', 'examples': examples, 'binarize': config.data.binarize, 'average': average}
  protocol |= {'sampler': run.sampling} if run.sampling else {}
  same = known.get('examples') == examples and bool(run.evaluation())
  table = (known if same else {}) | protocol | results
  write_bytes(path, (json.dumps(table, indent=2) + '\n').encode())
  paths = [path]
  if arrays:
    known = run.arrays()
    known = known if same and known.get('examples') == examples else {}
    paths.append(run.workdir / 'evaluation.npz')
    own = {'step': step, 'examples': examples, 'average': average, 'sampler': run.sampling}
    save_arrays(paths[-1], known | own | arrays)
    paths += write.write_figures_of_arrays(figures.all_figures().values(), run, arrays)
  print(f'{run.workdir} at step {step}, {examples} test examples')
  print(table_of(results, explanations(run, results)))
  return paths


@mode('config, metrics and figures in one file: report.html')
def report(run: Run) -> list[pathlib.Path]:
  """Training curves, and everything in one file that opens from disk: figures/curves.png, report.html; these files."""
  path, plots = run.workdir / 'report.html', run.workdir / 'figures' / write.CURVES
  records, known = read_metrics(run.workdir / 'metrics.jsonl'), read_evaluation(run.workdir / 'evaluation.json')
  scores = {name: value for name, value in known.items() if name not in PROTOCOL}
  recorded = {curves.split_and_metric(name)[1] for record in records for name in record}
  explained = explanations(run, dict.fromkeys([*scores, *sorted(recorded)]))
  panels = {name: canvas.png(figure) for name, figure in curves.panel_figures(records, explained).items()}
  write_bytes(plots, curves.tile_panels(list(panels.values())))
  report_lib.write_report(
    path,
    title=run.config.experiment,
    about=f'{type(run.module).__name__} on {run.config.data.name}',
    command=f'python launch.py --config={run.workdir}/config.json --workdir=NEW',
    config=json.loads(run.config.to_json()),
    scores=scores,
    scores_note=describe_evaluation(known),
    explained=explained,
    best=run.config.best,
    records=records,
    panels=panels,
    figures=write.figures_of(run.workdir),
    sounds=write.sounds_of(run.workdir),
  )
  return [path, plots]


@mode('the parameters that evaluation uses, as safetensors with flat names: parameters.safetensors')
def export(run: Run) -> list[pathlib.Path]:
  """{'params/encoder/Dense_0/kernel': array, 'batch_stats/...': array} -> WORKDIR/parameters.safetensors.

  Of the averaged parameters where there are any; the step and the name of the average stand in the file's metadata.
  """
  from flax.traverse_util import flatten_dict
  from safetensors.numpy import save

  of_use = {*step_variables(0), COLLECTION, WORSE}  # what a model is applied at and with, and has not learned
  variables = {name: tree for name, tree in run.variables.items() if name not in of_use}
  tensors = {name: np.asarray(array) for name, array in flatten_dict(variables, sep='/').items()}
  average = run.average or 'none'
  path = run.workdir / 'parameters.safetensors'
  write_bytes(path, save(tensors, {'step': str(int(run.state.step)), 'average': average}))
  print(f'{len(tensors)} arrays, {sum(x.size for x in tensors.values()):,} numbers; average: {average}')
  return [path]


def all_modes() -> dict[str, Callable]:
  """{name: function} of what stands here, then of every figure."""
  here = {name: value for name, value in globals().items() if hasattr(value, 'of_run')}
  return {**here, **figures.all_figures()}


def flags_of(function: Callable) -> dict[str, Flag]:
  """{name: flag} of all that a mode takes."""
  return {'trust_workdir': TRUST, **(OF_RUNS if function.of_run else OF_TRAINING), **function.flags}


def run_mode(function: Callable, arguments: flags.FlagValues, config: ConfigDict, watch: Stopwatch) -> None:
  """Runs a mode with the flags that it takes; `watch` times the start-up."""
  workdir = expanded(arguments.workdir)
  options = {name: arguments[name].value for name in function.flags}
  memory.keep_freed()
  if arguments.compilation_cache:
    compilation_cache.turn_on()
  else:
    compilation_cache.turn_off()
  if not function.of_run:
    spec, timeout = arguments.distributed, arguments.process_timeout or TIMEOUT
    if arguments.process_timeout and not spec:
      raise UserError(f'--process_timeout={timeout}: is of several processes, --distributed={cluster.FORM}')
    with cluster.joined(spec, timeout) if spec else contextlib.nullcontext():
      find_devices()
      function(config, workdir, watch, **options)
    return
  find_devices()
  config = as_begun(workdir, config)
  recorded = load_config(workdir)
  check_same(workdir, recorded, config)
  check.check_keys(config)
  if config.data.name != recorded.data.name:  # what is named is looked at, though the mode may not need it
    check_data(workdir, config)
  check_writable(workdir)
  run = runs.load(workdir, arguments.checkpoint, config)
  run_on(function, run, options)


def find_devices() -> None:
  """Starts JAX on its devices. UserError where there are none of the kind that is asked for."""
  try:
    jax.devices()
  except Exception as error:  # RuntimeError, AssertionError and others, by what is missing
    asked = os.environ.get('JAX_PLATFORMS', '')
    reason = f'{type(error).__name__}: {" ".join(str(error).split())[:200]}'.rstrip(': ')
    remedy = 'unset it to use what there is' if asked else 'JAX_PLATFORMS=cpu uses the processor'
    raise UserError(f'JAX finds no device for JAX_PLATFORMS={asked} ({reason}): {remedy}') from None


def run_on(function: Callable, run: Run, options: Mapping[str, Any]) -> None:
  """Runs a mode on a run that is such as it needs, says what it wrote, and renews a report that shows it."""
  write.check_needs(function, run)
  is_figure = hasattr(function, 'place')
  written = write.write_figure(function, run, **options) if is_figure else function(run, **options)
  shown = any(path.name == 'evaluation.json' or path.parent.name == 'figures' for path in written)
  if shown and function is not report and (run.workdir / 'report.html').exists():
    written += report(run)[:1]
  show_written(written)


def show_written(paths: Iterable[pathlib.Path]) -> None:
  """A line for each file."""
  for path in paths:
    print(f'wrote {path}')
