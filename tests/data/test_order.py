import collections
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax.data import order

GOLDEN = [47372, 29032, 4720, 11405, 32851]  # rows 0..4 of batch 5 with seed 0


def permutations(size, epochs, seed=0):
  """[epochs, size], one permutation a row."""
  one = lambda epoch: order.permute(seed, epoch, jnp.arange(size, dtype=jnp.uint32), size)
  return np.asarray(jax.jit(jax.vmap(one))(jnp.arange(epochs, dtype=jnp.uint32)))


@pytest.mark.parametrize('size', [1, 2, 3, 10, 64, 1797, 60000])
def test_every_epoch_visits_every_example_once(size):
  for row in permutations(size, 4):
    np.testing.assert_array_equal(np.sort(row), np.arange(size))


def test_epochs_and_seeds_differ():
  epochs = permutations(1797, 20)
  offsets = jnp.arange(1797, dtype=jnp.uint32)
  seeds = jax.jit(jax.vmap(lambda seed: order.permute(seed, jnp.uint32(0), offsets, 1797)))(jnp.arange(20))
  assert len({row.tobytes() for row in np.concatenate([epochs, np.asarray(seeds)[1:]])}) == 39


def test_orders_of_a_few_examples_are_equally_frequent():
  size, epochs = 5, 12000
  counts = collections.Counter(map(tuple, permutations(size, epochs).tolist()))
  expected = epochs / math.factorial(size)
  chi_square = sum((counts[order] - expected) ** 2 / expected for order in counts)
  assert len(counts) == 120
  assert abs(chi_square - 119) < 5 * math.sqrt(2 * 119)


def test_each_example_stands_everywhere_equally_often():
  size, epochs = 97, 970
  counts = np.zeros((size, size))
  rows = permutations(size, epochs)
  np.add.at(counts, (np.broadcast_to(np.arange(size), rows.shape), rows), 1)
  freedom = (size - 1) ** 2
  chi_square = ((counts - 10) ** 2 / 10).sum()
  assert abs(chi_square - freedom) < 5 * math.sqrt(2 * freedom)


def test_no_structure_within_or_between_epochs():
  size, epochs = 1797, 400
  rows = permutations(size, epochs)
  inverse = np.argsort(rows, axis=1)
  moves = np.take_along_axis(inverse[1:], rows[:-1], axis=1)  # where epoch e + 1 puts what epoch e had at i
  for each in (rows, moves):
    correlation = np.array([np.corrcoef(np.arange(size), row)[0, 1] for row in each])
    assert abs(correlation).max() < 5 / math.sqrt(size)
    assert abs(correlation.mean()) < 5 / math.sqrt(size * len(each))
    for shift in (0, 1, size // 2):  # a random permutation maps Poisson(1) points by any given shift
      assert abs((each == (np.arange(size) + shift) % size).sum(1).mean() - 1) < 5 / math.sqrt(len(each))
    neighbors = ((each[:, 1:] - each[:, :-1]) % size == 1).sum(1).mean()
    assert abs(neighbors - 1) < 5 / math.sqrt(len(each))


@pytest.mark.parametrize('size', [3, 50, 200])
def test_batches_run_through_the_epochs(size):
  batch_size, batches = 32, 40
  rows = jax.vmap(lambda k: order.rows(7, k, jnp.arange(batch_size), batch_size, size))(jnp.arange(batches))
  epochs = permutations(size, -(-batch_size * batches // size), 7)
  np.testing.assert_array_equal(rows.reshape(-1), epochs.reshape(-1)[: batch_size * batches])


def test_any_split_of_the_rows_gives_the_same_rows():
  whole = order.rows(3, 11, jnp.arange(64), 64, 1797)
  jitted = jax.jit(order.rows, static_argnums=(3, 4))
  shuffled = jnp.array([5, 63, 0, 17])
  np.testing.assert_array_equal(jitted(3, 11, shuffled, 64, 1797), whole[shuffled])
  shards = jax.pmap(lambda row: order.rows(3, 11, row, 64, 1797), 'batch')(jnp.arange(64).reshape(4, 16))
  np.testing.assert_array_equal(shards.reshape(-1), whole)


@pytest.mark.parametrize('seed', [0, 1, 2**31, 2**32 - 1])
def test_a_traced_seed_gives_the_rows_of_the_number(seed):
  rows = lambda seed: order.rows(seed, 11, jnp.arange(64), 64, 1797)
  np.testing.assert_array_equal(jax.jit(rows)(np.uint32(seed)), rows(seed))
  several = jax.vmap(rows)(np.array([7, seed], np.uint32))  # as in a sweep of seeds
  np.testing.assert_array_equal(several, [rows(7), rows(seed)])


def test_the_state_of_training_changes_nothing():
  expected = order.rows(3, 11, jnp.arange(64), 64, 1797)
  for state in ((), jnp.ones(1797)):
    np.testing.assert_array_equal(order.shuffled_rows(3, state, 11, jnp.arange(64), 64, 1797), expected)


@pytest.mark.parametrize('size', [1, 1797, 2**30 - 35, 2**30])
def test_positions_beyond_32_bits(size):
  for stride in (1, 1000003):
    position = jax.jit(lambda count, stride=stride: order.position(count, stride, size))
    for count in (0, 1, 77, 10**6, 10**7 + 1, 2**31 - 1, 2**32 - 1):
      quotient, remainder = divmod(count * stride, size)
      assert [int(x) for x in position(np.uint32(count))] == [quotient % 2**32, remainder]


def test_a_late_batch_lies_in_its_epoch():
  size, batch_size, batch = 60000, 1024, 10**7 + 3  # example 10^10
  epoch, offset = divmod(batch * batch_size, size)
  expected = order.permute(1, jnp.uint32(epoch), jnp.arange(offset, offset + batch_size, dtype=jnp.uint32), size)
  np.testing.assert_array_equal(order.rows(1, batch, jnp.arange(batch_size), batch_size, size), expected)


def test_the_order_is_that_of_earlier_versions():
  rows = order.rows(0, 5, jnp.arange(5), 128, 60000)
  assert rows.dtype == jnp.int32
  np.testing.assert_array_equal(rows, GOLDEN)


def test_too_many_examples_are_refused():
  with pytest.raises(ValueError, match='between 1 and 1073741824'):
    order.rows(0, 0, jnp.arange(2), 2, 2**30 + 1)
