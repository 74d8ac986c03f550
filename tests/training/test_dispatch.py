"""Which batches a compiled dispatch makes: functions of the seed, the step and the state of the data alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax import randomness
from gen_jax.data import order
from gen_jax.data.dataset import from_arrays
from gen_jax.training import dispatch, parallel
from gen_jax.training.state import TrainState

SIZE, BATCH, UPDATES = 19, 8, 2
PLAIN = from_arrays({'image': np.arange(SIZE, dtype=np.uint8).reshape(-1, 1, 1, 1)})
ROWS = np.arange(BATCH, dtype=np.int32)


def weighted_rows(seed, state, batch, row, batch_size, size):
  """Examples drawn with replacement, by the weights that the state holds."""
  del batch_size, size
  keys = randomness.row_keys(jax.random.fold_in(randomness.key(seed), batch), row)
  return jax.vmap(jax.random.categorical, (0, None))(keys, jnp.log(state)).astype(jnp.int32)


WEIGHTED = PLAIN._replace(rows=weighted_rows, initial_state=np.ones(SIZE, np.float32))


def state_at(step, data=()):
  return TrainState(jnp.int32(step), {}, {}, {}, {}, data)


def recorded(state, batch, seed):
  """In place of a training step: keeps the rows; each example that was seen weighs half as much from then on."""
  del seed
  metrics = {f'{update}_{row}': batch['index'][update, row] for update in range(UPDATES) for row in range(BATCH)}
  data = state.data if isinstance(state.data, tuple) else state.data.at[batch['index'].reshape(-1)].mul(0.5)
  return state._replace(step=state.step + 1, data=data), metrics


def run(data, seed, state, count):
  """The state after `count` steps, and which rows they saw, [count, UPDATES, BATCH]."""
  run_steps = jax.jit(dispatch.repeat_step(recorded, dispatch.resident_batch(data, BATCH, UPDATES), 8))
  state, metrics = run_steps(state, dict(data.arrays), np.uint32(seed), np.int32(count), ROWS)
  index = np.stack([metrics[f'{update}_{row}'] for update in range(UPDATES) for row in range(BATCH)], axis=-1)
  return state, index.reshape(-1, UPDATES, BATCH)[:count]


@pytest.mark.parametrize('seed', [0, 1, 2**31, 2**32 - 1])
def test_a_traced_seed_gives_the_order_of_the_number(seed):
  _, index = run(PLAIN, seed, state_at(3), 2)
  expected = [order.rows(seed, batch, ROWS, BATCH, SIZE) for batch in range(3 * UPDATES, 5 * UPDATES)]
  np.testing.assert_array_equal(index.reshape(-1, BATCH), expected)


def test_many_seeds_in_one_call():
  batch_of = dispatch.resident_batch(PLAIN, BATCH, UPDATES)
  arrays = jax.tree.map(jnp.asarray, dict(PLAIN.arrays))
  of_seed = lambda seed: batch_of(arrays, state_at(3), seed, 0, ROWS)['image']
  seeds = np.array([5, 2**32 - 1], np.uint32)
  np.testing.assert_array_equal(jax.vmap(of_seed)(seeds), np.stack([of_seed(seed) for seed in seeds]))


def test_a_data_set_chooses_its_rows_by_its_state():
  one = np.zeros(SIZE, np.float32)
  one[4] = 1
  _, index = run(WEIGHTED, 0, state_at(0, one), 1)
  np.testing.assert_array_equal(index, 4)


def test_a_batch_depends_on_the_seed_the_step_and_the_state_alone():
  begin = state_at(0, WEIGHTED.initial_state)
  _, whole = run(WEIGHTED, 7, begin, 6)
  middle, first = run(WEIGHTED, 7, begin, 4)
  _, resumed = run(WEIGHTED, 7, jax.tree.map(np.array, middle), 2)  # in windows of another length, from what was saved
  np.testing.assert_array_equal(np.concatenate([first, resumed]), whole)
  # the state is all that the steps before leave behind
  _, alone = run(WEIGHTED, 7, state_at(4, middle.data), 1)
  np.testing.assert_array_equal(alone, whole[4:5])
  for other in (run(WEIGHTED, 8, state_at(4, middle.data), 1), run(WEIGHTED, 7, state_at(5, middle.data), 1)):
    assert (other[1] != alone).any()
  _, forgetful = run(WEIGHTED, 7, state_at(4, WEIGHTED.initial_state), 1)
  assert (forgetful != alone).any()


def test_rows_of_a_batch_do_not_depend_on_who_takes_them():
  batch_of = dispatch.resident_batch(WEIGHTED, BATCH, UPDATES)
  of_rows = lambda rows: batch_of(dict(WEIGHTED.arrays), state_at(2, WEIGHTED.initial_state), np.uint32(3), 0, rows)
  halves = [of_rows(rows)['index'] for rows in np.split(ROWS, 2)]
  np.testing.assert_array_equal(np.concatenate(halves, axis=1), of_rows(ROWS)['index'])


@pytest.mark.parametrize('how', parallel.BY_NAME)
def test_a_step_is_traced_once(how):
  calls = []

  def counted(*arguments):
    calls.append(arguments)
    return recorded(*arguments)

  run_steps = dispatch.repeat_step(counted, dispatch.resident_batch(PLAIN, BATCH, UPDATES), 8)
  on_all = parallel.data_parallel(run_steps, False, how)
  on_all.lower(state_at(0), dict(PLAIN.arrays), np.uint32(0), np.int32(1), parallel.local_rows(BATCH))
  assert len(calls) == 1
