"""What is kept of a data set: as JSON and back, what differs, what is said of it."""

import json

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from gen_jax.audio.features import Features
from gen_jax.audio.voice import Voice
from gen_jax.config import common
from gen_jax.data import sources
from gen_jax.data.dataset import Feature
from gen_jax.data.record import Record, describe, describe_feature, differences, record_of
from gen_jax.data.sounds import Sound
from gen_jax.data.splits import Splits
from gen_jax.errors import UserError


def section(name, **changes):
  data = common().data
  data.update({'name': str(name), **changes})
  return data


def write_classes(root, names, size=(6, 4), number=6):
  for name in names:
    (root / name).mkdir(parents=True)
    for i in range(number):
      Image.fromarray(np.full(size[::-1], i, np.uint8)).save(root / name / f'{i}.png')
  return root


@pytest.mark.parametrize('name', ['digits', 'sprites', 'ring'])
def test_a_record_is_the_same_after_it_was_written(name):
  record = record_of(section(name))
  assert Record.from_json(record.to_json()) == record and list(differences(record, record)) == []
  assert not record.in_files


def test_of_a_folder_too_and_it_is_known_by_its_content_however_it_is_seen(tmp_path):
  folder = write_classes(tmp_path / 'a', ['cat', 'dog'])
  first = record_of(section(folder))
  assert Record.from_json(first.to_json()) == first and first.in_files
  copy = write_classes(tmp_path / 'b', ['cat', 'dog'])
  assert record_of(section(copy)).fingerprint == first.fingerprint
  assert record_of(section(copy, class_order='text', resident_mib=0)).fingerprint == first.fingerprint
  other = write_classes(tmp_path / 'c', ['cat', 'emu'])
  assert record_of(section(other)).fingerprint != first.fingerprint
  numbers = section(write_classes(tmp_path / 'e', ['2', '10']))
  assert record_of(numbers).class_names == ('2', '10')
  as_text = section(tmp_path / 'e', class_order='text')
  assert record_of(as_text).class_names == ('10', '2')
  assert record_of(as_text).fingerprint == record_of(numbers).fingerprint
  small = write_classes(tmp_path / 'd', ['cat', 'dog'], number=5)
  assert record_of(section(small)).fingerprint != first.fingerprint


def test_voices_are_kept_and_records_without_them_are_read():
  voices = {'a': Voice((1.5, -2.0), (0.1, 1 / 3), (5.0, 0.2)), 'b': Voice((0.0, 1.0), (1.0, 2.0))}
  points = record_of(section('ring'))
  assert points.sound is None and Record.from_json(points.to_json()).sound is None
  splits = {**points.splits, 'test': points.splits['test']._replace(parallel=True)}
  record = points._replace(sound=Sound(Features('world', 8_000, 2), voices, {}), splits=splits)
  assert Record.from_json(record.to_json()) == record and record.fingerprint == points.fingerprint
  content = json.loads(points.to_json())
  assert 'parallel' not in content['splits']['test'] and content.pop('sound') is None
  assert Record.from_json(json.dumps(content)) == points  # of a run that is older than sounds
  other = record._replace(sound=record.sound._replace(features=Features('mel', 8_000, 2)))
  assert list(differences(record, other)) == [
    'frames: 2 bands of world, each 16 ms of 8000 Hz then, 2 bands of mel, each 16 ms of 8000 Hz now'
  ]
  assert list(differences(record, record._replace(sound=record.sound._replace(voices={})))) == []
  assert describe_feature(Feature((64, 80, 1), 0, 'sound')) == 'sounds of 64 frames, 80 bands'


def test_what_differs_is_said_in_words(tmp_path):
  first = record_of(section(write_classes(tmp_path / 'a', ['cat', 'dog'])))
  for name, changes, expected in (
    ('b', {'names': ['cat', 'emu']}, 'classes: cat, dog then, cat, emu now'),
    ('c', {'size': (6, 5)}, 'image: images 4x6, gray then, images 5x6, gray now'),
  ):
    now = record_of(section(write_classes(tmp_path / name, **{'names': ['cat', 'dog'], **changes})))
    assert next(differences(first, now)) == expected
  more = first._replace(splits={**first.splits, 'train': first.splits['train']._replace(size=100)})
  assert list(differences(first, more)) == [f'train: {first.splits["train"].size} examples then, 100 now']


def test_what_was_read_is_said(tmp_path):
  folder = write_classes(tmp_path / 'photos', ['train/cat', 'train/dog', 'val/cat', 'test/dog'])
  (folder / 'notes.txt').touch()
  assert list(describe(record_of(section(folder)))) == [
    f'data: the folder {folder}: 12 train, 6 validation, 6 test; images 4x6, gray',
    'splits: folders test/, train/, val/',
    'classes: 0 is cat (6), 1 is dog (6)',
    'left out: 1 .txt',
  ]
  lines = list(describe(record_of(section('digits'))))
  assert lines[0] == 'data: the built-in set digits: 1,397 train, 200 validation, 200 test; images 8x8, gray'
  assert lines[2].startswith('classes: 0 (138), 1 (142), 2 ')
  lines = list(describe(record_of(section('sprites'))))
  assert 'factors: shape (3), scale (6), orientation (40), x (32), y (32)' in lines


