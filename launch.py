"""Trains, evaluates and shows a generative model.

python launch.py --config=experiments/beta_vae.py                 trains, or resumes; then evaluates and draws
python launch.py --config=experiments/vae.py:mnist --config.model.latent_dim=2
python launch.py --workdir=runs/beta_vae --mode=traverse          any other mode, on a run
"""

import contextlib
import os
import signal
import sys
import traceback

from gen_jax.errors import UserError, is_out_of_memory, refused_by_system, show
from gen_jax.signals import sigterm_interrupts
from gen_jax.training.stopwatch import Stopwatch

SIGPIPE_CODE = 128 + 13


def main(argv: list[str]) -> int:
  """Runs one command line; the exit code: 0, 2 after one line that says what is wrong, 130 and 143 after a signal."""
  try:
    with sigterm_interrupts():
      run(argv)
      sys.stdout.flush()
  except UserError as error:
    show(f'error: {error}')
    return 2
  except BrokenPipeError:  # nobody reads on, as after `| head`
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would say so when it exits
    return SIGPIPE_CODE
  except OSError as error:
    show(f'error: {refused_by_system(error)}')
    return 2
  except Exception as error:
    if not is_out_of_memory(error):
      raise
    show('error: out of memory: lower --config.batch_size=; more under "Out of memory?" in README.md')
    return 2
  except KeyboardInterrupt as error:
    show(str(error) or 'interrupted: what has been saved is kept, and the same command goes on')
    return 128 + getattr(error, 'number', signal.SIGINT)
  return 0


def run(argv: list[str]) -> None:
  """Does what a command line asks for."""
  watch = Stopwatch()
  try:
    from gen_jax.app import arguments, modes  # here, so that the time they take is counted
  except ModuleNotFoundError as error:
    raise UserError(f'{error}: source .venv/bin/activate, or pip install -r requirements.txt') from None
  watch.lap('imports')
  every = modes.all_modes()
  if arguments.is_help(argv):
    print(arguments.usage(__doc__, every))
    return
  function = arguments.find_mode(argv, every)
  values, config = arguments.parse(argv, function, every)
  modes.run_mode(function, values, config, watch)


if __name__ == '__main__':
  try:
    code = main(sys.argv)
  except Exception:
    traceback.print_exc()
    code = 1
  if code:
    with contextlib.suppress(OSError):
      sys.stdout.flush()
    os._exit(code)  # else JAX would wait for processes with which this one has begun
