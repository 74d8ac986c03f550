"""Unpaired sides in a folder and of TFDS; see the tests of `sides` for which files are of which side."""

import numpy as np
import pytest
from PIL import Image

from gen_jax.config import common
from gen_jax.data import sources
from gen_jax.data.dataset import Feature
from gen_jax.data.record import Record, describe, differences, record_of
from gen_jax.data.sets import folder, unpaired
from gen_jax.data.splits import Splits
from gen_jax.errors import UserError

BUDGET = 2**30
NUMBERS = {'trainA': 5, 'trainB': 3, 'valA': 1, 'valB': 2, 'testA': 1, 'testB': 1}


def section(name, **changes):
  data = common().data
  data.update({'name': str(name), 'layout': 'unpaired', **changes})
  return data


def pixels(folder_name, i, height=4, width=6):
  """Those of A are gray."""
  seed = [list(NUMBERS).index(folder_name), i]
  shape = (height, width) if folder_name.endswith('A') else (height, width, 3)
  return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def fill(root):
  for name, number in NUMBERS.items():
    (root / name).mkdir(parents=True)
    for i in range(number):
      Image.fromarray(pixels(name, i)).save(root / name / f'{i}.png')
  return root


@pytest.fixture
def root(tmp_path):
  return fill(tmp_path / 'horses')


def test_each_side_has_its_images_in_an_order_of_its_own(root):
  split = unpaired.load(root, 'train', 0, BUDGET)
  assert (split.size, dict(split.own_order)) == (5, {'image_a': 5, 'image_b': 3})
  assert split.features == {'image_a': Feature((4, 6, 1)), 'image_b': Feature((4, 6, 3))}
  np.testing.assert_array_equal(split.arrays['image_a'][..., 0], [pixels('trainA', i) for i in range(5)])
  np.testing.assert_array_equal(split.arrays['image_b'], [pixels('trainB', i) for i in range(3)])
  rows = split.fetch(np.arange(5))
  np.testing.assert_array_equal(rows['image_b'], split.arrays['image_b'][[0, 1, 2, 0, 1]])
  assert dict(unpaired.load(root, 'validation', 0, BUDGET).own_order) == {'image_a': 1, 'image_b': 2}
  assert split.num_classes == 0


def test_sides_may_have_other_shapes_and_a_size_makes_them_one(root):
  for file in root.glob('*B/*.png'):
    Image.fromarray(pixels(file.parent.name, 0, 8, 8)).save(file)
  split = unpaired.load(root, 'train', 0, BUDGET)
  assert {name: feature.shape for name, feature in split.features.items()} == {
    'image_a': (4, 6, 1), 'image_b': (8, 8, 3)
  }  # fmt: skip
  split = unpaired.load(root, 'train', 3, BUDGET)
  assert split.arrays['image_a'].shape == (5, 3, 3, 1) and split.features['image_b'].shape == (3, 3, 3)
  Image.fromarray(pixels('trainA', 0, 5, 6)).save(root / 'trainA/1.png')
  with pytest.raises(UserError, match=r'trainA/0.png is 4x6 but .*trainA/1.png is 5x6: set data.size'):
    unpaired.load(root, 'train', 0, BUDGET)


def test_a_palette_is_of_one_side(root):
  split = unpaired.load(root, 'train', 0, BUDGET, palettes=((), ((0, 0, 0), (255, 255, 255))))
  assert split.features == {'image_a': Feature((4, 6, 1)), 'image_b': Feature((4, 6, 2), 2)}
  np.testing.assert_array_equal(split.arrays['image_b'].sum(-1), 1)


def test_they_must_fit_in_memory(root):
  with pytest.raises(UserError, match=r'take 1 MiB, and unpaired sides are kept in memory: raise config.data.resident'):
    unpaired.load(root, 'train', 0, 5 * 24 + 3 * 72 - 1)
  assert unpaired.load(root, 'train', 0, 5 * 24 + 3 * 72).size == 5


def test_a_damaged_file_is_named(root):
  (root / 'trainB/1.png').write_bytes(b'no image')
  with pytest.raises(UserError, match=r'trainB/1.png cannot be read as an image'):
    unpaired.load(root, 'train', 0, BUDGET)


def test_the_section_opens_them(root):
  data = section(root)
  assert sources.owner_of(data) is unpaired and sources.is_own(data) and list(sources.problems(data)) == []
  assert [line.split(':')[0] for line in sources.problems(section(root, class_order='text', label='x'))] == [
    'config.data.class_order=\'text\'', 'config.data.label=\'x\''
  ]  # fmt: skip
  exchanged = sources.open_split(section(root, swap=True), 'train')
  assert dict(exchanged.own_order) == {'image_a': 3, 'image_b': 5}
  assert exchanged.about.notes[-1] == 'the sides A and B are exchanged'
  with pytest.raises(UserError, match=r"binarize='static': unpaired sides have no row in common .*; use 'dynamic'"):
    sources.open_split(section(root, binarize='static'), 'train')
  with pytest.raises(UserError, match=r'the data have no labels'):
    sources.open_split(section(root, without=(0,)), 'train')


