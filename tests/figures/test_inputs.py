"""What figures are made of."""

import numpy as np
import pytest

from gen_jax.figures import inputs


def test_test_images_are_always_the_same_and_in_random_order(run_of):
  run = run_of('sprites')
  batch, part = inputs.test_batch(run), next(inputs.test_batches(run, 40))
  size = run.source.data.size
  np.testing.assert_array_equal(batch['index'], np.random.default_rng(0).permutation(size)[: inputs.TEST_IMAGES])
  np.testing.assert_array_equal(batch['image'][:40], part['image'][:40])


@pytest.mark.parametrize(('name', 'planar'), [('vae', False), ('plane', True)])
def test_points_are_known(name, planar, run_of):
  assert inputs.is_planar(run_of(name)) is planar


@pytest.mark.parametrize('count', [1, 64, 70])
def test_codes_are_decoded_in_their_order(count, run_of):
  run = run_of('vae')
  z = np.random.default_rng(0).normal(size=(count, 2))
  expected = inputs.to_pixels(run, run.model.decode(z.astype(np.float32), {'row': np.arange(count)}))
  images = inputs.decode_pixels(run, z)
  assert images.shape == (count, 8, 8, 1) and images.dtype == np.uint8
  assert np.abs(images.astype(int) - expected).max() <= 1


def test_codes_are_decoded_to_the_class_that_is_asked_for(run_of):
  run, z = run_of('conditional vae'), np.zeros((2, 2))
  zero, seven = (inputs.decode_pixels(run, z, label) for label in (0, 7))
  assert (zero != seven).any()
  rows = {'row': np.arange(2), 'label': np.full(2, 7)}
  np.testing.assert_array_equal(inputs.decode_pixels(run, z, np.array([7, 0])), [seven[0], zero[0]])
  expected = inputs.to_pixels(run, run.model.decode(z.astype(np.float32), rows))
  assert np.abs(seven.astype(int) - expected).max() <= 1
