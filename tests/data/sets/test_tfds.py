import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen_jax.data.sets import tfds
from gen_jax.errors import UserError

BUDGET = 2**30
IMAGES = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), np.uint8)
UNEQUAL = [np.full((4 + i, 9 - i, 1), 10 * i, np.uint8) for i in range(5)]
BINARY = np.random.default_rng(1).integers(0, 2, (7, 4, 4, 1), np.uint8)


def prepare(root, name, features, splits):
  """Writes a set as TFDS prepares it; `splits` is {split: [example]}."""
  import tensorflow_datasets as tfds

  class Prepared(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
      return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features(tfds.features)))

    def _split_generators(self, _):
      return {split: enumerate(examples) for split, examples in splits.items()}

    def _generate_examples(self):
      raise NotImplementedError

  Prepared.name = name
  Prepared(data_dir=str(root), file_format='array_record').download_and_prepare()


def picture(image):
  """What TFDS encodes without TensorFlow: a PIL image."""
  return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  root = tmp_path_factory.mktemp('tfds')
  people = [{'image': picture(image), 'label': i % 3, 'gender': i % 2, 'age': i} for i, image in enumerate(IMAGES)]
  prepare(
    root,
    'people',
    lambda f: {
      'image': f.Image(shape=(6, 5, 3)),
      'label': f.ClassLabel(num_classes=3),
      'gender': f.ClassLabel(names=['male', 'female']),
      'age': np.int64,
    },
    {'train': people[:15], 'test': people[15:]},
  )
  prepare(
    root,
    'shapes',
    lambda f: {
      'picture': f.Image(shape=(4, 4, 1)),
      'label_b': f.ClassLabel(num_classes=7),
      'label_a': f.ClassLabel(num_classes=4),
      'value_a': np.float32,
    },
    {
      'train': [
        {'picture': picture(image), 'label_b': i, 'label_a': i // 2, 'value_a': i / 2} for i, image in enumerate(BINARY)
      ]
    },
  )
  prepare(
    root,
    'captions',
    lambda f: {'image': f.Image(shape=(4, 4, 1)), 'label': f.Text(), 'kind': f.ClassLabel(names=['cat', 'dog'])},
    {'train': [{'image': picture(image), 'label': 'words', 'kind': i % 2} for i, image in enumerate(BINARY)]},
  )
  prepare(
    root,
    'unequal',
    lambda f: {'image': f.Image(shape=(None, None, 1))},
    {'train': [{'image': picture(image)} for image in UNEQUAL]},
  )
  return root


@pytest.fixture
def copy(root, tmp_path):
  """A copy of one set that may be damaged."""
  return Path(shutil.copytree(root / 'people', tmp_path / 'people')) / '1.0.0'


def by_content(images):
  """Preparation shuffles, so examples are found again by their bytes."""
  return {image.tobytes(): i for i, image in enumerate(images)}


def test_images_and_labels_belong_together(root):
  train, test = (tfds.load('people', split, root, BUDGET) for split in ('train', 'test'))
  assert (train.size, train.image_shape, train.levels, train.num_classes) == (15, (6, 5, 3), 256, 3)
  assert train.arrays['image'].dtype == np.uint8 and train.arrays['label'].dtype == np.int32
  original = by_content(IMAGES)
  for split, expected in ((train, range(15)), (test, range(15, 20))):
    results = [original[image.tobytes()] for image in split.arrays['image']]
    assert sorted(results) == list(expected)
    np.testing.assert_array_equal(split.arrays['label'], np.array(results) % 3)


def test_slices_of_splits(root):
  whole = tfds.load('people', 'train', root, BUDGET).arrays['image']
  for split, expected in (('train[:9]', whole[:9]), ('train[9:]', whole[9:]), ('train[-20%:]', whole[-3:])):
    np.testing.assert_array_equal(tfds.load('people', split, root, BUDGET).arrays['image'], expected)
  assert tfds.load('people', 'test+train[:2]', root, BUDGET).size == 7
  assert tfds.load('people', 'all', root, BUDGET).size == 20


def test_a_folder_is_a_name_too(root):
  by_name = tfds.load('people', 'test', root, BUDGET)
  by_folder = tfds.load(str(root / 'people' / '1.0.0'), 'test', None, BUDGET)
  np.testing.assert_array_equal(by_folder.arrays['image'], by_name.arrays['image'])


def test_streamed_rows_are_the_resident_ones(root):
  resident, streamed = (tfds.load('people', 'train[3:]', root, budget) for budget in (BUDGET, 0))
  assert streamed.arrays is None
  rows = streamed.fetch(np.array([11, 0, 11]))
  for name in ('image', 'label'):
    np.testing.assert_array_equal(rows[name], resident.arrays[name][[11, 0, 11]])


def test_another_feature_as_label(root):
  split = tfds.load('people', 'train', root, BUDGET, label='gender')
  original = by_content(IMAGES)
  assert split.num_classes == 2
  np.testing.assert_array_equal(
    split.arrays['label'], [original[image.tobytes()] % 2 for image in split.arrays['image']]
  )


def test_a_text_called_label_is_no_class(root):
  split = tfds.load('captions', 'train', root, BUDGET)
  assert split.num_classes == 0
  assert split.about.notes == ('no labels: the feature label is Text, no class; --config.data.label takes one of kind',)
  with pytest.raises(UserError, match="captions has no label 'label', as this feature is Text and no class; there"):
    tfds.load('captions', 'train', root, BUDGET, label='label')
  split = tfds.load('captions', 'train', root, BUDGET, label='kind')
  assert split.class_names == ('cat', 'dog') and split.class_counts == (4, 3) and split.about.notes == ()


def test_its_content_is_known_again_wherever_it_lies(root, copy):
  by_name = tfds.load('people', 'train[:9]', root, BUDGET)
  by_folder = tfds.load(str(copy), 'train[:9]', None, 0)
  assert by_folder.hash_content() == by_name.hash_content()
  assert tfds.load('people', 'train[1:10]', root, BUDGET).hash_content() != by_name.hash_content()
  assert tfds.load('people', 'train[:9]', root, BUDGET, label='gender').hash_content() != by_name.hash_content()


def test_factors_and_binary_images(root):
  split = tfds.load('shapes', 'train', root, BUDGET)
  assert (split.levels, split.num_classes, split.factor_sizes) == (2, 0, (4, 7))
  assert set(split.arrays) == {'image', 'factors'}
  original = by_content(BINARY)
  for image, factors in zip(split.arrays['image'], split.arrays['factors'], strict=True):
    i = original[image.tobytes()]
    np.testing.assert_array_equal(factors, [i // 2, i])


def test_unequal_shapes_are_resized(root):
  split = tfds.load('unequal', 'train', root, BUDGET, size=3)
  assert split.image_shape == (3, 3, 1) and split.num_classes == 0
  assert sorted(split.arrays['image'][:, 0, 0, 0]) == [0, 10, 20, 30, 40]
  assert (split.arrays['image'] == split.arrays['image'][:, :1, :1]).all()
  with pytest.raises(UserError, match=r'the images of unequal differ in shape: set data.size'):
    tfds.load('unequal', 'train', root, BUDGET)


def test_tensorflow_is_not_needed(root, monkeypatch):
  monkeypatch.setitem(sys.modules, 'tensorflow', None)  # importing it now fails
  monkeypatch.setitem(sys.modules, 'cv2', None)
  assert tfds.load('people', 'train', root, BUDGET).size == 15


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'name': 'peopel'}, "no TFDS set 'peopel' is known or prepared below .*; did you mean people"),
    ({'name': 'mnst'}, "no TFDS set 'mnst' .*; did you mean mnist"),
    ({'name': 'a b'}, "cannot open the TFDS set 'a b'"),
    (
      {'name': 'emnist'},
      r'emnist is not prepared in .*emnist.*: prepare it once, where tensorflow is installed: '
      r"python -c .*tfds.builder\('emnist', file_format='array_record', data_dir='.*'\)",
    ),
    ({'split': 'trian'}, "people has no split 'trian'; did you mean train"),
    ({'split': 'train[:99]'}, r"'train\[:99\]' is no split of people: .*15 examples"),
    ({'split': 'train[x]'}, r"'train\[x\]' is no split of people"),
    ({'split': 'train[2:2]'}, r"the split 'train\[2:2\]' of people is empty"),
    ({'label': 'gendre'}, "people has no label 'gendre'; did you mean gender"),
    ({'label': 'age'}, "people has no label 'age', as this feature is Tensor and no class; there are gender, label"),
  ],
)
def test_mistakes_name_the_nearest(root, options, message):
  options = {'name': 'people', 'split': 'train', 'label': '', **options}
  with pytest.raises(UserError, match=message):
    tfds.load(options['name'], options['split'], root, BUDGET, label=options['label'])