def test_without_a_layout_the_folders_are_classes(root):
  split = sources.open_split(section(root, layout=''), 'train')
  assert list(split.features) == ['image'] and split.class_names == tuple(sorted(NUMBERS))
  note = "folders trainA/ and trainB/ are read as classes: config.data.layout='unpaired' makes them two sides"
  assert note in split.about.notes


def test_a_run_knows_them_again_and_works_without_them(root, monkeypatch):
  data = section(root)
  record = record_of(data)
  assert Record.from_json(record.to_json()) == record and list(differences(record, record)) == []
  assert next(describe(record)) == (
    f'data: the unpaired sides in the folder {root}: 5 and 3 train, 1 and 2 validation, 1 and 1 test; '
    'image_a: images 4x6, gray; image_b: images 4x6, RGB'
  )
  copy = section(fill(root.parent / 'elsewhere'), resident_mib=7)
  assert record_of(copy).fingerprint == record.fingerprint
  (root / 'trainB/2.png').unlink()
  assert list(differences(record, record_of(section(root, resident_mib=9)))) == [
    'train: 5 and 3 then, 5 and 2 now'
  ]  # fmt: skip
  kept = sources.open_split(copy, 'test').fetch(np.arange(1))
  monkeypatch.setattr(sources, 'open_split', None)
  splits = Splits(data, record, {**kept, 'index': np.arange(1)})
  train, test = splits.blank('train'), splits.split('test')
  assert (train.size, dict(train.own_order), train.features) == (5, {'image_a': 5, 'image_b': 3}, record.features)
  assert train.fetch(np.arange(5))['image_b'].shape == (5, 4, 6, 3)
  np.testing.assert_array_equal(test.fetch(np.array([0]))['image_a'], kept['image_a'])


def test_names_of_splits_take_the_side():
  assert unpaired.of_side('train[:90%]', 'A') == 'trainA[:90%]'
  assert unpaired.of_side('train[5:]+test', 'B') == 'trainB[5:]+testB'


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
  """A set of TFDS whose splits are the sides."""
  import tensorflow_datasets as tfds

  class Zebras(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
      image, label = tfds.features.Image(shape=(None, None, 3)), tfds.features.ClassLabel(names=['A', 'B'])
      return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({'image': image, 'label': label}))

    def _split_generators(self, _):
      of = lambda side, number: enumerate(
        {'image': Image.fromarray(np.full((4, 5 + i, 3), 10 * i + 'AB'.index(side), np.uint8)), 'label': side}
        for i in range(number)
      )
      return {'trainA': of('A', 20), 'trainB': of('B', 10), 'testA': of('A', 3), 'testB': of('B', 2)}

    def _generate_examples(self):
      raise NotImplementedError

  root = tmp_path_factory.mktemp('tfds')
  Zebras.name = 'zebras'
  Zebras(data_dir=str(root), file_format='array_record').download_and_prepare()
  return root


def test_sides_of_a_prepared_set(prepared):
  data = section('zebras', dir=str(prepared), size=4)
  train, validation, test = (sources.open_split(data, name) for name in ('train', 'validation', 'test'))
  assert dict(train.own_order) == {'image_a': 18, 'image_b': 9}
  assert dict(validation.own_order) == {'image_a': 2, 'image_b': 1} and dict(test.own_order)['image_b'] == 2
  assert train.features == dict.fromkeys(('image_a', 'image_b'), Feature((4, 4, 3))) and train.num_classes == 0
  assert set(train.arrays['image_a'][:, 0, 0, 0] % 10) == {0} and set(train.arrays['image_b'][:, 0, 0, 0] % 10) == {1}
  assert train.about.split_rule == (
    'trainA[:90%], trainB[:90%], trainA[90%:], trainB[90%:], testA, testB'
  )  # fmt: skip
  assert not sources.is_own(data) and list(sources.problems(sources.normalized(data))) == []
  assert sources.normalized(data).train_split == 'train[:90%]'
  (line,) = sources.problems(section('zebras', palette_a=((0, 0, 0), (1, 1, 1))))
  assert line.startswith('config.data.palette_a=')
  other = sources.open_split(section('zebras', dir=str(prepared), size=4, train_split='train[:5]'), 'train')
  assert dict(other.own_order) == {'image_a': 5, 'image_b': 5}


def test_mistakes_of_a_prepared_set(prepared):
  for changes, message in (
    ({'size': 4, 'train_split': 'rain'}, "zebras has no split 'rainA'; did you mean trainA"),
    ({}, r'the images of zebras differ in shape: set data.size'),
    ({'size': 4, 'resident_mib': 0}, r'the unpaired sides of zebras take 1 MiB, .*raise config.data.resident_mib'),
  ):
    with pytest.raises(UserError, match=message):
      sources.open_split(section('zebras', dir=str(prepared), **changes), 'train')
  with pytest.raises(UserError, match=r'there is no folder .*nowhere'):
    sources.open_split(section('./nowhere'), 'train')
  assert not folder.owns(section('./nowhere'))
