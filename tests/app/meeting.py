"""One of several processes that do nothing but wait for each other: `python meeting.py ROOT PLACE WHAT`.

PLACE: what --distributed names.
WHAT after ten meetings: 'go on' for ever; 'fail' by a UserError; 'leave' at once; 'stay' for a second before leaving.
"""

import os
import sys
import time

ROOT, SPEC, WHAT = sys.argv[1:]
sys.path[:0] = [ROOT]

from gen_jax.app import cluster  # noqa: E402
from gen_jax.errors import UserError  # noqa: E402
from gen_jax.training import parallel  # noqa: E402

try:
  with cluster.joined(SPEC, timeout=60):
    for meeting in range(10 if WHAT != 'go on' else 10**9):
      parallel.highest(0)
      if meeting == 9:
        print('met', flush=True)
    if WHAT == 'fail':
      raise UserError('the disk is full')
    time.sleep(1 if WHAT == 'stay' else 0)
except UserError as error:
  print(f'error: {error}', file=sys.stderr, flush=True)
  os._exit(2)
