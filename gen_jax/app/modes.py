"""What launch.py can do with a config and a workdir."""

import json
import pathlib

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from gen_jax import runs
from gen_jax.app import check, compilation_cache, memory
from gen_jax.app.benchmark import measure
from gen_jax.errors import UserError, show
from gen_jax.evaluation.evaluate import evaluate as evaluators
from gen_jax.figures import comparison, drawing, drawing_games
from gen_jax.files import save_arrays, write_bytes
from gen_jax.plots import curves, report
from gen_jax.runs.run import Run, read_evaluation
from gen_jax.runs.workdir import check_same, claim_workdir, load_config, workdir_lock
from gen_jax.training import parallel
from gen_jax.training.loop import train as training_loop
from gen_jax.training.metrics import read_metrics
from gen_jax.training.stopwatch import Stopwatch

CAPTIONS = {  # in the order of the report; by the pattern of the file's name
  'reconstructions': 'Test images and their reconstructions',
  'samples': 'Samples from the prior',
  'completions': 'Test images completed from their upper halves',
  'samples_mixture': 'Samples from a mixture of Gaussians fitted to the codes of training images',
  'samplers': 'Codes from N(0, I) beside those from the mixture, decoded',
  'traversals_*': 'One latent at a time',
  'interpolations': 'Walks between the codes of two test images, straight and along the sphere',
  'plane': 'The latent plane: codes of the test set, and what the plane decodes to',
  'factors': 'How much each latent tells of each factor',
  'responses': 'How each latent responds to each factor',
  'points': 'Samples over their target',
  'surface': 'What the discriminator says of every place, under real and generated points',
  'transform': 'The plane of the noise, and where the generator sends it',
  'progress': 'What the same noise becomes over training',
  'animation': 'The same, as an animation',
  'neighbours': 'Samples, and the training images nearest to each',
  'vanishing': "The generator's gradient while only the discriminator learns",
  'comparison_*': 'Beside other runs',
}


def join_processes(spec: str) -> None:
  """Makes this process one of several: 'auto' where the cluster says which, else ADDRESS:PORT,PROCESSES,ID."""
  try:
    if spec == 'auto':
      jax.distributed.initialize()
    else:
      address, processes, index = spec.split(',')
      jax.distributed.initialize(address, int(processes), int(index))
  except (ValueError, RuntimeError) as error:
    reason = str(error).splitlines()[0]
    raise UserError(f"--distributed={spec}: {reason}; write 'auto' or ADDRESS:PORT,PROCESSES,ID") from None


def train(config: ConfigDict, workdir: pathlib.Path, watch: Stopwatch | None = None) -> None:
  """Trains or resumes; then evaluates, draws every figure that the model has verbs for, and writes the report.

  `watch` times what comes before the first step.
  """
  watch = watch or Stopwatch()
  check.check(config)
  watch.lap('data')
  if not parallel.is_main():
    train_and_show(config, workdir, watch)
    return
  claim_workdir(workdir, config)
  with workdir_lock(workdir):
    train_and_show(config, workdir, watch)


def train_and_show(config: ConfigDict, workdir: pathlib.Path, watch: Stopwatch) -> None:
  """What every process does of `train`; only the main one shows and writes."""
  state, done = training_loop(config, workdir, watch)
  if not done:
    if parallel.is_main():
      show(f'stopped and saved at step {state.step}: the same command resumes')
    return
  run = runs.load(workdir, 'best', config)  # on every process, as opening checkpoints synchronises them
  if not parallel.is_main():
    return
  evaluate(run)
  for draw in drawing.possible(run) + drawing_games.possible(run):
    draw(run)
  write_report(run)


def benchmark(config: ConfigDict, steps: int, watch: Stopwatch) -> None:
  """Times at least `steps` training steps -> a table, and one line of JSON after it; writes no file."""
  check.check(config)
  watch.lap('data')
  timing = measure(config, steps, watch)
  if parallel.is_main():
    print(timing.table())
    print(json.dumps(timing.summary()))


