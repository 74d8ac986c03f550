"""An average of the parameters has the statistics of batches that belong to it, whichever module keeps them."""

import jax
import jax.numpy as jnp
import numpy as np
from small import MODEL, small_config

from gen_jax import build
from gen_jax.training import loop
from gen_jax.training.state import evaluated_variables


def test_the_average_holds_the_variance_of_an_optimal_gaussian():
  model = MODEL | {'likelihood': {'name': 'OptimalGaussian', 'momentum': 0.5}}  # a module without parameters
  task = build.task(small_config(model=model, ema_decay=0.75))
  state, rows = loop.initial_state(task), np.arange(8, dtype=np.int32)
  raw = task.data.finish(task.data.fetch(rows) | {'index': rows}) | {'row': rows, 'mask': np.ones(8, np.float32)}
  batch = jax.tree.map(lambda x: jnp.asarray(x)[None, None], raw)  # of one device and one update
  step = jax.jit(jax.vmap(loop.one_step(task), (None, 0, None), axis_name='batch'))
  variance = lambda variables: float(variables['batch_stats']['likelihood']['variance'])
  expected = variance(state.variables)
  assert expected == variance(state.ema['ema']) == 1.0
  for _ in range(3):
    decay = float(task.averages['ema'](state.step))
    state = jax.tree.map(lambda x: x[0], step(state, batch, np.uint32(0))[0])
    expected = decay * expected + (1 - decay) * variance(state.variables)
  np.testing.assert_allclose(variance(state.ema['ema']), expected, rtol=1e-5)
  assert variance(state.variables) < expected - 0.02
  assert variance(evaluated_variables(state)) == variance(state.ema['ema'])
