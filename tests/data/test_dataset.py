import numpy as np
import pytest

from gen_jax.data.dataset import CHUNK, from_arrays, from_fetch

IMAGES = np.arange((CHUNK + 3) * 4, dtype=np.uint8).reshape(-1, 2, 2, 1)
LABELS = np.arange(len(IMAGES), dtype=np.int32)


def fetch(indices):
  return {'image': IMAGES[indices], 'label': LABELS[indices]}


def test_arrays_are_gathered():
  split = from_arrays({'image': IMAGES, 'label': LABELS}, num_classes=3, factor_sizes=(4,))
  assert (split.size, split.image_shape, split.levels) == (CHUNK + 3, (2, 2, 1), 256)
  assert (split.num_classes, split.factor_sizes) == (3, (4,))
  rows = split.fetch(np.array([4, 0, 4]))
  np.testing.assert_array_equal(rows['image'], IMAGES[[4, 0, 4]])
  np.testing.assert_array_equal(rows['label'], [4, 0, 4])
  assert split.finish(rows) is rows


def test_numbers_are_kept():
  points = np.linspace(-2, 2, 10, dtype=np.float32).reshape(5, 1, 1, 2)
  split = from_arrays({'image': points}, levels=0)
  assert (split.size, split.image_shape, split.levels) == (5, (1, 1, 2), 0)
  assert split.fetch(np.array([3]))['image'].dtype == np.float32
  np.testing.assert_array_equal(split.fetch(np.array([3]))['image'], points[[3]])


def test_what_fits_is_resident():
  split = from_fetch(fetch, len(IMAGES), (2, 2, 1), IMAGES.nbytes, levels=2)
  np.testing.assert_array_equal(split.arrays['image'], IMAGES)
  np.testing.assert_array_equal(split.arrays['label'], LABELS)
  assert split.arrays['label'].dtype == np.int32 and split.levels == 2


def test_what_does_not_fit_is_streamed():
  split = from_fetch(fetch, len(IMAGES), (2, 2, 1), IMAGES.nbytes - 1)
  assert split.arrays is None and split.size == len(IMAGES)
  np.testing.assert_array_equal(split.fetch(np.array([1]))['image'], IMAGES[1:2])


def test_an_error_while_decoding_is_raised():
  def broken(indices):
    if CHUNK in indices:
      raise ValueError('row 512')
    return fetch(indices)

  with pytest.raises(ValueError, match='row 512'):
    from_fetch(broken, len(IMAGES), (2, 2, 1), 10**9)
