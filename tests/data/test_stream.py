import itertools
import pathlib
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax.data import order, stream
from gen_jax.data.dataset import from_arrays, from_fetch
from gen_jax.errors import UserError

ROOT = pathlib.Path(__file__).parents[2]
SIZE, BATCH, UPDATES, SEED = 50, 8, 3, 5
IMAGES = np.random.default_rng(0).integers(0, 256, (SIZE, 2, 2, 1), np.uint8)
RESIDENT = from_arrays({'image': IMAGES, 'label': np.arange(SIZE, dtype=np.int32)}, num_classes=SIZE)
STREAMED = from_fetch(RESIDENT.fetch, SIZE, RESIDENT.features, 0, num_classes=SIZE)


def collect(start, stop, workers):
  indices = stream.order_of_steps(STREAMED, SEED, UPDATES, BATCH)
  return list(stream.batches(STREAMED, indices, start, stop, workers=workers))


def prefetch_threads():
  return [thread for thread in threading.enumerate() if thread.name.startswith('grain-prefetch')]


@pytest.mark.parametrize('workers', [1, 4])
def test_the_stream_is_what_the_compiled_loop_gathers(workers):
  @jax.jit
  def resident(step):
    rows = lambda update: order.rows(SEED, step * UPDATES + update, jnp.arange(BATCH), BATCH, SIZE)
    return jnp.asarray(IMAGES)[jax.vmap(rows)(jnp.arange(UPDATES))]

  batches = collect(0, 20, workers)
  assert len(batches) == 20 and batches[0]['label'].shape == (UPDATES, BATCH)
  for step, batch in enumerate(batches):
    np.testing.assert_array_equal(batch['image'], resident(step))
    np.testing.assert_array_equal(IMAGES[batch['label']], batch['image'])


def test_a_resumed_stream_goes_on_as_before():
  for late, batch in zip(collect(13, 20, 2), collect(0, 20, 2)[13:], strict=True):
    np.testing.assert_array_equal(late['label'], batch['label'])


@pytest.mark.parametrize('seed', [0, 2**31, 2**32 - 1])
def test_the_host_draws_the_rows_of_any_seed(seed):
  indices = stream.order_of_steps(STREAMED, seed, UPDATES, BATCH)(4)
  rows = jax.jit(lambda seed, batch: order.rows(seed, batch, jnp.arange(BATCH), BATCH, SIZE))
  np.testing.assert_array_equal(indices, [rows(np.uint32(seed), batch) for batch in range(4 * UPDATES, 5 * UPDATES)])


def test_a_set_with_an_order_of_its_own_is_streamed_in_it():
  every_second = lambda seed, state, batch, row, batch_size, size: (2 * (batch * batch_size + row)) % size
  indices = stream.order_of_steps(STREAMED._replace(rows=every_second), SEED, 1, 4)
  np.testing.assert_array_equal(indices(1), [[8, 10, 12, 14]])


def test_an_order_that_depends_on_the_training_cannot_be_read_ahead():
  weighted = STREAMED._replace(initial_state=np.ones(SIZE, np.float32))
  with pytest.raises(UserError, match=r'chosen by the course of training.*raise config.data.resident_mib'):
    stream.order_of_steps(weighted, SEED, UPDATES, BATCH)


def test_slow_and_fast_steps_keep_their_order():
  def fetch(indices):
    time.sleep(0.02 * (indices[0] % 3))
    return {'index': indices}

  slow = STREAMED._replace(fetch=fetch)
  batches = stream.batches(slow, lambda step: np.array([step, step]), 0, 12, workers=4)
  assert [batch['index'][0] for batch in batches] == list(range(12))


def test_mistakes_reach_the_caller():
  def fetch(indices):
    if 3 in indices:
      raise UserError('example 3 is damaged')
    return {'index': indices}

  batches = stream.batches(STREAMED._replace(fetch=fetch), lambda step: np.array([step]), 0, 9)
  assert [batch['index'][0] for batch in itertools.islice(batches, 3)] == [0, 1, 2]
  with pytest.raises(UserError, match='example 3 is damaged'):
    next(batches)


def test_closing_ends_the_threads():
  others = set(prefetch_threads())
  batches = stream.batches(STREAMED, lambda step: np.array([step % SIZE]), 0, 10**6, workers=3)
  next(batches)
  mine = set(prefetch_threads()) - others
  assert mine
  batches.close()
  for thread in mine:
    thread.join(timeout=5)
    assert not thread.is_alive()


def test_an_abandoned_stream_lets_the_program_end():
  program = """
import numpy as np
from gen_jax.data import stream
from gen_jax.data.dataset import from_arrays
split = from_arrays({'image': np.zeros((9, 2, 2, 1), np.uint8)})
batches = stream.batches(split, lambda step: np.array([step % 9]), 0, 10**9, workers=4)
next(batches)
"""
  subprocess.run([sys.executable, '-W', 'error', '-c', program], check=True, timeout=60, cwd=ROOT)


def counted(made):
  """0, 1, ...; notes in `made` what was made."""
  try:
    for i in range(10):
      made.append(i)
      yield i
  finally:
    made.append('closed')


def test_read_ahead_yields_all_in_order():
  made = []
  assert list(stream.read_ahead(counted(made))) == list(range(10))
  assert made == [*range(10), 'closed']


def test_read_ahead_makes_before_it_is_asked():
  release = threading.Event()

  def items():
    yield from range(3)
    release.set()  # reached though only the first item is ever asked for
    yield 3

  coming = stream.read_ahead(items(), number=3)
  assert next(coming) == 0
  assert release.wait(10)
  coming.close()


def test_closing_read_ahead_closes_the_items():
  made = []
  coming = stream.read_ahead(counted(made))
  assert next(coming) == 0
  coming.close()
  assert made[-1] == 'closed'


def test_read_ahead_raises_what_making_raises():
  def items():
    yield 1
    raise ValueError('damaged')

  coming = stream.read_ahead(items())
  assert next(coming) == 1
  with pytest.raises(ValueError, match='damaged'):
    next(coming)