def cut(folder):
  (file,) = folder.glob('*train.array_record*')
  file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def overwrite(folder):
  (file,) = folder.glob('*train.array_record*')
  data = bytearray(file.read_bytes())
  start = data.index(b'IDAT') if b'IDAT' in data else len(data) // 3
  data[start : start + 40] = bytes(40)
  file.write_bytes(data)


def remove(folder):
  (file,) = folder.glob('*train.array_record*')
  file.unlink()


def garble_info(folder):
  (folder / 'dataset_info.json').write_text('{')


def garble_features(folder):
  (folder / 'features.json').write_text('{')


@pytest.mark.parametrize('damage', [cut, overwrite, remove, garble_info, garble_features])
def test_damaged_files_are_a_users_error(copy, damage):
  damage(copy)
  with pytest.raises(UserError, match='people'):
    tfds.load('people', 'train', copy.parents[1], BUDGET)


def test_a_damaged_image_is_a_users_error(tmp_path):
  path = tmp_path / 'broken.png'
  Image.fromarray(IMAGES[0]).save(path)
  path.write_bytes(path.read_bytes()[:-30])
  prepare(tmp_path, 'broken', lambda f: {'image': f.Image(shape=(6, 5, 3))}, {'train': [{'image': str(path)}]})
  with pytest.raises(UserError, match=r'the files of broken cannot be read, .*example 0 cannot be read as an image'):
    tfds.load('broken', 'train', tmp_path, BUDGET)


def test_other_file_formats_are_refused(copy):
  info = json.loads((copy / 'dataset_info.json').read_text())
  info['fileFormat'] = 'tfrecord'
  (copy / 'dataset_info.json').write_text(json.dumps(info))
  with pytest.raises(UserError, match=r"not stored as ArrayRecord: remove it, then prepare it .*data_dir='.*'\)"):
    tfds.load('people', 'train', copy.parents[1], BUDGET)


@pytest.mark.data
def test_mnist():
  try:
    split = tfds.load('mnist', 'test', None, BUDGET)
  except UserError as error:
    pytest.skip(str(error))
  assert (split.size, split.image_shape, split.levels, split.num_classes) == (10000, (28, 28, 1), 256, 10)
  np.testing.assert_array_equal(
    np.bincount(split.arrays['label']), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
  )
  assert abs(split.arrays['image'].mean() / 255 - 0.1325) < 1e-3