def test_a_name_of_two_things_is_said(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  write_classes(tmp_path / 'digits', ['cat', 'dog'])
  assert 'this is no folder digits of yours: that is --config.data.name=./digits' in list(
    describe(record_of(section('digits', resident_mib=7)))
  )
  own = sources.normalized(section('./digits'))
  assert own.name == str(tmp_path / 'digits') and sources.open_split(own, 'train').class_names == ('cat', 'dog')
  write_classes(tmp_path / 'mnist', ['cat', 'dog'])
  (tmp_path / 'prepared' / 'mnist').mkdir(parents=True)
  folder = sources.normalized(section('mnist', dir=f'{tmp_path}/prepared'))
  assert folder.name == str(tmp_path / 'mnist')
  notes = sources.open_split(folder, 'train').about.notes
  assert f'this is not the TFDS set mnist: that is --config.data.name={tmp_path}/prepared/mnist/VERSION' in notes


def test_a_folder_whose_name_ends_like_a_file_is_a_folder(tmp_path):
  for name in ('faces.png', 'tables.csv'):
    write_classes(tmp_path / name, ['cat', 'dog'])
    assert sources.open_split(section(tmp_path / name), 'train').kind == 'image'


def test_a_file_of_another_kind_is_refused(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'photos.zip').touch()
  with pytest.raises(UserError, match=r'photos.zip is a file: name a folder of images'):
    sources.open_split(section('photos.zip'), 'train')


def test_splits_without_a_record_are_those_that_are_named():
  splits = Splits(ConfigDict(section('digits')))
  assert splits.split('test') is splits.open('test') is splits.blank('test') and splits.own_key == ''


def test_splits_are_opened_where_a_row_is_asked_for(tmp_path, monkeypatch):
  data = section(write_classes(tmp_path / 'photos', ['cat', 'dog']))
  record = record_of(data)
  rows = sources.open_split(data, 'test').fetch(np.arange(1))
  opened = []
  open_split = sources.open_split
  monkeypatch.setattr(sources, 'open_split', lambda data, split: opened.append(split) or open_split(data, split))
  splits = Splits(data, record, {**rows, 'index': np.arange(1)})
  test, train = splits.split('test'), splits.split('train')
  for split, name in ((test, 'test'), (train, 'train')):
    assert (split.size, split.image_shape, split.class_names) == (record.splits[name].size, (4, 6, 1), ('cat', 'dog'))
    assert sum(split.class_counts) == split.size
  np.testing.assert_array_equal(test.fetch(np.array([0, 0]))['image'], rows['image'][[0, 0]])
  assert splits.blank('train').fetch(np.arange(3))['label'].shape == (3,) and opened == []
  expected = open_split(data, 'train').fetch(np.arange(2))['image']
  for _ in range(2):
    np.testing.assert_array_equal(train.fetch(np.arange(2))['image'], expected)
  assert opened == ['train']
  assert splits.own_key == f'folder-{record.fingerprint}' == Splits(data).own_key


def test_points_of_a_file_by_their_record(tmp_path):
  points = np.random.default_rng(0).normal((500.0, -3.0), (40.0, 0.1), (60, 2))
  path = tmp_path / 'points.csv'
  path.write_text('height,weight\n' + ''.join(f'{x},{y}\n' for x, y in points))
  data = section(path)
  record = record_of(data)
  assert Record.from_json(record.to_json()) == record and record.units.names == ('height', 'weight')
  split, opened = Splits(data, record).split('test'), sources.open_split(data, 'test')
  assert (split.kind, split.size, split.units) == ('points', 6, record.units)
  draw = lambda target: target.sample(np.random.default_rng(0), 9)
  np.testing.assert_array_equal(draw(split.target), draw(opened.target))
  missing = Splits(section(tmp_path / 'gone.csv'), record).split('test')
  assert missing.units == record.units
  for ask in (lambda: missing.fetch(np.arange(2)), lambda: draw(missing.target)):
    with pytest.raises(UserError, match=r'this needs the data of the run, the table .*points.csv.*: there is no file'):
      ask()


def test_a_missing_folder_is_called_one(tmp_path, monkeypatch):
  for name in ('/nowhere/photos', './nowhere', '~/nowhere', 'nowhere/'):
    with pytest.raises(UserError, match=r'there is no folder .*(nowhere)'):
      sources.open_split(section(name), 'train')
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'holidays').mkdir()
  with pytest.raises(UserError, match=r"no TFDS set 'holiday' is .*; did you mean holidays\?"):
    sources.open_split(section('holiday'), 'train')
  with pytest.raises(UserError, match=r"no TFDS set 'nowhere' is known .* and there is no folder of this name"):
    sources.open_split(section('nowhere'), 'train')
