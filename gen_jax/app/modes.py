"""What launch.py can do with a config or with a run: its modes, beside every figure of `gen_jax.figures`."""

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from gen_jax import build, figures, runs
from gen_jax.app import check, cluster, compilation_cache, memory
from gen_jax.app.benchmark import measure
from gen_jax.config import with_names
from gen_jax.data.record import Record, describe
from gen_jax.errors import show
from gen_jax.evaluation import evaluate as evaluate_lib
from gen_jax.figures import write
from gen_jax.figures.figure import CHECKPOINT, Flag, mode
from gen_jax.files import save_arrays, write_bytes
from gen_jax.plots import canvas, curves
from gen_jax.plots import report as report_lib
from gen_jax.runs.run import Run, read_evaluation
from gen_jax.runs.workdir import as_begun, check_same, claim_workdir, load_config, with_current_names, workdir_lock
from gen_jax.schedules import step_variables
from gen_jax.training import loop, parallel
from gen_jax.training.metrics import read_metrics
from gen_jax.training.state import evaluated_average
from gen_jax.training.stopwatch import Stopwatch


@mode('trains or resumes; then evaluation, figures, report', of_run=False)
def train(config: ConfigDict, workdir: str | pathlib.Path, watch: Stopwatch | None = None) -> Run | None:
  """Trains or resumes; then evaluates, makes every figure that the model has methods for, and writes the report.

  Args:
    config: what an experiment's `get_config()` gives.
    workdir: a new folder, or that of a run of the same config, which goes on.
    watch: times what comes before the first step.

  Returns:
    The finished run; None where a signal stopped it.

  Raises:
    UserError: the config cannot work; the folder holds something else; a metric is not finite.
  """
  watch, workdir = watch or Stopwatch(), pathlib.Path(workdir)
  config = as_begun(workdir, with_current_names(with_names(config)))  # as a script may have made it
  check.check(config)
  watch.lap('data')
  if not parallel.is_main():
    return train_and_show(config, workdir, watch)
  record = claim_workdir(workdir, config)
  with workdir_lock(workdir):
    show_data(config, record)
    return train_and_show(config, workdir, watch)


def show_data(config: ConfigDict, record: Record) -> None:
  """Says what was read, and what the model sees of it."""
  for line in (*describe(record), *build.describe_changes(config, build.dataset(config, 'train'))):
    show(line)


def train_and_show(config: ConfigDict, workdir: pathlib.Path, watch: Stopwatch) -> Run | None:
  """What every process does of `train`; only the main one shows and writes."""
  state, finished = loop.run(lambda step: build.task(config, step), workdir, watch)
  if not finished:
    if parallel.is_main():
      show(f'stopped and saved at step {state.step}: the same command resumes')
    return None
  run = runs.load(workdir, 'best', config)  # on every process, as opening checkpoints synchronizes them
  if parallel.is_main():
    evaluate(run)
    write.write_automatic_figures(figures.all_figures().values(), run)
    report(run)
  return run


