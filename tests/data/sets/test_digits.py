import numpy as np
import pytest
from sklearn.datasets import load_digits

from gen_jax.data.sets import digits

SIZES = {'train': 1397, 'validation': 200, 'test': 200}


@pytest.fixture(scope='module')
def splits():
  return {name: digits.load(name) for name in SIZES}


def test_shapes_and_types(splits):
  for name, size in SIZES.items():
    split = splits[name]
    assert (split.size, split.image_shape, split.levels, split.num_classes) == (size, (8, 8, 1), 256, 10)
    assert split.arrays['image'].shape == (size, 8, 8, 1) and split.arrays['image'].dtype == np.uint8
    assert split.arrays['label'].shape == (size,) and split.arrays['label'].dtype == np.int32


def test_classes_are_balanced(splits):
  for name in ('validation', 'test'):
    np.testing.assert_array_equal(np.bincount(splits[name].arrays['label']), 20)


def test_splits_are_disjoint_and_complete(splits):
  ours = np.concatenate(
    [np.concatenate([s.arrays['image'].reshape(-1, 64), s.arrays['label'][:, None]], 1) for s in splits.values()]
  )
  images, labels = load_digits(return_X_y=True)
  theirs = np.concatenate([images, labels[:, None]], 1)
  ours = np.concatenate([np.rint(ours[:, :64] * 16 / 255), ours[:, 64:]], 1)
  key = lambda rows: sorted(map(tuple, rows.astype(int).tolist()))
  assert key(ours) == key(theirs)


def test_the_split_is_the_same_each_time(splits):
  np.testing.assert_array_equal(digits.load('test').arrays['image'], splits['test'].arrays['image'])
