"""A small run in a process of its own, which kills itself.

WHEN is 'step N': with the N-th step's window on its way, or 'save N': N milliseconds into writing the third checkpoint.
"""

import functools
import os
import pathlib
import signal
import sys
import threading
import time

import sklearn.datasets  # noqa: F401  # of which the digits are, and slow to import
from small import small_config

from gen_jax import build
from gen_jax.runs.workdir import claim_workdir
from gen_jax.training import checkpoint, loop


def die():
  os.kill(os.getpid(), signal.SIGKILL)


def die_at_step(number):
  original = loop.next_stop

  def next_stop(step, config, until):
    if step >= number and sys._getframe(1).f_code.co_name == 'run':
      threading.Timer(0.002, die).start()
    return original(step, config, until)

  loop.next_stop = next_stop


def die_saving(milliseconds):
  save, saves = checkpoint.Checkpoints.save, []

  def dying_save(self, state, metrics):
    saves.append(state.step)
    if len(saves) == 3:
      threading.Timer(milliseconds / 1000, die).start()
    save(self, state, metrics)
    if len(saves) == 3:
      time.sleep(1)

  checkpoint.Checkpoints.save = dying_save


def main(workdir, data, when):
  kind, number = when.split()
  {'step': die_at_step, 'save': die_saving}[kind](int(number))
  config = small_config(data)
  claim_workdir(pathlib.Path(workdir), config)
  loop.run(functools.partial(build.task, config), pathlib.Path(workdir))
