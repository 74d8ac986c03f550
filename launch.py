"""Trains, evaluates and shows a generative model.

python launch.py --config=experiments/beta_vae.py                 trains, or resumes; then evaluates and draws
python launch.py --config=experiments/vae.py:mnist --config.model.latent_dim=2
python launch.py --workdir=runs/beta_vae --mode=traverse          any other mode, on a run
"""

import sys

from gen_jax.errors import UserError, show
from gen_jax.training.stopwatch import Stopwatch


def main(argv: list[str]) -> int:
  """Runs one command line; the exit code: 0, or 2 after one line that says what is wrong with it."""
  watch = Stopwatch()
  from gen_jax.app import arguments, modes  # here, so that the time they take is counted

  watch.lap('imports')
  every = modes.all_modes()
  if arguments.is_help(argv):
    print(arguments.usage(__doc__, every))
    return 0
  try:
    function = arguments.find_mode(argv, every)
    values, config = arguments.parse(argv, function, every)
    modes.run_mode(function, values, config, watch)
  except UserError as error:
    show(f'error: {error}')
    return 2
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv))
