"""Trains a small run in a process of its own, which kills itself: `python killed.py ROOT WORKDIR DATA WHEN`.

WHEN is 'step N': with the N-th step's window on its way, or 'save N': N milliseconds into writing the third checkpoint.
"""

import functools
import os
import pathlib
import signal
import sys
import threading
import time

ROOT, WORKDIR, DATA, WHEN = sys.argv[1:5]
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tests')]
from small import small_config  # noqa: E402

from gen_jax import build  # noqa: E402
from gen_jax.runs.workdir import claim_workdir  # noqa: E402
from gen_jax.training import checkpoint, loop  # noqa: E402


def die():
  os.kill(os.getpid(), signal.SIGKILL)


kind, number = WHEN.split()
if kind == 'step':
  original = loop.next_stop

  def next_stop(step, config, until):
    if step >= int(number) and sys._getframe(1).f_code.co_name == 'run':
      threading.Timer(0.002, die).start()
    return original(step, config, until)

  loop.next_stop = next_stop
else:
  save, saves = checkpoint.Checkpoints.save, []

  def dying_save(self, state, metrics):
    saves.append(state.step)
    if len(saves) == 3:
      threading.Timer(int(number) / 1000, die).start()
    save(self, state, metrics)
    if len(saves) == 3:
      time.sleep(1)

  checkpoint.Checkpoints.save = dying_save

config = small_config(DATA)
claim_workdir(pathlib.Path(WORKDIR), config)
loop.run(functools.partial(build.task, config), pathlib.Path(WORKDIR))
