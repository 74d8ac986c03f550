import numpy as np
import pytest

from gen_jax.data import order
from gen_jax.data.dataset import CHUNK, Feature, from_arrays, from_fetch, leave_out
from gen_jax.data.outliers import beside
from gen_jax.errors import UserError

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


def test_classes_are_left_out():
  images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
  data = from_arrays({'image': images, 'label': np.array([0, 1, 2, 1, 0, 2], np.int32)}, num_classes=3)
  left = leave_out(data, (1,))
  np.testing.assert_array_equal(left.arrays['image'][:, 0, 0, 0], [0, 2, 4, 5])
  np.testing.assert_array_equal(left.fetch(np.array([3, 1]))['image'][:, 0, 0, 0], [5, 2])
  assert (left.size, left.class_counts, left.num_classes) == (4, (2, 0, 2), 3)
  assert left.about.notes == ('left out: 1',)
  with pytest.raises(UserError, match='3 is none of the classes 0 to 2'):
    leave_out(data, (0, 3))
  with pytest.raises(UserError, match='no example is left'):
    leave_out(data, (0, 1, 2))
  with pytest.raises(UserError, match='the data have no labels'):
    leave_out(from_arrays({'image': images}), (0,))


def test_outliers_stand_beside_images_in_their_shape_and_levels():
  binary = from_arrays({'image': np.zeros((5, 4, 4, 1), np.uint8)}, levels=2)
  gray = from_arrays({'image': np.full((3, 8, 8, 3), 200, np.uint8)})
  both = beside(binary, 'gray', lambda: gray)
  assert both.features['outlier'] == binary.features['image'] and both.size == 5
  np.testing.assert_array_equal(both.arrays['outlier'], np.ones((5, 4, 4, 1), np.uint8))
  np.testing.assert_array_equal(both.fetch(np.array([4]))['outlier'], both.arrays['outlier'][4:])
  turned = beside(gray, 'binary', lambda: binary)
  assert turned.arrays['outlier'].shape == (3, 8, 8, 3) and not turned.arrays['outlier'].any()


def test_outliers_that_cannot_be_opened_are_named():
  def refuse():
    raise UserError('no such set')

  images = from_arrays({'image': np.zeros((5, 4, 4, 1), np.uint8)})
  with pytest.raises(UserError, match='outliers=nothing: no such set'):
    beside(images, 'nothing', refuse)
  with pytest.raises(UserError, match='kept, not drawn'):
    beside(images, 'drawn', lambda: images._replace(arrays={'factors': np.zeros((5, 2))}))
  with pytest.raises(UserError, match='kept in memory'):
    beside(images._replace(arrays=None), 'images', lambda: images)
