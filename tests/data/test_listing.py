"""What lies in a folder: splits, classes, and what is left out; files are empty, as their pixels do not matter."""

import collections
import os

import pytest

from gen_jax.data.listing import list_images, natural_order
from gen_jax.errors import UserError


def touch(root, *names):
  for name in names:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).touch()


def sizes(listing):
  return {split: len(paths) for split, paths in listing.splits.items()}


def test_without_folders_of_splits_the_path_decides(tmp_path):
  touch(tmp_path, *(f'{i}.png' for i in range(200)))
  before = list_images(tmp_path)
  assert sum(sizes(before).values()) == 200
  assert abs(sizes(before)['train'] - 160) < 20 and abs(sizes(before)['validation'] - 20) < 15
  assert before.split_rule == 'validation and test: each a tenth of the images, by the hash of their paths'
  touch(tmp_path, *(f'{i}.png' for i in range(200, 210)))
  after = list_images(tmp_path)
  for split, paths in before.splits.items():
    assert set(paths) <= set(after.splits[split])


@pytest.mark.parametrize(
  ('folders', 'rule'),
  [
    (('train', 'validation', 'test'), 'folders test/, train/, validation/'),
    (('Train', 'Val', 'TEST'), 'folders TEST/, Train/, Val/'),
    (('training', 'valid', 'testing'), 'folders testing/, training/, valid/'),
    (('train', 'dev', 'test'), 'folders dev/, test/, train/'),
  ],
)
def test_folders_of_splits_by_their_usual_names_in_any_case(tmp_path, folders, rule):
  for folder, number in zip(folders, (3, 2, 1), strict=True):
    touch(tmp_path, *(f'{folder}/{i}.png' for i in range(number)))
  listing = list_images(tmp_path)
  assert sizes(listing) == {'train': 3, 'validation': 2, 'test': 1} and listing.split_rule == rule
  assert listing.classes == () and listing.notes == ()


def test_a_split_that_has_no_folder_is_a_tenth_of_the_training_images(tmp_path):
  touch(tmp_path, *(f'Train/{"ab"[i % 2]}/{i}.png' for i in range(100)), *(f'Test/{c}/{c}.png' for c in 'ab'))
  listing = list_images(tmp_path)
  assert sizes(listing)['test'] == 2 and 3 <= sizes(listing)['validation'] <= 20
  assert sizes(listing)['train'] + sizes(listing)['validation'] == 100
  assert listing.split_rule == (
    'folders Test/, Train/; validation: a tenth of the training images, by the hash of their paths'
  )
  assert listing.classes == ('a', 'b')


def test_names_of_splits_are_classes_where_none_is_of_training_images(tmp_path):
  touch(tmp_path, *(f'{name}/{i}.png' for i in range(5) for name in ('valid', 'invalid', 'test')))
  assert list_images(tmp_path).classes == ('invalid', 'test', 'valid')


def test_each_split_of_a_tiny_folder_has_an_image(tmp_path):
  for number in range(3, 9):
    touch(tmp_path, f'{number}.png', 'a.png', 'b.png')
    assert min(sizes(list_images(tmp_path)).values()) >= 1
  assert sum(sizes(list_images(tmp_path)).values()) == 8


@pytest.mark.parametrize('names', [('a.png',), ('a.png', 'b.png'), ('train/a.png',), ('train/a.png', 'test/a.png')])
def test_too_few_images_are_said(tmp_path, names):
  touch(tmp_path, *names)
  with pytest.raises(UserError, match=f'has {len(names)} images?, too few for the splits'):
    list_images(tmp_path)


def test_classes_are_in_the_order_of_their_numbers(tmp_path):
  touch(tmp_path, *(f'{c}/{i}.png' for c in range(11) for i in range(3)))
  listing = list_images(tmp_path)
  assert listing.classes == tuple(map(str, range(11)))
  assert {path: int(path.split('/')[0]) for path in listing.class_of} == dict(listing.class_of)
  older = list_images(tmp_path, 'text')
  assert older.classes == ('0', '1', '10', '2', '3', '4', '5', '6', '7', '8', '9')
  assert older.class_of['10/0.png'] == 2
  (note,) = older.notes
  assert note.startswith('classes are in the order of their texts, as this run began')


@pytest.mark.parametrize(
  'expected',
  [['-2', '-1.5', '0', '3', '10'], ['a1', 'a2', 'a10', 'b'], ['01', '1', '2'], ['B', 'a'], ['x', 'x1y', 'x2']],
)
def test_natural_order(expected):
  assert natural_order(sorted(expected)) == natural_order(expected[::-1]) == expected


