"""Trains, evaluates and shows a generative model.

python launch.py --config=experiments/beta_vae.py                 trains, or resumes; then evaluates and draws
python launch.py --config=experiments/vae.py:mnist --config.model.latent_dim=2
python launch.py --workdir=runs/beta_vae --mode=traverse          any other mode, on a run
"""

import sys

from absl import flags

from gen_jax.app import arguments
from gen_jax.errors import UserError, nearest, show
from gen_jax.training.stopwatch import Stopwatch

MODES = {
  'train': 'trains or resumes; then all below: evaluation, figures, report',
  'evaluate': 'evaluates on the test split: evaluation.json',
  'sample': 'samples from the prior: samples.npz, figures/samples.png; or by --sampler',
  'reconstruct': 'test images and their reconstructions: figures/reconstructions.png',
  'complete': 'draws the lower halves of test images given the upper ones: figures/completions.png',
  'traverse': 'moves one latent at a time: figures/traversals_*.png',
  'interpolate': 'walks between the codes of two images: figures/interpolations.png',
  'plane': 'a 2-D latent space, encoded and decoded: figures/plane.png',
  'points': 'samples of a plane over their target, and the map of the noise: figures/points.png, transform.png',
  'progress': 'what fixed noise became in training: figures/progress.png, and as an animation',
  'neighbours': 'samples beside the training images nearest to them: figures/neighbours.png',
  'vanish': "the generator's gradient while only the discriminator learns: figures/vanishing.png",
  'compare': 'this run beside --others: figures/comparison_*.png',
  'report': 'config, metrics and figures in one file: report.html',
  'benchmark': 'times the training step of --config, or of a run: a table, and one line of JSON',
}


def define_flags() -> flags.FlagValues:
  """All flags but --config, which `arguments.parse` adds when it knows the config."""
  values = flags.FlagValues()
  flags.DEFINE_string('workdir', None, 'folder of the run; runs/NAME[-VARIANT] by default', flag_values=values)
  flags.DEFINE_string('mode', 'train', 'what to do', flag_values=values)
  flags.DEFINE_string('checkpoint', 'best', 'which checkpoint to read: best, last, or a step', flag_values=values)
  flags.DEFINE_integer('number', 64, 'how many images `sample` draws', lower_bound=1, flag_values=values)
  flags.DEFINE_integer('label', None, 'the class that `sample` draws; all in turn by default', flag_values=values)
  flags.DEFINE_integer('seed', 0, 'of the noise of `sample`', lower_bound=0, flag_values=values)
  flags.DEFINE_string(
    'sampler', 'prior', "where `sample` takes codes from: prior, or mixture, fitted to training codes",
    flag_values=values,
  )  # fmt: skip
  flags.DEFINE_integer('components', 10, 'Gaussians of --sampler=mixture', lower_bound=1, flag_values=values)
  flags.DEFINE_list('others', [], 'the workdirs that `compare` sets beside --workdir', flag_values=values)
  flags.DEFINE_integer(
    'benchmark_steps', 200, 'how many steps `benchmark` times, rounded up to dispatches', lower_bound=1,
    flag_values=values,
  )  # fmt: skip
  flags.DEFINE_boolean(
    'compilation_cache', True, 'keep compiled programs in ~/.cache/gen_jax, for the next run', flag_values=values
  )
  flags.DEFINE_string('distributed', '', "'auto' on a cluster, or ADDRESS:PORT,PROCESSES,ID", flag_values=values)
  return values


def usage(values: flags.FlagValues) -> str:
  """What --help prints."""
  config = '--config: experiments/NAME.py[:VARIANT], keys in experiments/common.py; --config.KEY=VALUE changes one'
  modes = '\n'.join(f'  {name:12} {what}' for name, what in MODES.items())
  return f'{__doc__}\n{config}\n\nmodes:\n{modes}\n\nflags:\n{values.main_module_help()}'


def main(argv: list[str]) -> int:
  """Runs one command line; the exit code: 0, or 2 after one line that says what is wrong with it."""
  watch, values = Stopwatch(), define_flags()
  if arguments.is_help(argv):
    print(usage(values))
    return 0
  try:
    config = arguments.parse(argv, values)
    if values.mode not in MODES:
      raise UserError(f'--mode={values.mode} is unknown{nearest(values.mode, MODES)}')
    from gen_jax.app import modes  # heavy: --help and mistyped flags need not wait for it

    watch.lap('imports')
    modes.run(values, config, watch)
  except UserError as error:
    show(f'error: {error}')
    return 2
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv))
