"""One process of a small run."""

import functools
import os
import pathlib

import jax
import numpy as np
import sklearn.datasets  # noqa: F401  # of which the digits are, and slow to import
from small import small_config

import gen_jax
from gen_jax import build
from gen_jax.app import cluster, modes
from gen_jax.runs.workdir import claim_workdir
from gen_jax.training import loop, parallel


def main(workdir, data, devices, spec, how):
  """Trains on so many devices as the process of ADDRESS:PORT,PROCESSES,ID that `spec` names.

  `how` is 'shard_map', or 'report': all that the command does, training, evaluation, figures, report.
  """
  os.environ['XLA_FLAGS'] += f' --xla_force_host_platform_device_count={devices}'  # the last one counts
  workdir = pathlib.Path(workdir)
  config = small_config(data, steps=20, data_parallel='shard_map' if how == 'shard_map' else 'pmap')
  with cluster.joined(spec, timeout=300):
    if how == 'report':
      modes.train(config, workdir)
      state = gen_jax.load(workdir, 'last').state
    else:
      if parallel.is_main():
        claim_workdir(workdir, config)
      state, _ = loop.run(functools.partial(build.task, config), workdir)
    if parallel.is_main():
      leaves, _ = jax.tree.flatten_with_path(state)
      np.savez(workdir / 'state.npz', **{jax.tree_util.keystr(path): leaf for path, leaf in leaves})
