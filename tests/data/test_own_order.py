"""Features in an order of their own: the sides of unpaired data, in training, evaluation and the record of a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax.data import order, stream
from gen_jax.data.batches import evaluation_batches
from gen_jax.data.dataset import Feature, exchange_sides, from_sides
from gen_jax.data.preprocess import preprocess
from gen_jax.errors import UserError
from gen_jax.training import dispatch
from gen_jax.training.state import TrainState

A, B, BATCH, UPDATES = 12, 8, 4, 2


def numbered(number, channels=1):
  return np.broadcast_to(np.arange(number, dtype=np.uint8)[:, None, None, None], (number, 2, 2, channels)).copy()


def sides(a=A, b=B):
  arrays = {'image_a': numbered(a), 'image_b': numbered(b, 3)}
  return from_sides(arrays, {name: Feature(x.shape[1:]) for name, x in arrays.items()})


def drawn(data, steps, seed=0, rows=range(BATCH)):
  """{feature: its examples in training, int [steps, UPDATES, rows]}, and the index."""
  batch_of = jax.jit(dispatch.resident_batch(data, BATCH, UPDATES))
  fresh = TrainState(jnp.zeros((), jnp.int32), {}, {}, {}, {}, ())
  of_step = lambda k: batch_of(data.arrays, fresh._replace(step=jnp.int32(k)), np.uint32(seed), 0, jnp.asarray(rows))
  batches = [of_step(k) for k in range(steps)]
  images = {name: np.stack([batch[name][..., 0, 0, 0] for batch in batches]) for name in data.features}
  return images | {'index': np.stack([batch['index'] for batch in batches])}


def test_each_epoch_of_a_side_visits_each_of_its_examples_once():
  seen = drawn(sides(), steps=6)  # 48 examples: 4 epochs of A, 6 of B
  for name, number in (('image_a', A), ('image_b', B), ('index', A)):
    epochs = seen[name].reshape(-1, number)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.broadcast_to(np.arange(number), epochs.shape))
    assert len(np.unique(epochs, axis=0)) == len(epochs)


def test_sides_of_equal_size_do_not_move_in_step():
  seen = drawn(sides(A, A), steps=12)
  flat = {name: values.ravel() for name, values in seen.items()}
  for one, other in (('image_a', 'image_b'), ('image_a', 'index'), ('image_b', 'index')):
    assert (flat[one] == flat[other]).mean() < 0.3, (one, other)
    together = np.unique(np.stack([flat[one], flat[other]]), axis=1).shape[1]
    assert together > 4 * A, (one, other)  # nor by another fixed matching


def test_shards_are_rows_of_the_whole_and_seeds_differ():
  whole, shard = drawn(sides(), 3), drawn(sides(), 3, rows=np.array([2, 3]))
  other = drawn(sides(), 3, seed=1)
  for name, values in whole.items():
    np.testing.assert_array_equal(shard[name], values[..., 2:])
    assert (other[name] != values).any()


def test_batches_are_those_of_the_order():
  seen = drawn(sides(), 3, seed=2**32 - 1)
  for place, (name, number) in enumerate((('image_a', A), ('image_b', B))):
    for k in range(3 * UPDATES):
      rows = order.own_rows(2**32 - 1, place, k, jnp.arange(BATCH), BATCH, number)
      np.testing.assert_array_equal(seen[name].reshape(-1, BATCH)[k], rows)


def test_evaluation_gives_each_row_modulo_the_number_of_its_side():
  data = sides()
  assert (data.size, dict(data.own_order)) == (A, {'image_a': A, 'image_b': B})
  process = lambda batch, key: preprocess(batch, key, train=False, features=data.features)
  batches = list(evaluation_batches(data, process, 5))
  kept = [np.asarray(batch['mask']) > 0 for batch in batches]
  seen = lambda name: np.concatenate(
    [np.rint(255 * np.asarray(b[name][:, 0, 0, 0]))[mask] for b, mask in zip(batches, kept, strict=True)]
  )
  np.testing.assert_array_equal(seen('image_a'), np.arange(A))
  np.testing.assert_array_equal(seen('image_b'), np.arange(A) % B)


def test_they_cannot_be_read_ahead():
  with pytest.raises(UserError, match=r'image_a and image_b stand in orders of their own.*raise config.data.resident'):
    stream.order_of_steps(sides(), 0, UPDATES, BATCH)


def test_sides_are_exchanged():
  data = sides()._replace(true_maps={'b': abs})
  other = exchange_sides(data)
  assert list(other.features) == list(other.own_order) == ['image_a', 'image_b']
  assert other.own_order == {'image_a': B, 'image_b': A} and other.true_maps == {'a': abs}
  assert other.features == {'image_a': data.features['image_b'], 'image_b': data.features['image_a']}
  rows = {**other.fetch(np.arange(9)), 'index': np.arange(9)}
  np.testing.assert_array_equal(rows['image_a'], data.fetch(np.arange(9))['image_b'])
  finished = other.finish(rows)
  np.testing.assert_array_equal(finished['image_b'], rows['image_b'])
  assert set(finished) == {'image_a', 'image_b', 'index'}
  np.testing.assert_array_equal(drawn(other, 2)['index'], drawn(data, 2)['index'])
