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


def test_split_folders_and_classes(tmp_path):
  expected = {}
  for seed, name in enumerate(('train/cat/b.png', 'train/dog/deep/a.bmp', 'val/dog/c.PNG', 'test/ant/d.png')):
    expected[name] = put(tmp_path / name, seed=seed)
  (tmp_path / 'train/cat/notes.txt').write_text('no image')
  (tmp_path / 'train/cat/._b.png').write_text('what some systems leave beside an image')
  train, validation, test = (folder.load(tmp_path, split, 0, BUDGET) for split in ('train', 'validation', 'test'))
  np.testing.assert_array_equal(train.arrays['image'], [expected['train/cat/b.png'], expected['train/dog/deep/a.bmp']])
  np.testing.assert_array_equal(train.arrays['label'], [1, 2])  # ant, cat, dog
  np.testing.assert_array_equal(validation.arrays['label'], [2])
  np.testing.assert_array_equal(test.arrays['image'], [expected['test/ant/d.png']])
  assert (train.size, train.image_shape, train.levels, train.num_classes) == (2, (6, 8, 3), 256, 3)
  assert train.arrays['image'].dtype == np.uint8 and train.arrays['label'].dtype == np.int32


def test_without_split_folders_the_path_decides(tmp_path):
  for i in range(200):
    put(tmp_path / f'{i}.png', 1, 1, 'L', seed=i)
  sizes = {split: folder.load(tmp_path, split, 0, BUDGET).size for split in ('train', 'validation', 'test')}
  assert sum(sizes.values()) == 200
  assert abs(sizes['train'] - 160) < 20 and abs(sizes['validation'] - 20) < 15
  kept = {file.name for _, file, split in folder.find_images(tmp_path) if split == 'test'}
  for i in range(200, 210):
    put(tmp_path / f'{i}.png', 1, 1, 'L')
  assert kept <= {file.name for _, file, split in folder.find_images(tmp_path) if split == 'test'}


def test_one_subfolder_is_no_class(tmp_path):
  put(tmp_path / 'train/all/a.png')
  put(tmp_path / 'train/all/b.png')
  split = folder.load(tmp_path, 'train', 0, BUDGET)
  assert split.num_classes == 0 and set(split.arrays) == {'image'}


def test_images_outside_the_classes_leave_no_labels(tmp_path):
  for name in ('train/a/1.png', 'train/b/2.png', 'train/3.png'):
    put(tmp_path / name)
  assert folder.load(tmp_path, 'train', 0, BUDGET).num_classes == 0


def test_gray_only_if_all_are(tmp_path):
  gray = put(tmp_path / 'train/a.png', mode='L')
  split = folder.load(tmp_path, 'train', 0, BUDGET)
  assert split.image_shape == (6, 8, 1)
  np.testing.assert_array_equal(split.arrays['image'][0, :, :, 0], gray)
  put(tmp_path / 'train/b.png', mode='RGB')
  images = folder.load(tmp_path, 'train', 0, BUDGET).arrays['image']
  np.testing.assert_array_equal(images[0], np.repeat(gray[:, :, None], 3, 2))
  assert images.shape == (2, 6, 8, 3)


def test_unequal_shapes_become_central_squares(tmp_path):
  wide = put(tmp_path / 'train/a.png', 6, 9)
  put(tmp_path / 'train/b.png', 12, 6, seed=1)
  images = folder.load(tmp_path, 'train', 6, BUDGET).arrays['image']
  np.testing.assert_array_equal(images[0], wide[:, 1:7])
  assert images.shape == (2, 6, 6, 3)
  constant = np.full((40, 31, 3), 77, np.uint8)
  Image.fromarray(constant).save(tmp_path / 'train/b.png')
  np.testing.assert_array_equal(folder.load(tmp_path, 'train', 6, BUDGET).arrays['image'][1], constant[:6, :6])
  with pytest.raises(UserError, match=r'a.png is 6x9 but .*b.png is 40x31: set data.size'):
    folder.load(tmp_path, 'train', 0, BUDGET)


def test_equal_shapes_stay(tmp_path):
  pixels = put(tmp_path / 'train/a.png')
  np.testing.assert_array_equal(folder.load(tmp_path, 'train', 4, BUDGET).arrays['image'], [pixels])


def test_other_formats_are_read(tmp_path):
  pixels = put(tmp_path / 'train/a.webp', 16, 16, lossless=True)
  ramp = np.broadcast_to(np.arange(0, 64, 4, dtype=np.uint8)[:, None, None], (16, 16, 3))
  Image.fromarray(ramp).save(tmp_path / 'train/b.jpeg', quality=100)
  images = folder.load(tmp_path, 'train', 0, BUDGET).arrays['image']
  np.testing.assert_array_equal(images[0], pixels)
  np.testing.assert_allclose(images[1].astype(int), ramp, atol=2)


def test_a_turned_camera_is_turned_back(tmp_path):
  top_white = np.zeros((16, 24, 3), np.uint8)
  top_white[:8] = 255
  turned = Image.Exif()
  turned[0x0112] = 6  # the viewer must turn the stored image by 90 degrees clockwise
  (tmp_path / 'train').mkdir()
  Image.fromarray(np.rot90(top_white)).save(tmp_path / 'train/a.jpg', exif=turned, quality=100)
  split = folder.load(tmp_path, 'train', 0, BUDGET)
  assert split.image_shape == (16, 24, 3)
  np.testing.assert_allclose(split.arrays['image'][0].astype(int), top_white, atol=2)


def test_streamed_rows_are_the_resident_ones(tmp_path):
  for i in range(5):
    put(tmp_path / f'train/{"ab"[i % 2]}/{i}.png', seed=i)
  resident, streamed = (folder.load(tmp_path, 'train', 0, budget) for budget in (BUDGET, 0))
  assert streamed.arrays is None and streamed.num_classes == 2
  rows = streamed.fetch(np.array([4, 1]))
  for name in ('image', 'label'):
    np.testing.assert_array_equal(rows[name], resident.arrays[name][[4, 1]])


def test_mistakes_name_the_place(tmp_path):
  with pytest.raises(UserError, match=r'there is no folder .*nowhere'):
    folder.load(tmp_path / 'nowhere', 'train', 0, BUDGET)
  with pytest.raises(UserError, match=r'no images \(.*.png.*\) in '):
    folder.load(tmp_path, 'train', 0, BUDGET)
  put(tmp_path / 'train/a.png')
  with pytest.raises(UserError, match=r'no images for the validation split: put some into .*validation'):
    folder.load(tmp_path, 'validation', 0, BUDGET)


@pytest.mark.parametrize('damage', ['text', 'cut'])
def test_a_damaged_image_is_named(tmp_path, damage):
  put(tmp_path / 'train/a.png', 40, 40)
  broken = tmp_path / 'train/b.png'
  put(broken, 40, 40)
  broken.write_bytes(b'no image' if damage == 'text' else broken.read_bytes()[:1000])
  with pytest.raises(UserError, match=r'b.png cannot be read as an image'):
    folder.load(tmp_path, 'train', 0, BUDGET)


def test_sixteen_bits_are_refused(tmp_path):
  (tmp_path / 'train').mkdir()
  Image.fromarray(np.full((4, 4), 1000, np.uint16)).save(tmp_path / 'train/a.png')
  with pytest.raises(UserError, match=r'a.png .*mode I;16 is not 8 bits'):
    folder.load(tmp_path, 'train', 0, BUDGET)
