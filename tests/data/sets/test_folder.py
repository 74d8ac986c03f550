"""A folder of images: its pixels, labels and shapes; see the tests of `listing` and `image_files` for the rest."""

import numpy as np
import pytest
from PIL import Image

from gen_jax.data.sets import folder
from gen_jax.errors import UserError

BUDGET = 2**30


def put(path, height=6, width=8, mode='RGB', seed=0, **options):
  """A random image, as an array [H,W] or [H,W,3]."""
  shape = (height, width, 3) if mode == 'RGB' else (height, width)
  pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(pixels).save(path, **options)
  return pixels


@pytest.fixture
def root(tmp_path):
  """A folder that has images to validate and test, so that those of `train` are as a test puts them."""
  for split in ('validation', 'test'):
    put(tmp_path / split / 'any.png', mode='L')
  return tmp_path


def train(root, size=0, budget=BUDGET, **options):
  return folder.load(root, 'train', size, budget, **options)


def test_splits_have_their_images_and_labels(tmp_path):
  expected = {}
  for seed, name in enumerate(('train/cat/b.png', 'train/dog/deep/a.bmp', 'val/dog/c.PNG', 'test/ant/d.png')):
    expected[name] = put(tmp_path / name, seed=seed)
  first, validation, test = (folder.load(tmp_path, split, 0, BUDGET) for split in ('train', 'validation', 'test'))
  np.testing.assert_array_equal(first.arrays['image'], [expected['train/cat/b.png'], expected['train/dog/deep/a.bmp']])
  np.testing.assert_array_equal(first.arrays['label'], [1, 2])  # ant, cat, dog
  np.testing.assert_array_equal(validation.arrays['label'], [2])
  np.testing.assert_array_equal(test.arrays['image'], [expected['test/ant/d.png']])
  assert (first.size, first.image_shape, first.levels, first.num_classes) == (2, (6, 8, 3), 256, 3)
  assert first.class_names == ('ant', 'cat', 'dog') and first.class_counts == (0, 1, 1)
  assert first.arrays['image'].dtype == np.uint8 and first.arrays['label'].dtype == np.int32


def test_gray_only_if_all_are(root):
  gray = put(root / 'train/a.png', mode='L')
  split = train(root)
  assert split.image_shape == (6, 8, 1)
  np.testing.assert_array_equal(split.arrays['image'][0, :, :, 0], gray)
  put(root / 'train/b.png', mode='RGB')
  images = train(root).arrays['image']
  np.testing.assert_array_equal(images[0], np.repeat(gray[:, :, None], 3, 2))
  assert images.shape == (2, 6, 8, 3)


def test_unequal_shapes_become_central_squares(root):
  wide = put(root / 'train/a.png', 6, 9)
  put(root / 'train/b.png', 12, 6, seed=1)
  split = train(root, 6)
  np.testing.assert_array_equal(split.arrays['image'][0], wide[:, 1:7])
  assert split.image_shape == (6, 6, 3)
  assert 'images differ in shape: the central square of each is resized to 6x6' in split.about.notes
  constant = np.full((40, 31, 3), 77, np.uint8)
  Image.fromarray(constant).save(root / 'train/b.png')
  np.testing.assert_array_equal(train(root, 6).arrays['image'][1], constant[:6, :6])
  with pytest.raises(UserError, match=r'a.png is 6x9 but .*b.png is 40x31: set data.size'):
    train(root)


def test_equal_shapes_stay(root):
  pixels = put(root / 'train/a.png')
  np.testing.assert_array_equal(train(root, 4).arrays['image'], [pixels])


def test_streamed_rows_are_the_resident_ones(root):
  for split, name in (('validation', 'a/any.png'), ('test', 'b/any.png')):
    put(root / split / name)
    next((root / split).glob('*.png')).unlink()
  for i in range(5):
    put(root / f'train/{"ab"[i % 2]}/{i}.png', seed=i)
  resident, streamed = (train(root, budget=budget) for budget in (BUDGET, 0))
  assert streamed.arrays is None and streamed.num_classes == 2 and streamed.class_counts == (3, 2)
  rows = streamed.fetch(np.array([4, 1]))
  for name in ('image', 'label'):
    np.testing.assert_array_equal(rows[name], resident.arrays[name][[4, 1]])


