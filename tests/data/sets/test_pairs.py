"""Folders of pairs, side by side in one file or in two folders: their pixels, channels, palettes, and mistakes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gen_jax import randomness
from gen_jax.config import common
from gen_jax.data import sources
from gen_jax.data.dataset import Feature
from gen_jax.data.preprocess import preprocess
from gen_jax.data.record import Record, describe, record_of
from gen_jax.data.sets import folder, pairs
from gen_jax.data.splits import Splits
from gen_jax.errors import UserError

BUDGET = 2**30
PALETTE = ((0, 0, 0), (200, 0, 0), (0, 0, 200))


def section(name, **changes):
  data = common().data
  data.update({'name': str(name), **changes})
  return data


def save(path, pixels, **options):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(pixels).save(path, **options)
  return pixels


def noise(seed, height=4, width=4, gray=False):
  pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 1 if gray else 3), np.uint8)
  return np.repeat(pixels, 3, axis=-1) if gray else pixels


def load(root, layout, split='train', size=0, budget=BUDGET, **options):
  return pairs.load(root, split, size, budget, layout=layout, **options)


@pytest.fixture
def halves(tmp_path):
  """Three pairs to train with, one each to validate and test: A gray, B in color, in one file."""
  seeds = {'train/0.png': 0, 'train/1.png': 1, 'train/2.png': 2, 'val/3.png': 3, 'test/4.png': 4}
  for name, seed in seeds.items():
    save(tmp_path / name, np.concatenate([noise(seed, gray=True), noise(seed + 10)], axis=1))
  return tmp_path


@pytest.fixture
def folders(tmp_path):
  """The same in folders A/ and B/, of 4x6."""
  for i, split in enumerate(('train', 'train', 'train', 'val', 'test')):
    save(tmp_path / f'A/{split}/{i}.png', noise(i, 4, 6, gray=True)[..., 0])
    save(tmp_path / f'B/{split}/{i}.bmp', noise(i + 10, 4, 6))
  return tmp_path


def test_halves_of_a_file_are_the_sides(halves):
  split = load(halves, 'side_by_side')
  assert split.features == {'image_a': Feature((4, 4, 1)), 'image_b': Feature((4, 4, 3))}
  np.testing.assert_array_equal(split.arrays['image_a'], [noise(i, gray=True)[..., :1] for i in range(3)])
  np.testing.assert_array_equal(split.arrays['image_b'], [noise(i + 10) for i in range(3)])
  np.testing.assert_array_equal(load(halves, 'side_by_side', 'test').arrays['image_b'], [noise(14)])
  assert split.about.split_rule == 'folders test/, train/, val/' and not split.own_order


def test_folders_are_the_sides(folders):
  split = load(folders, 'paired')
  assert split.features == {'image_a': Feature((4, 6, 1)), 'image_b': Feature((4, 6, 3))}
  np.testing.assert_array_equal(split.arrays['image_a'], [noise(i, 4, 6, gray=True)[..., :1] for i in range(3)])
  np.testing.assert_array_equal(split.arrays['image_b'], [noise(i + 10, 4, 6) for i in range(3)])


@pytest.mark.parametrize('layout', ['side_by_side', 'paired'])
def test_streamed_pairs_are_the_resident_ones(request, layout):
  root = request.getfixturevalue({'side_by_side': 'halves', 'paired': 'folders'}[layout])
  resident, streamed = (load(root, layout, budget=budget) for budget in (BUDGET, 0))
  assert streamed.arrays is None and streamed.size == 3
  for name, rows in streamed.fetch(np.array([2, 0])).items():
    np.testing.assert_array_equal(rows, resident.arrays[name][[2, 0]])
  assert streamed.hash_content() == resident.hash_content()


def test_a_side_is_gray_only_if_all_its_images_are(halves):
  save(halves / 'test/4.png', np.concatenate([noise(4), noise(14)], axis=1))
  assert load(halves, 'side_by_side').features['image_a'].shape == (4, 4, 3)
  for file in halves.rglob('*.png'):
    save(file, noise(0, 4, 8, gray=True)[..., 0])
  assert {name: f.shape for name, f in load(halves, 'side_by_side').features.items()} == {
    'image_a': (4, 4, 1), 'image_b': (4, 4, 1)
  }  # fmt: skip


def test_pairs_are_cropped_and_flipped_alike(halves):
  """Of equal images, the two stay equal."""
  for i, file in enumerate(sorted(halves.rglob('*.png'))):
    save(file, np.concatenate([noise(i, 8, 8)] * 2, axis=1))
  data = load(halves, 'side_by_side')
  process = functools.partial(preprocess, train=True, features=data.features, crop=4, flip=True)
  rows = {**data.fetch(np.zeros(32, int)), 'row': np.arange(32, dtype=np.int32)}
  batch = jax.jit(process)(rows, randomness.key(0))
  np.testing.assert_array_equal(batch['image_a'], batch['image_b'])
  assert len(np.unique(np.asarray(batch['image_a']).reshape(32, -1), axis=0)) > 16


@pytest.mark.parametrize(
  ('height', 'width', 'message'),
  [
    (4, 7, r'1.png is 4x7, and no two squares side by side: put pairs of other shapes into folders A/ and B/'),
    (4, 4, r'1.png is 4x4, and no two squares side by side'),
    (4, 6, r"1.png is 4x6, .*and set config.data.layout='paired'"),
    (6, 12, r'0.png is 4x8 but .*1.png is 6x12: set data.size'),
  ],
)
def test_what_is_no_pair_is_never_halved(halves, height, width, message):
  save(halves / 'train/1.png', noise(0, height, width))
  with pytest.raises(UserError, match=message):
    load(halves, 'side_by_side')


def test_a_file_that_becomes_another_after_its_header_was_read_is_named(halves):
  streamed = load(halves, 'side_by_side', budget=0)
  for width, message in ((12, r'1.png is 6x6, and 4x4 by its header'), (6, r'1.png is 6x6, and no two squares')):
    save(halves / 'train/1.png', noise(0, 6, width))
    with pytest.raises(UserError, match=message):
      streamed.fetch(np.array([1]))


def test_unequal_shapes_of_a_pair_need_a_size(folders):
  save(folders / 'B/train/1.bmp', noise(0, 8, 6))
  with pytest.raises(UserError, match=r'A/train/1.png is 4x6 but its partner .*B/train/1.bmp is 8x6: set data.size'):
    load(folders, 'paired')
  split = load(folders, 'paired', size=3)
  assert split.features == {'image_a': Feature((3, 3, 1)), 'image_b': Feature((3, 3, 3))}
  assert 'side B: images differ in shape: the central square of each is resized to 3x3' in split.about.notes


def test_unequal_pairs_need_a_size(folders):
  for side in 'AB':
    save(next((folders / side).rglob('2.*')), noise(0, 8, 6))
  with pytest.raises(UserError, match=r'A/test/4.png is 4x6 but .*A/train/2.png is 8x6: set data.size'):
    load(folders, 'paired')


@pytest.mark.parametrize('size', [0, 2])
def test_a_palette_restores_the_classes_of_a_side(halves, size):
  classes = np.random.default_rng(0).integers(0, 3, (5, 4, 4))
  for i, file in enumerate(sorted(halves.rglob('*.png'), key=lambda file: file.name)):
    save(file, np.concatenate([np.array(PALETTE, np.uint8)[classes[i]], noise(i)], axis=1))
  split = load(halves, 'side_by_side', size=size, palettes=(PALETTE, ()))
  side = size or 4
  assert split.features == {'image_a': Feature((side, side, 3), 2), 'image_b': Feature((side, side, 3))}
  if not size:
    np.testing.assert_array_equal(split.arrays['image_a'], np.eye(3)[classes[:3]])
  rows = {**split.fetch(np.arange(3)), 'row': np.arange(3)}
  seen = preprocess(
    rows, randomness.key(0), train=True, features=split.features, size=size, flip=True, value_range=(-1.0, 1.0)
  )
  assert set(np.unique(seen['image_a'])) == {-1, 1}
  np.testing.assert_array_equal((seen['image_a'] + 1).sum(-1), 2 * jnp.ones((3, side, side)))


def test_a_damaged_file_is_named(halves):
  file = halves / 'train/1.png'
  file.write_bytes(file.read_bytes()[:60])
  with pytest.raises(UserError, match=r'1.png cannot be read as an image'):
    load(halves, 'side_by_side')


def test_transparent_pixels_show_the_background(folders):
  transparent = np.zeros((4, 6, 4), np.uint8)
  save(folders / 'A/train/0.png', transparent)
  split = load(folders, 'paired', background='black')
  assert split.features['image_a'].shape == (4, 6, 3) and not split.arrays['image_a'][0].any()
  assert 'side A: transparent pixels show black, in 1 image' in split.about.notes


def test_the_section_opens_them(halves):
  data = section(halves, layout='side_by_side')
  assert sources.owner_of(data) is pairs and not folder.owns(data) and folder.owns(section(halves))
  assert sources.is_own(data) and sources.in_files(data) and list(sources.problems(data)) == []
  assert sources.normalized(section(f'{halves}/', layout='side_by_side')).name == str(halves)
  exchanged = sources.open_split(section(halves, layout='side_by_side', swap=True), 'train')
  np.testing.assert_array_equal(exchanged.arrays['image_a'], sources.open_split(data, 'train').arrays['image_b'])
  assert exchanged.features == {'image_a': Feature((4, 4, 3)), 'image_b': Feature((4, 4, 1))}
  (line,) = sources.problems(section(halves, swap=True))
  assert line.startswith('config.data.swap=True: has no effect on ')
  with pytest.raises(UserError, match=r'needs a set of single images, and this has image_a and image_b'):
    sources.open_split(section(halves, layout='side_by_side', outliers='digits'), 'train')


def test_a_record_holds_both_sides(halves, monkeypatch):
  data = section(halves, layout='side_by_side', palette_b=PALETTE)
  record = record_of(data)
  assert Record.from_json(record.to_json()) == record
  assert next(describe(record)) == (
    f'data: the pairs in the folder {halves}: 3 train, 1 validation, 1 test; '
    'image_a: images 4x4, gray; image_b: images 4x4, 3 channels of 0 and 1'
  )
  monkeypatch.setattr(sources, 'open_split', None)
  blank = Splits(data, record).blank('train')
  assert blank.features == record.features and blank.fetch(np.arange(2))['image_b'].shape == (2, 4, 4, 3)
