"""One process of a small run.

`python worker.py ROOT WORKDIR DATA DEVICES [ADDRESS:PORT,PROCESSES,ID [report | shard_map]]`
"""

import contextlib
import functools
import os
import pathlib
import sys

ROOT, WORKDIR, DATA, DEVICES, *SPEC = sys.argv[1:]
os.environ['XLA_FLAGS'] += f' --xla_force_host_platform_device_count={DEVICES}'  # the last one counts
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tests')]

import jax  # noqa: E402
import numpy as np  # noqa: E402
from small import small_config  # noqa: E402

import gen_jax  # noqa: E402
from gen_jax import build  # noqa: E402
from gen_jax.app import cluster, modes  # noqa: E402
from gen_jax.runs.workdir import claim_workdir  # noqa: E402
from gen_jax.training import loop, parallel  # noqa: E402

how = 'shard_map' if 'shard_map' in SPEC else 'pmap'
config, workdir = small_config(DATA, steps=20, data_parallel=how), pathlib.Path(WORKDIR)
with cluster.joined(SPEC[0], timeout=300) if SPEC else contextlib.nullcontext():
  if 'report' in SPEC:  # all that the command does: training, evaluation, figures, report
    modes.train(config, workdir)
    state = gen_jax.load(workdir, 'last').state
  else:
    if parallel.is_main():
      claim_workdir(workdir, config)
    state, _ = loop.run(functools.partial(build.task, config), workdir)
  if parallel.is_main():
    leaves, _ = jax.tree.flatten_with_path(state)
    np.savez(workdir / 'state.npz', **{jax.tree_util.keystr(path): leaf for path, leaf in leaves})