def test_transparent_pixels_show_the_background_and_not_what_is_hidden_below(root):
  pixels = np.zeros((6, 8, 4), np.uint8)
  pixels[..., 0], pixels[:3, :, 3] = 200, 255  # red; the lower half is transparent
  (root / 'train').mkdir()
  Image.fromarray(pixels).save(root / 'train/a.png')
  for background, level in (('white', 255), ('black', 0)):
    split = train(root, background=background)
    np.testing.assert_array_equal(split.arrays['image'][0, :3], np.broadcast_to([200, 0, 0], (3, 8, 3)))
    np.testing.assert_array_equal(split.arrays['image'][0, 3:], np.full((3, 8, 3), level))
    assert f'transparent pixels show {background}, in 1 image' in split.about.notes


def test_an_image_that_becomes_another_after_its_header_was_read_is_named(root):
  put(root / 'train/a.png', 6, 8)
  split = train(root, budget=0)
  put(root / 'train/a.png', 5, 8)
  with pytest.raises(UserError, match=r'a.png is 5x8, and 6x8 by its header'):
    split.fetch(np.arange(1))


def test_headers_are_read_once_and_anew_where_a_file_has_changed(root, monkeypatch):
  counted = []
  read = folder.read_header
  monkeypatch.setattr(folder, 'read_header', lambda file: counted.append(file) or read(file))
  put(root / 'train/a.png')
  for split in ('train', 'validation', 'test'):
    folder.load(root, split, 0, BUDGET)
  assert sorted(path.name for path in counted) == ['a.png', 'any.png', 'any.png']
  put(root / 'train/a.png', mode='L', seed=1)
  assert train(root).image_shape == (6, 8, 1) and len(counted) == 6


def test_its_content_is_known_again_wherever_it_lies(root):
  put(root / 'train/a.png')
  first = train(root)
  content, names = first.hash_content(), first.about.names
  moved = root.rename(root.with_name('elsewhere'))
  again = train(moved)
  assert again.hash_content() == content == train(moved, budget=0).hash_content() and again.about.names == names
  put(moved / 'train/a.png', seed=1)
  assert train(moved).hash_content() != content and train(moved).about.names == names
  (moved / 'train/a.png').rename(moved / 'train/b.png')
  assert train(moved).about.names != names
  with pytest.raises(UserError, match=r'a.png cannot be read: No such file'):
    first.hash_content()


def test_of_much_some_files_are_hashed(tmp_path, monkeypatch):
  monkeypatch.setattr(folder, 'HASHED_BYTES', 10)
  monkeypatch.setattr(folder, 'HASHED_FILES', 2)
  files = [tmp_path / str(i) for i in range(4)]
  for file in files:
    file.write_bytes(b'12345')
  first = folder.hash_files(files)
  files[1].write_bytes(b'abcde')
  assert folder.hash_files(files) == first
  files[2].write_bytes(b'abcde')
  assert folder.hash_files(files) != first
  files[2].write_bytes(b'12345')
  files[1].write_bytes(b'123456')  # its size is seen
  assert folder.hash_files(files) != first


@pytest.mark.parametrize('damage', ['text', 'cut'])
def test_a_damaged_image_is_named(root, damage):
  put(root / 'train/a.png', 40, 40)
  broken = root / 'train/b.png'
  put(broken, 40, 40)
  broken.write_bytes(b'no image' if damage == 'text' else broken.read_bytes()[:1000])
  with pytest.raises(UserError, match=r'b.png cannot be read as an image'):
    train(root, size=40)


def test_a_link_that_leads_nowhere_is_named(root):
  put(root / 'train/a.png')
  (root / 'train/b.png').symlink_to(root / 'gone.png')
  with pytest.raises(UserError, match=r'b.png cannot be read as an image: No such file'):
    train(root)
