import functools

import jax.numpy as jnp
import numpy as np
from sources import KnownSource

from gen_jax.data.batches import evaluation_batches
from gen_jax.data.dataset import from_arrays
from gen_jax.evaluation.means import active_units, means

IMAGES = np.random.default_rng(0).integers(0, 256, (23, 2, 2, 1), np.uint8)
DATA = from_arrays({'image': IMAGES})


def as_floats(batch, key):
  return {**batch, 'image': batch['image'].astype(jnp.float32)}


def source_of(data, size):
  return KnownSource(functools.partial(evaluation_batches, data, as_floats, size))


class Model:
  """Terms that are plain functions of the image."""

  @staticmethod
  def per_example(batch):
    flat = batch['image'].reshape(len(batch['image']), -1)
    return {'sum': flat.sum(-1), 'kl_dim': flat}

  @staticmethod
  def encode(batch):
    flat = batch['image'].reshape(len(batch['image']), -1)
    return flat * jnp.array([[1.0, 0.0, 1e-4, 0.1]])


def test_means_over_a_ragged_split_count_every_example_once():
  for size in (4, 23, 64):
    results = dict(means(Model, source_of(DATA, size)))
    np.testing.assert_allclose(results['sum'], IMAGES.reshape(23, -1).sum(-1).mean(), rtol=1e-6)
    flat = IMAGES.reshape(23, -1).mean(0)
    np.testing.assert_allclose([results[f'kl_dim_{i:02d}'] for i in range(4)], flat, rtol=1e-6)


def test_active_units_are_those_whose_mean_varies():
  results = dict(active_units(Model, source_of(DATA, 4)))
  # variances about 5,000 times 1, 0, 1e-8 and 1e-2
  assert results == {'active_units': 2.0}


def test_a_subset_is_fixed_and_spread_over_the_split():
  indices = [b['index'][b['mask'] > 0] for b in evaluation_batches(DATA, as_floats, 4, examples=10)]
  chosen = np.concatenate(indices)
  again = [b['index'][b['mask'] > 0] for b in evaluation_batches(DATA, as_floats, 7, examples=10)]
  np.testing.assert_array_equal(chosen, np.concatenate(again))
  assert len(set(chosen.tolist())) == 10 and chosen.max() > 12


def test_padding_does_not_count_as_examples():
  # codes 0 and .25 have variance .0156; with 62 copies of the last row beside them .001
  two = from_arrays({'image': np.array([0, 1], np.uint8).reshape(2, 1, 1, 1)})
  quarter = type('Quarter', (), {'encode': staticmethod(lambda batch: batch['image'].reshape(-1, 1) / 4)})
  assert dict(active_units(quarter, source_of(two, 64))) == {'active_units': 1.0}