def evaluate(run: Run) -> None:
  """The evaluators on the test split -> evaluation.json, and a table; arrays -> evaluation.npz."""
  check.check_evaluators(run.config, run.test, run.model)
  found = evaluators(run.config, run.verbs(), run.test, run.config.test_examples, final=True)
  each = {name: found.pop(name) for name in list(found) if isinstance(found[name], np.ndarray)}
  path, step = run.workdir / 'evaluation.json', int(run.state.step)
  known = read_evaluation(path)
  examples = min(run.config.test_examples or run.test.size, run.test.size)
  kept = known if (known.get('step'), known.get('examples')) == (step, examples) else {}
  table = kept | {'step': step, 'split': 'test', 'examples': examples, 'binarize': run.config.data.binarize} | found
  write_bytes(path, (json.dumps(table, indent=2) + '\n').encode())
  if each:
    arrays = run.arrays()
    arrays = arrays if arrays.get('examples') == examples else {}
    save_arrays(run.workdir / 'evaluation.npz', arrays | {'step': step, 'examples': examples} | each)
  if 'factor_information' in each:
    drawing.draw_factors(run)
  print(f'{run.workdir} at step {step}, {examples} test examples; terms in nats per example')
  for name, value in found.items():
    print(f'  {name:{max(map(len, found))}}  {value if isinstance(value, str) else f"{value:10.4f}"}')


def write_report(run: Run) -> None:
  """Training curves, and everything in one file that opens from disk: figures/curves.png, report.html."""
  folder, records = run.workdir / 'figures', read_metrics(run.workdir / 'metrics.jsonl')
  curves.curves(records, folder / 'curves.png')
  report.write_report(
    run.workdir / 'report.html',
    title=run.config.experiment,
    command=f'python launch.py --config={run.workdir}/config.json --workdir=NEW',
    config=json.loads(run.config.to_json()),
    evaluation=read_evaluation(run.workdir / 'evaluation.json'),
    records=records,
    figures=[(text, path) for name, text in CAPTIONS.items() for path in sorted(folder.glob(f'{name}.png'))],
  )
  print(f'report: {run.workdir / "report.html"}')


MODES = {
  'evaluate': evaluate,
  'sample': drawing.sample,
  'reconstruct': drawing.reconstruct,
  'complete': drawing.complete,
  'traverse': drawing.traverse,
  'interpolate': drawing.interpolate,
  'plane': drawing.draw_plane,
  'compare': comparison.compare,
  'points': drawing_games.draw_plane_of_points,
  'progress': drawing_games.draw_progress,
  'neighbours': drawing_games.draw_neighbours,
  'vanish': drawing_games.draw_vanishing,
  'report': write_report,
}


def run(arguments: flags.FlagValues, config: ConfigDict, watch: Stopwatch) -> None:
  """Runs --mode with the flags that it takes; `watch` times the start-up."""
  workdir = pathlib.Path(arguments.workdir)
  memory.keep_freed()
  if arguments.compilation_cache:
    compilation_cache.turn_on()
  else:
    compilation_cache.turn_off()
  if arguments.distributed:
    join_processes(arguments.distributed)
  if arguments.mode == 'train':
    train(config, workdir, watch)
    return
  if arguments.mode == 'benchmark':
    benchmark(config, arguments.benchmark_steps, watch)
    return
  check_same(workdir, load_config(workdir), config)
  check.check_values(config)
  opened = runs.load(workdir, arguments.checkpoint, config)
  options = {
    'sample': lambda: {key: arguments[key].value for key in ('number', 'label', 'seed', 'sampler', 'components')},
    'compare': lambda: {'others': [runs.load(other, arguments.checkpoint) for other in arguments.others]},
  }
  MODES[arguments.mode](opened, **options.get(arguments.mode, dict)())
