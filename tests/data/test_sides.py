"""Which files of a folder belong to which side, and to which split; files are empty where pixels do not matter."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from gen_jax.data.sides import Side, list_halves, list_pairs, list_sides, tell_layout
from gen_jax.errors import UserError


def put(root, *names, height=2, width=4):
  for name in names:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width), np.uint8)).save(root / name)


def images_in(root):
  return [path.relative_to(root).as_posix() for path in sorted(root.rglob('*.png'))]


@pytest.mark.parametrize(
  ('names', 'width', 'layout'),
  [
    (('trainA/1.png', 'TrainB/1.png'), 2, 'unpaired'),
    (('a/1.png', 'B/1.png'), 2, 'paired'),
    (('train/1.png', 'val/1.png'), 4, 'side_by_side'),
    (('trainA/1.png', 'testB/1.png'), 2, ''),
    (('A/1.png', 'C/1.png'), 3, ''),
  ],
)
def test_names_and_shapes_tell_the_layout(tmp_path, names, width, layout):
  put(tmp_path, *names, width=width)
  assert tell_layout(tmp_path, images_in(tmp_path)) == layout


def test_unpaired_sides_by_their_folders_in_any_case(tmp_path):
  put(tmp_path, *(f'{f}/{i}.png' for f in ('trainA', 'TRAINB', 'testA', 'TestB', 'valA', 'validationB') for i in '12'))
  put(tmp_path, '0.png', 'trainC/1.png')
  (tmp_path / 'notes.txt').touch()
  splits, rule, notes = list_sides(tmp_path)
  for side, folders in (('A', ('trainA', 'valA', 'testA')), ('B', ('TRAINB', 'validationB', 'TestB'))):
    for split, folder in zip(('train', 'validation', 'test'), folders, strict=True):
      assert splits[side][split] == [f'{folder}/1.png', f'{folder}/2.png']
  assert rule == 'A: folders testA/, trainA/, valA/. B: folders TRAINB/, TestB/, validationB/'
  assert notes == ['left out: 1 .txt', 'left out: 2 images beside the folders of the sides, such as 0.png']


def test_a_tenth_of_a_side_validates_where_it_has_no_folder(tmp_path):
  put(tmp_path, *(f'train{side}/{i}.png' for side in 'AB' for i in range(40)), 'testA/1.png', 'testB/1.png')
  splits, rule, _ = list_sides(tmp_path)
  for side in 'AB':
    numbers = {split: len(paths) for split, paths in splits[side].items()}
    assert numbers['test'] == 1 and 1 <= numbers['validation'] <= 10 and sum(numbers.values()) == 41
  names = lambda side: [path.partition('/')[2] for path in splits[side]['validation']]
  assert names('A') == names('B')  # by the hash of the path below the folder
  assert 'B: folders testB/, trainB/; validation: a tenth of the training images, by the hash of their paths' in rule


@pytest.mark.parametrize(
  ('names', 'width', 'message'),
  [
    (('trainA/1.png', 'testB/1.png'), 4, r'has no training images of side B: it needs folders trainA/ and trainB/$'),
    (('A/1.png', 'B/1.png'), 4, r"no training images of side A: .*; config.data.layout='paired' is made for what lies"),
    (('1.png', '2.png'), 4, r"of side A: .*; config.data.layout='side_by_side' is made for what lies there"),
    (('1.png', '2.png'), 3, r'of side A: it needs folders trainA/ and trainB/$'),
    (('trainA/1.png', 'trainB/1.png', 'trainA/2.png', 'trainA/3.png'), 4, 'side B of .* has 1 image, too few for the'),
  ],
)
def test_what_is_not_unpaired_is_refused(tmp_path, names, width, message):
  put(tmp_path, *names, width=width)
  with pytest.raises(UserError, match=message):
    list_sides(tmp_path)


def test_pairs_have_one_path_but_for_the_suffix(tmp_path):
  for i in range(3):
    put(tmp_path, f'a/train/{i}.png', f'B/train/{i}.jpg')
  put(tmp_path, 'a/val/x/9.png', 'B/val/x/9.png', 'a/test/8.png', 'B/test/8.bmp', 'more/1.png')
  listing, below = list_pairs(tmp_path, 'natural')
  assert listing.splits == {
    'train': ['train/0.png', 'train/1.png', 'train/2.png'], 'validation': ['val/x/9.png'], 'test': ['test/8.png']
  }  # fmt: skip
  assert below['A']['train/1.png'] == 'a/train/1.png' and below['B']['train/1.png'] == 'B/train/1.jpg'
  assert 'left out: 1 image beside the folders of the sides, such as more/1.png' in listing.notes


def test_classes_and_hashed_splits_of_pairs_are_those_of_side_a(tmp_path):
  put(tmp_path, *(f'{side}/{c}/{i}.png' for side in 'AB' for c in ('cat', 'dog') for i in range(9)))
  listing, _ = list_pairs(tmp_path, 'natural')
  assert listing.classes == ('cat', 'dog') and sum(map(len, listing.splits.values())) == 18
  assert min(map(len, listing.splits.values())) > 0


@pytest.mark.parametrize(
  ('names', 'message'),
  [
    (('A/1.png', 'A/2.png', 'B/1.png'), r'A/2.png has no partner of side B \(2 images of A, 1 of B\): add it'),
    (('A/1.png', 'B/1.png', 'B/x/1.png'), r'B/x/1.png has no partner of side A \(2 images of B, 1 of A\)'),
    (('A/1.png', 'A/1.bmp', 'B/1.png'), r'A/1.png and .*A/1.bmp are of one name: keep one'),
    (('A/1.png', 'a/2.png', 'B/1.png'), r'has the folders A, B, a: keep one of each side'),
    (('A/1.png', 'C/1.png'), r'no images in both of two folders A/ and B/: .* path below them'),
    (('trainA/1.png', 'trainB/1.png'), r"A/ and B/: .*config.data.layout='unpaired' is made for what lies there"),
  ],
)
def test_what_is_not_paired_is_refused(tmp_path, names, message):
  put(tmp_path, *names)
  with pytest.raises(UserError, match=message):
    list_pairs(tmp_path, 'natural')


@pytest.mark.parametrize(
  ('names', 'layout'),
  [(('trainA/1.png', 'trainB/1.png', 'testA/1.png'), 'unpaired'), (('A/1.png', 'B/1.png', 'B/2.png'), 'paired')],
)
def test_folders_of_sides_are_not_halved(tmp_path, names, layout):
  put(tmp_path, *names)
  with pytest.raises(UserError, match=f"no pairs side by side: set config.data.layout='{layout}'"):
    list_halves(tmp_path, 'natural')


def test_no_folder_and_no_images_are_said(tmp_path):
  for listed in (list_sides, lambda root: list_pairs(root, 'natural')):
    with pytest.raises(UserError, match=r'there is no folder .*nowhere'):
      listed(tmp_path / 'nowhere')
    with pytest.raises(UserError, match=r'no images \(.*\) in '):
      listed(tmp_path)


def test_a_map_of_labels_is_resized_without_mixing_its_colors():
  palette = ((0, 0, 0), (250, 250, 250), (120, 130, 120))  # between the others
  pixels = np.repeat(np.repeat(np.array(palette[:2], np.uint8)[np.eye(4, dtype=int)], 3, axis=0), 3, axis=1)
  side = Side('RGB', (6, 6), 6, palette)
  one_hot = side.pixels(Image.fromarray(pixels))
  assert one_hot.shape == side.feature.shape == (6, 6, 3) and side.feature.levels == 2
  np.testing.assert_array_equal(one_hot.sum(-1), 1)
  assert one_hot[..., 2].sum() == 0 and 0 < one_hot[..., 1].sum() < 18
  assert (Side('RGB', (6, 6), 6).pixels(Image.fromarray(pixels)) % 250 > 0).any()


def test_paths_are_below_the_folder(tmp_path):
  put(tmp_path, *(f'train{side}/deep/{i}.png' for side in 'AB' for i in range(3)))
  splits, _, _ = list_sides(pathlib.Path(tmp_path))
  assert {path.split('/')[1] for paths in splits['A'].values() for path in paths} == {'deep'}
