"""A data set of two images an example, from its arrays to the steps of training and the batches of evaluation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax import randomness
from gen_jax.data import order
from gen_jax.data.batches import evaluation_batches
from gen_jax.data.dataset import Feature, from_arrays, from_fetch
from gen_jax.data.preprocess import preprocess
from gen_jax.training import dispatch
from gen_jax.training.state import TrainState

SIZE, BATCH, UPDATES, STEPS = 23, 8, 2, 5
ROWS, COLUMNS = np.mgrid[:6, :7]
# image a says in its channels where each pixel is, and which example; b repeats the first, and is darker by half
PLACES = np.broadcast_to((7 * ROWS + COLUMNS).astype(np.uint8), (SIZE, 6, 7))
A = np.stack([4 * PLACES, np.broadcast_to(np.arange(SIZE, dtype=np.uint8)[:, None, None], PLACES.shape)], axis=-1)
B = 2 * PLACES[..., None]
PAIRS = from_arrays({'image_a': A, 'image_b': B, 'label': np.arange(SIZE, dtype=np.int32)}, num_classes=SIZE)
STREAMED = from_fetch(PAIRS.fetch, SIZE, PAIRS.features, 0, num_classes=SIZE)
PROCESS = functools.partial(preprocess, features=PAIRS.features, crop=4, flip=True)


def fresh_state():
  return TrainState(jnp.zeros((), jnp.int32), {}, {}, {}, {}, ())


def train_step(state, batch, seed):
  """Looks at each update's pairs; its metrics say what it saw."""
  metrics = {}
  for update in range(UPDATES):
    key = jax.random.fold_in(jax.random.fold_in(randomness.key(seed), state.step), update)
    pairs = PROCESS(jax.tree.map(lambda x: x[update], batch), key, train=True)  # noqa: B023, called at once
    a, b = pairs['image_a'], pairs['image_b']
    metrics |= {
      f'difference_{update}': jnp.abs(a[..., :1] - 2 * b).max(),
      f'alike_{update}': (jnp.round(255 * a[:, 0, 0, 1]) == pairs['label']).mean(),
      f'order_{update}': (pairs['label'] * (1 + pairs['row'])).sum(),
      f'corners_{update}': (a[:, 0, 0, 0] * (1 + pairs['row'])).sum(),
    }
  return state._replace(step=state.step + 1), metrics


def run(data, seed, inputs):
  batch_of = dispatch.streamed_batch(data) if data.arrays is None else dispatch.resident_batch(data, BATCH, UPDATES)
  run_steps = jax.jit(dispatch.repeat_step(train_step, batch_of, STEPS))
  return run_steps(fresh_state(), inputs, np.uint32(seed), np.int32(STEPS), np.arange(BATCH, dtype=np.int32))


@pytest.fixture(scope='module')
def resident():
  return run(PAIRS, 2**31 + 3, dict(PAIRS.arrays))


def test_the_features_are_those_of_the_arrays():
  assert PAIRS.features == {'image_a': Feature((6, 7, 2)), 'image_b': Feature((6, 7, 1))}
  assert STREAMED.arrays is None


def test_both_images_of_a_row_are_cropped_and_flipped_alike_in_training(resident):
  state, metrics = resident
  assert int(state.step) == STEPS
  for update in range(UPDATES):
    np.testing.assert_allclose(metrics[f'difference_{update}'], 0, atol=1e-6)
    np.testing.assert_array_equal(metrics[f'alike_{update}'], 1)
    assert len(np.unique(metrics[f'corners_{update}'])) == STEPS


def test_the_order_is_the_shuffled_one(resident):
  _, metrics = resident
  for step in range(STEPS):
    for update in range(UPDATES):
      index = order.rows(2**31 + 3, step * UPDATES + update, jnp.arange(BATCH), BATCH, SIZE)
      assert metrics[f'order_{update}'][step] == (index * (1 + np.arange(BATCH))).sum()


def test_streamed_pairs_are_the_resident_ones(resident):
  rows = np.arange(BATCH)[None]  # of one device
  (inputs,) = dispatch.streamed_inputs(STREAMED, 2**31 + 3, rows, BATCH, UPDATES, 2, [(0, STEPS)])
  _, metrics = run(STREAMED, 2**31 + 3, {name: array[0] for name, array in inputs.items()})
  for name, values in resident[1].items():
    np.testing.assert_array_equal(metrics[name], values)


def test_evaluation_sees_both_images_from_the_middle():
  process = functools.partial(PROCESS, train=False)
  seen = []
  for batch in evaluation_batches(PAIRS, process, BATCH):
    kept = np.asarray(batch['mask']) > 0
    a, b = (np.rint(255 * np.asarray(batch[name])[kept]).astype(int) for name in PAIRS.features)
    np.testing.assert_array_equal(a[..., :1], 4 * PLACES[:1, 1:5, 1:5, None] + np.zeros_like(b))
    np.testing.assert_array_equal(a[..., :1], 2 * b)
    seen += a[:, 0, 0, 1].tolist()
  assert seen == list(range(SIZE))
