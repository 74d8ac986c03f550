import numpy as np
import pytest

from gen_jax.data import order
from gen_jax.data.dataset import CHUNK, Feature, from_arrays, from_fetch

IMAGES = np.arange((CHUNK + 3) * 4, dtype=np.uint8).reshape(-1, 2, 2, 1)
GRAY = {'image': Feature((2, 2, 1))}
LABELS = np.arange(len(IMAGES), dtype=np.int32)


def fetch(indices):
  return {'image': IMAGES[indices], 'label': LABELS[indices]}


def test_arrays_are_gathered():
  split = from_arrays({'image': IMAGES, 'label': LABELS}, num_classes=3, factor_sizes=(4,))
  assert (split.size, split.features) == (CHUNK + 3, {'image': Feature((2, 2, 1))})
  assert (split.num_classes, split.factor_sizes) == (3, (4,))
  rows = split.fetch(np.array([4, 0, 4]))
  np.testing.assert_array_equal(rows['image'], IMAGES[[4, 0, 4]])
  np.testing.assert_array_equal(rows['label'], [4, 0, 4])
  assert split.finish(rows) is rows
  assert split.rows is order.shuffled_rows and split.initial_state == () and split.target is None


def test_numbers_are_kept():
  points = np.linspace(-2, 2, 10, dtype=np.float32).reshape(5, 1, 1, 2)
  split = from_arrays({'image': points}, kind='points')
  assert (split.size, split.image_shape, split.levels, split.kind) == (5, (1, 1, 2), 0, 'points')
  assert split.fetch(np.array([3]))['image'].dtype == np.float32
  np.testing.assert_array_equal(split.fetch(np.array([3]))['image'], points[[3]])


def test_images_without_gray_values_are_a_mistake():
  with pytest.raises(ValueError, match="say kind='points'"):
    from_arrays({'image': IMAGES}, levels=0)


def test_the_main_feature_is_the_image_or_the_first():
  pair = {'image_b': IMAGES, 'image_a': IMAGES[:, :1], 'label': LABELS}
  assert from_arrays(pair).features == {'image_b': Feature((2, 2, 1)), 'image_a': Feature((1, 2, 1))}
  assert from_arrays(pair, levels=2).levels == 2
  assert from_arrays(pair).image_shape == (2, 2, 1)
  assert from_arrays({**pair, 'image': IMAGES[:, :, :1]}).image_shape == (2, 1, 1)


def test_all_features_count_for_the_budget():
  def both(indices):
    return {'image': IMAGES[indices], 'place': np.zeros((len(indices), 1, 1, 2), np.float32)}

  features = GRAY | {'place': Feature((1, 1, 2), 0, 'points')}
  budget = len(IMAGES) * (4 + 2 * 4)
  assert from_fetch(both, len(IMAGES), features, budget).arrays['place'].dtype == np.float32
  assert from_fetch(both, len(IMAGES), features, budget - 1).arrays is None


def test_what_fits_is_resident():
  split = from_fetch(fetch, len(IMAGES), {'image': Feature((2, 2, 1), 2)}, IMAGES.nbytes)
  np.testing.assert_array_equal(split.arrays['image'], IMAGES)
  np.testing.assert_array_equal(split.arrays['label'], LABELS)
  assert split.arrays['label'].dtype == np.int32 and split.levels == 2


def test_what_does_not_fit_is_streamed():
  split = from_fetch(fetch, len(IMAGES), GRAY, IMAGES.nbytes - 1)
  assert split.arrays is None and split.size == len(IMAGES)
  np.testing.assert_array_equal(split.fetch(np.array([1]))['image'], IMAGES[1:2])


def test_an_error_while_decoding_is_raised():
  def broken(indices):
    if CHUNK in indices:
      raise ValueError('row 512')
    return fetch(indices)

  with pytest.raises(ValueError, match='row 512'):
    from_fetch(broken, len(IMAGES), GRAY, 10**9)
