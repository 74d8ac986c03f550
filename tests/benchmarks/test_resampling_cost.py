"""The benchmark of resampling draws and weighs as training does."""

import jax
import numpy as np
from small import MODEL, small_config

from benchmarks import resampling
from gen_jax import build
from gen_jax.training import parallel


def test_what_is_timed_is_the_draw_and_the_pass_of_training(monkeypatch):
  monkeypatch.setattr(resampling, 'DRAWS', 3)
  dbvae = {name: value for name, value in MODEL.items() if name != 'beta'} | {'name': 'DBVAE'}
  task = build.task(small_config(model=dbvae, resampling={'name': 'LatentRarity'}, best='', evals=('means',)))
  rows, seed = parallel.local_rows(8)[0], np.uint32(0)  # of the first device
  rows_of = lambda k: task.data.rows(seed, task.data.initial_state, np.uint32(k), rows, 8, task.data.size)
  drawn = [rows_of(k) for k in range(3)]
  np.testing.assert_array_equal(resampling.compiled_draws(task)(), np.sum(drawn, 0))
  data = jax.tree.map(np.asarray, resampling.compiled_pass(task)().data)
  assert (data['time'] == 1).all() and np.ptp(data['weights']) > 0
