"""The images of one set among crops of others, with groups of stated shares."""

import numpy as np
import pytest

from gen_jax.data import sources
from gen_jax.data.sets import detection, tfds
from gen_jax.errors import UserError
from tests.small import small_config, write_images

RNG = np.random.default_rng(0)
GROUPS, SEXES = ('a', 'b'), ('m', 'f')


def faces_of(split):
  """Red images of 60 (train) or 30 examples, of two groups and two sexes; brighter in group b."""
  number = 60 if split == 'train' else 30
  group, sex = np.arange(number) % 3 == 0, np.arange(number) % 2
  images = np.zeros((number, 12, 12, 3), np.uint8)
  images[..., 0] = 100 + 100 * group[:, None, None]
  arrays = {'image': images, 'race': group.astype(np.int32), 'sex': sex.astype(np.int32)}
  return detection.from_arrays(arrays, features={'image': tfds.Feature((12, 12, 3))})._replace(
    attributes={'race': GROUPS, 'sex': SEXES}
  )


@pytest.fixture
def data(tmp_path, monkeypatch):
  """A section whose positives are `faces_of`, and whose negatives lie in a folder."""
  write_images(tmp_path / 'others')

  def load(name, expression, data_dir, budget, *, size, attributes):
    assert (name, size) == ('people', 16)
    if missing := set(attributes) - {'race', 'sex'}:
      raise UserError(f'people has no feature {missing}')
    return faces_of('train' if expression.startswith('train[:') else 'test')

  monkeypatch.setattr(tfds, 'load', load)

  def section(**changes):
    given = {
      'name': 'detection',
      'positives': 'people',
      'negatives': (str(tmp_path / 'others'),),
      'attributes': ('race', 'sex'),
      'shares': (0.9, 0.1),
      'examples': (20, 30),
      'size': 8,
    }
    return small_config(data=given | changes).data

  return section


def is_red(images):
  return (images[..., 0] > 0).all((1, 2)) & (images[..., 1] == 0).all((1, 2))


def test_training_has_stated_shares_and_tests_balanced_groups(data):
  train, test = (sources.open_split(data(), split) for split in ('train', 'test'))
  assert train.class_counts == (30, 20) and test.class_counts == (20, 20)
  positive = train.arrays['label'] == 1
  np.testing.assert_array_equal(is_red(train.arrays['image']), positive)
  np.testing.assert_array_equal(np.bincount(train.arrays['race'][positive]), [18, 2])
  np.testing.assert_array_equal(train.arrays['image'][positive, 0, 0, 0], 100 + 100 * train.arrays['race'][positive])
  assert (train.arrays['race'][~positive] == -1).all() and (train.arrays['sex'][~positive] == -1).all()
  np.testing.assert_array_equal(np.bincount(test.arrays['race'][test.arrays['label'] == 1]), [10, 10])
  assert train.attributes == {'race': GROUPS, 'sex': SEXES}
  assert train.image_shape == (8, 8, 3) and train.arrays['image'].dtype == np.uint8
  assert 5 < positive[:25].sum() < 15  # in a random order


def test_splits_are_the_same_whenever_they_are_opened(data):
  first, again = (detection.open_split(data(), 'train').arrays for _ in range(2))
  for name in first:
    np.testing.assert_array_equal(first[name], again[name])


def test_parts_of_positives_are_among_the_negatives(data):
  train = sources.open_split(data(near_positives=0.5), 'train')
  negatives = train.arrays['image'][train.arrays['label'] == 0]
  assert is_red(negatives).sum() == 15


def test_every_image_loses_contrast_and_is_covered(data):
  train = sources.open_split(data(contrast_loss=0.5, cover=0.5), 'train')
  images = train.arrays['image'].astype(int)
  covered = (np.abs(images - 127.5) <= 0.5).all(-1)
  assert (covered.sum((1, 2)) >= 16).all()  # 4x4 of 8x8
  faces = images[train.arrays['label'] == 1]
  green = np.where(covered[train.arrays['label'] == 1], 255, faces[..., 1]).min((1, 2))  # was 0
  assert (green >= 0).all() and (green <= 64).all() and np.ptp(green) > 20


def test_crops_are_anywhere_and_as_wide_as_the_size_or_wider():
  images = np.zeros((2, 10, 20, 3), np.uint8)
  images[0] = np.arange(20, dtype=np.uint8)[None, :, None] * 10
  crops = np.stack(detection.crop_anywhere(images, 200, 8, np.random.default_rng(0)))
  assert crops.shape == (200, 8, 8, 3)
  kinds = (crops > 0).any((1, 2, 3))
  assert kinds.sum() == 100  # each image as often as the other
  left = crops[kinds][:, 0, 0, 0]
  assert left.min() <= 10 and left.max() >= 90


@pytest.mark.parametrize(
  'changes, message',
  [
    ({'size': 0}, 'config.data.size=0'),
    ({'positives': ''}, 'config.data.positives'),
    ({'negatives': ()}, r'config.data.positives and .negatives'),
    ({'shares': (0.5, 0.2, 0.3)}, 'one share of each of a, b, together 1'),
    ({'shares': (0.5, 0.4)}, 'one share of each of a, b, together 1'),
    ({'examples': (400, 10)}, 'people has 40 images of a to train with, not 360: lower data.examples'),
    ({'attributes': ('age',)}, 'people has no feature'),
  ],
)
def test_what_cannot_be_is_one_line(data, changes, message):
  with pytest.raises(UserError, match=message):
    sources.open_split(data(**changes), 'train')


def test_a_folder_has_no_attributes(data, tmp_path):
  with pytest.raises(UserError, match=r'the images of the folder .* have none'):
    sources.open_split(data(positives=str(tmp_path / 'others')), 'train')
  plain = sources.open_split(data(positives=str(tmp_path / 'others'), attributes=(), shares=()), 'train')
  assert plain.class_counts == (30, 20) and not plain.attributes
