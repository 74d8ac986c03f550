"""bfloat16 networks: float32 where it matters, and a loss curve within the noise of float32."""

import jax
import numpy as np
import pytest
from small import small_config

from gen_jax import build
from gen_jax.training import loop, parallel

STEPS = 400


def run(precision: str, seed: int):
  """The state after 400 steps, and their metrics."""
  config = small_config(
    batch_size=32,
    steps=STEPS,
    **dict.fromkeys(('steps_per_dispatch', 'log_every', 'eval_every', 'save_every'), STEPS),
    precision=precision,
    seed=seed,
    model={'encoder': {'hidden': (64,)}, 'decoder': {'hidden': (64,)}, 'latent_dim': 5},
  )
  task = build.task(config)
  run_steps, rows = loop.compiled_steps(task), parallel.local_rows(config.batch_size)
  state = parallel.to_host(loop.fresh_state(task))
  state, history = run_steps(state, dict(task.data.arrays), np.uint32(seed), np.int32(STEPS), rows)
  return parallel.to_host(state), parallel.to_host(history)


@pytest.fixture(scope='module')
def runs():
  return {(name, seed): run(name, seed) for name in ('float32', 'bfloat16') for seed in (0, 1)}


def curve(runs, precision, seed):
  """-ELBO, in means over 50 steps."""
  return -runs[precision, seed][1]['elbo'].reshape(-1, 50).mean(1)


def test_the_curve_stays_within_the_noise_of_float32(runs):
  rms = lambda x: float(np.sqrt(np.mean(x**2)))
  full = [curve(runs, 'float32', seed) for seed in range(2)]
  half = [curve(runs, 'bfloat16', seed) for seed in range(2)]
  noise = rms(full[0] - full[1])
  same_seed = np.mean([rms(a - b) for a, b in zip(full, half, strict=True)])
  assert 0 < same_seed < noise
  assert abs(np.mean(half) - np.mean(full)) < noise  # nor is it off on average


def test_state_statistics_and_losses_stay_float32(runs):
  state, history = runs['bfloat16', 0]
  assert {x.dtype.name for x in jax.tree.leaves((state, history))} <= {'float32', 'int32'}


def test_the_networks_compute_in_bfloat16():
  config = small_config(precision='bfloat16')
  task = build.task(config)
  batch = build.example_batch(task.data, build.preprocessor(config, task.data, train=False), rows=2)
  variables = jax.eval_shape(task.model.init, jax.random.key(0), batch)
  jaxpr = str(jax.make_jaxpr(lambda v: task.model.apply(v, batch, method='encode'))(variables))
  products = [line for line in jaxpr.splitlines() if 'dot_general' in line]
  assert products
  assert all('bf16' in line.split('=')[0] for line in products)