def test_one_subfolder_is_no_class(tmp_path):
  touch(tmp_path, *(f'all/{i}.png' for i in range(3)))
  listing = list_images(tmp_path)
  assert listing.classes == () and listing.class_of == {}
  assert listing.notes == ('no labels: all images lie in one subfolder, all',)


def test_images_beside_the_classes_leave_no_labels(tmp_path):
  touch(tmp_path, *(f'train/{name}.png' for name in ('a/1', 'b/2', '3')), 'val/a/1.png', 'test/a/1.png')
  listing = list_images(tmp_path)
  assert listing.classes == ()
  assert 'no labels: 1 of 5 images lie in no subfolder, such as train/3.png' in listing.notes


def test_a_class_without_training_images_is_said(tmp_path):
  touch(tmp_path, 'train/a/1.png', 'train/b/1.png', 'val/a/1.png', 'test/c/1.png')
  listing = list_images(tmp_path)
  assert listing.classes == ('a', 'b', 'c') and listing.notes == ('no training images of c',)


def test_what_is_left_out_is_said(tmp_path):
  touch(tmp_path, 'a/1.png', 'a/2.PNG', 'b/1.jfif', 'b/2.gif', 'b/3.tiff', 'b/4.jpe', 'a/notes.txt', 'b/x.heic', 'list')
  touch(tmp_path, '.ipynb_checkpoints/1-checkpoint.png', 'a/.thumbs/1.png', '__MACOSX/a/1.png', 'a/._1.png')
  (tmp_path / 'linked').symlink_to(tmp_path / 'a')
  listing = list_images(tmp_path)
  assert listing.classes == ('a', 'b') and sum(sizes(listing).values()) == 6
  notes = collections.Counter(listing.notes)
  assert notes['left out: 1 .heic, 1 .txt, 1 without suffix'] == 1, notes
  assert notes['of a .gif or .tiff of several images, the first is read'] == 1, notes
  for folder in ('.ipynb_checkpoints', '.thumbs', '__MACOSX'):
    assert notes[f'left out: 1 image in hidden folders {folder}'] == 1, notes
  assert notes['left out: linked folders linked: name their places, or copy them'] == 1, notes


def test_images_beside_the_folders_of_splits_are_left_out_and_said(tmp_path):
  touch(tmp_path, 'train/1.png', 'train/2.png', 'train/3.png', 'more/1.png', '0.png')
  listing = list_images(tmp_path)
  assert sum(sizes(listing).values()) == 3
  assert listing.notes == ('left out: 2 images beside the folders of the splits, such as 0.png',)


def test_names_that_are_no_utf_8_can_be_printed(tmp_path):
  name = os.fsdecode(b'caf\xe9')
  touch(tmp_path, *(f'{folder}/{i}-{name}.png' for folder in (name, 'b') for i in range(20)))
  listing = list_images(tmp_path)
  assert listing.classes == ('b', 'caf\\xe9') and sum(sizes(listing).values()) == 40
  assert all(note.encode() for note in listing.notes)
  assert all((listing.root / path).exists() for paths in listing.splits.values() for path in paths)


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
  touch(tmp_path, *(f'{folder}/{i}.png' for folder in 'ab' for i in range(3)))
  scan = os.scandir

  def refuse(folder):
    if os.fspath(folder).endswith('b'):
      raise PermissionError(13, 'Permission denied', folder)
    return scan(folder)

  monkeypatch.setattr(os, 'scandir', refuse)
  with pytest.raises(UserError, match=r'the folder .*b cannot be read: Permission denied'):
    list_images(tmp_path)


def test_mistakes_name_the_place(tmp_path):
  with pytest.raises(UserError, match=r'there is no folder .*nowhere$'):
    list_images(tmp_path / 'nowhere')
  (tmp_path / 'photos').mkdir()
  with pytest.raises(UserError, match=r'there is no folder .*phtos; did you mean .*/photos\?'):
    list_images(tmp_path / 'phtos')
  touch(tmp_path, 'a.txt')
  with pytest.raises(UserError, match=r'a.txt is a file: name a folder of images, a .csv of points, or a picture'):
    list_images(tmp_path / 'a.txt')
  with pytest.raises(UserError, match=r'no images \(.*.png.*\) in '):
    list_images(tmp_path)