@mode(
  'times the training step of --config, or of a run: a table, and one line of JSON',
  of_run=False,
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
def evaluate(run: Run) -> None:
  """The evaluators on the test split -> evaluation.json, and a table; arrays -> evaluation.npz, and their figures."""
  config = run.config
  check.check_evaluators(config, run.module, run.source)
  names = evaluate_lib.as_tuple(config.evals) + evaluate_lib.as_tuple(config.final_evals)
  results = evaluate_lib.run(names, run.model, run.source)
  arrays = {name: results.pop(name) for name in list(results) if isinstance(results[name], np.ndarray)}
  path, step = run.workdir / 'evaluation.json', int(run.state.step)
  known = read_evaluation(path)
  examples = min(config.test_examples or run.source.data.size, run.source.data.size)
  kept = known if (known.get('step'), known.get('examples')) == (step, examples) else {}
  table = kept | {'step': step, 'split': 'test', 'examples': examples, 'binarize': config.data.binarize} | results
  write_bytes(path, (json.dumps(table, indent=2) + '\n').encode())
  if arrays:
    known = run.arrays()
    known = known if known.get('examples') == examples else {}
    save_arrays(run.workdir / 'evaluation.npz', known | {'step': step, 'examples': examples} | arrays)
    write.write_figures_of_arrays(figures.all_figures().values(), run, arrays)
  print(f'{run.workdir} at step {step}, {examples} test examples; terms in nats per example')
  for name, value in results.items():
    print(f'  {name:{max(map(len, results))}}  {value if isinstance(value, str) else f"{value:10.4f}"}')


@mode('config, metrics and figures in one file: report.html')
def report(run: Run) -> None:
  """Training curves, and everything in one file that opens from disk: figures/curves.png, report.html."""
  records = read_metrics(run.workdir / 'metrics.jsonl')
  write_bytes(run.workdir / 'figures' / write.CURVES, canvas.png(curves.curves_figure(records)))
  report_lib.write_report(
    run.workdir / 'report.html',
    title=run.config.experiment,
    command=f'python launch.py --config={run.workdir}/config.json --workdir=NEW',
    config=json.loads(run.config.to_json()),
    evaluation=read_evaluation(run.workdir / 'evaluation.json'),
    records=records,
    figures=write.figures_of(run.workdir),
  )
  print(f'report: {run.workdir / "report.html"}')


@mode('the parameters that evaluation uses, as safetensors with flat names: parameters.safetensors')
def export(run: Run) -> None:
  """{'params/encoder/Dense_0/kernel': array, 'batch_stats/...': array} -> WORKDIR/parameters.safetensors.

  Of the averaged parameters where there are any; the step and the name of the average stand in the file's metadata.
  """
  from flax.traverse_util import flatten_dict
  from safetensors.numpy import save

  variables = {name: tree for name, tree in run.variables.items() if name not in step_variables(0)}
  tensors = {name: np.asarray(array) for name, array in flatten_dict(variables, sep='/').items()}
  average = evaluated_average(run.state, run.config.evaluated_average) or 'none'
  path = run.workdir / 'parameters.safetensors'
  write_bytes(path, save(tensors, {'step': str(int(run.state.step)), 'average': average}))
  print(f'{path}: {len(tensors)} arrays, {sum(x.size for x in tensors.values()):,} numbers; average: {average}')


def all_modes() -> dict[str, Callable]:
  """{name: function} of what stands here, then of every figure."""
  here = {name: value for name, value in globals().items() if hasattr(value, 'of_run')}
  return {**here, **figures.all_figures()}


def flags_of(function: Callable) -> dict[str, Flag]:
  """{name: flag} of all that a mode takes."""
  return {**function.flags, **({'checkpoint': CHECKPOINT} if function.of_run else {})}


def run_mode(function: Callable, arguments: flags.FlagValues, config: ConfigDict, watch: Stopwatch) -> None:
  """Runs a mode with the flags that it takes; `watch` times the start-up."""
  workdir = pathlib.Path(arguments.workdir)
  options = {name: arguments[name].value for name in function.flags}
  memory.keep_freed()
  if arguments.compilation_cache:
    compilation_cache.turn_on()
  else:
    compilation_cache.turn_off()
  if arguments.distributed:
    cluster.join_processes(arguments.distributed)
  if not function.of_run:
    function(config, workdir, watch, **options)
    return
  config = as_begun(workdir, config)
  check_same(workdir, load_config(workdir), config)
  check.check_keys(config)
  run_on(function, runs.load(workdir, arguments.checkpoint, config), options)


def run_on(function: Callable, run: Run, options: Mapping[str, Any]) -> None:
  """Runs a mode on a run that is such as it needs: a figure's outputs are written."""
  write.check_needs(function, run)
  if hasattr(function, 'place'):
    write.write_figure(function, run, **options)
  else:
    function(run, **options)
