import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gen_jax.data.dataset import Feature
from gen_jax.data.preprocess import preprocess, shape_after, to_uint8
from gen_jax.errors import UserError

KEY = jax.random.key(1)


def batch_of(images, index=None):
  rows = np.arange(len(images), dtype=np.int32)
  return {'image': images, 'row': rows, 'index': rows if index is None else np.asarray(index, np.int32)}


def noise(size, shape=(8, 8, 3), levels=256):
  return np.random.default_rng(0).integers(0, levels, (size, *shape), np.uint8)


def one_image(shape, levels=256):
  return {'image': Feature(shape, levels)}


def images_of(batch, key=KEY, levels=256, train=True, **options):
  features = one_image(batch['image'].shape[1:], levels)
  return np.asarray(compiled(batch, key, train=train, features=features, **options)['image'])


def compiled(batch, key, **options):
  """`preprocess`, as one program."""
  return jax.jit(functools.partial(preprocess, **options))(batch, key)


@pytest.mark.parametrize('value_range', [(0, 1), (-1, 1)])
def test_scaling_and_its_inverse(value_range):
  every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
  options = {'train': True, 'features': one_image((16, 16, 1)), 'value_range': value_range}
  step = jax.jit(functools.partial(preprocess, **options))
  images = step(batch_of(every), KEY)['image']
  assert images.dtype == jnp.float32 and (images.min(), images.max()) == value_range
  np.testing.assert_array_equal(to_uint8(images, value_range), every)
  outside = jnp.array([value_range[0] - 0.5, value_range[1] + 0.5])
  np.testing.assert_array_equal(to_uint8(outside, value_range), [0, 255])


def test_binary_images_scale_to_their_ends():
  binary = noise(4, levels=2)
  np.testing.assert_array_equal(images_of(batch_of(binary), levels=2), binary)
  np.testing.assert_array_equal(
    to_uint8(images_of(batch_of(binary), levels=2, value_range=(-1, 1)), (-1, 1)), binary * 255
  )


def test_other_leaves_pass_through():
  batch = {**batch_of(noise(3)), 'label': np.arange(3)}
  after = compiled(batch, KEY, train=True, features=one_image((8, 8, 3)), flip=True)
  assert set(after) == set(batch)
  np.testing.assert_array_equal(after['label'], batch['label'])


@pytest.mark.parametrize('binarize', ['dynamic', 'static'])
def test_binarization_is_unbiased(binarize):
  gray = np.array([0, 1, 64, 128, 254, 255], np.uint8)
  count = 40000
  batch = batch_of(np.broadcast_to(gray[None, :, None, None], (count, 6, 1, 1)))
  images = images_of(batch, binarize=binarize)
  assert set(np.unique(images)) == {0, 1}
  p = gray / 255
  error = abs(images.mean(0).reshape(-1) - p)
  assert (error <= 5 * np.sqrt(p * (1 - p) / count)).all()  # exact at black and white


def test_static_noise_belongs_to_the_example():
  images = noise(64)
  one = images_of(batch_of(images), binarize='static')
  order = np.random.default_rng(1).permutation(64)
  other = images_of(batch_of(images[order], index=order), jax.random.key(99), binarize='static', train=False)
  np.testing.assert_array_equal(other, one[order])
  same = images_of(batch_of(np.full((64, 8, 8, 1), 128, np.uint8)), binarize='static')
  assert len({image.tobytes() for image in same}) == 64


def test_dynamic_noise_changes_with_key_and_row_only():
  gray = np.full((32, 8, 8, 1), 128, np.uint8)
  one = images_of(batch_of(gray), binarize='dynamic')
  np.testing.assert_array_equal(images_of(batch_of(gray, index=np.zeros(32)), binarize='dynamic'), one)
  assert len({image.tobytes() for image in one}) == 32
  other = images_of(batch_of(gray), jax.random.key(2), binarize='dynamic')
  assert 0.4 < (one == other).mean() < 0.6


def test_dequantization_fills_its_bins():
  images = np.broadcast_to(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), (200, 16, 16, 1))
  for levels, bins in ((256, images), (2, images % 2)):
    noisy = images_of(batch_of(bins), levels=levels, dequantize=True)
    np.testing.assert_array_equal(np.floor(noisy * levels), bins)
    inside = noisy * levels - bins
    assert inside.min() > 0 and inside.max() < 1
    counts = np.histogram(inside, 16, (0, 1))[0]
    assert ((counts / inside.size * 16 - 1) ** 2).sum() * inside.size / 16 < 15 + 5 * np.sqrt(30)


def test_dequantization_never_reaches_the_next_bin():
  white = images_of(batch_of(np.full((64, 32, 32, 8), 255, np.uint8)), dequantize=True)  # 524,288 pixels
  assert white.max() < 1 and np.isfinite(np.log(white) - np.log1p(-white)).all()


def test_binarized_images_dequantize_as_two_levels():
  images = noise(16)
  binary = images_of(batch_of(images), binarize='static')
  noisy = images_of(batch_of(images), binarize='static', dequantize=True)
  np.testing.assert_array_equal(np.floor(noisy * 2), binary)


def test_flips_are_mirrors_half_the_time():
  images = noise(2000, (4, 6, 1))
  plain, flipped = images_of(batch_of(images)), images_of(batch_of(images), flip=True)
  same = (flipped == plain).all((1, 2, 3))
  mirrored = (flipped == plain[:, :, ::-1]).all((1, 2, 3))
  assert (same ^ mirrored).all()
  assert abs(mirrored.mean() - 0.5) < 5 * 0.5 / np.sqrt(2000)
  np.testing.assert_array_equal(images_of(batch_of(images), flip=True, train=False), plain)


def test_crops_are_anywhere_in_training_and_central_in_evaluation():
  positions = np.arange(7 * 9, dtype=np.uint8).reshape(1, 7, 9, 1)
  batch = batch_of(np.broadcast_to(positions, (3000, 7, 9, 1)))
  crops = np.rint(images_of(batch, crop=5) * 255).astype(int)
  corners, counts = np.unique(crops[:, 0, 0, 0], return_counts=True)
  np.testing.assert_array_equal(corners, sorted(9 * top + left for top in range(3) for left in range(5)))
  assert abs(counts - 200).max() < 5 * np.sqrt(200)
  np.testing.assert_array_equal(crops - crops[:, :1, :1], np.broadcast_to(positions[:, :5, :5], crops.shape))
  middle = np.rint(images_of(batch, crop=5, train=False) * 255)
  np.testing.assert_array_equal(middle, np.broadcast_to(positions[:, 1:6, 2:7], middle.shape))


@pytest.mark.parametrize(('before', 'after'), [(28, 14), (28, 32), (32, 20), (64, 64)])
def test_resizing_is_that_of_pillow(before, after):
  images = noise(2, (before, before, 1))
  ours = images_of(batch_of(images), size=after) * 255
  theirs = [
    Image.fromarray(image[:, :, 0].astype(np.float32)).resize((after, after), Image.Resampling.BILINEAR)
    for image in images
  ]
  np.testing.assert_allclose(ours[..., 0], np.stack(theirs), atol=0.501)
  np.testing.assert_allclose(ours, np.rint(ours), atol=1e-4)


def test_resizing_keeps_constants_and_means():
  constant = images_of(batch_of(np.full((1, 12, 12, 3), 77, np.uint8)), size=5)
  np.testing.assert_allclose(constant, 77 / 255, rtol=1e-6)
  ramp = np.broadcast_to(8 * np.arange(32, dtype=np.uint8)[None, :, None, None], (1, 32, 32, 1))
  halved = images_of(batch_of(ramp), size=16) * 255
  pairs = ramp.reshape(1, 16, 2, 16, 2, 1).mean((2, 4))
  np.testing.assert_allclose(halved[:, 1:-1], pairs[:, 1:-1], atol=1e-4)  # the borders see fewer neighbors


def test_resizing_takes_the_central_square():
  wide = noise(2, (8, 13, 3))
  np.testing.assert_array_equal(images_of(batch_of(wide), size=8), images_of(batch_of(wide[:, :, 2:10])))


def test_binary_images_stay_binary_when_resized():
  disc = (np.hypot(*np.mgrid[-31.5:32, -31.5:32]) < 20).astype(np.uint8)[None, :, :, None]
  small = images_of(batch_of(disc), levels=2, size=32)
  assert set(np.unique(small)) == {0, 1}
  assert abs(small.mean() - disc.mean()) < 0.01


def test_size_comes_before_crop():
  images = noise(2, (16, 20, 1))
  assert images_of(batch_of(images), size=12, crop=10).shape == (2, 10, 10, 1)
  assert shape_after(Feature((16, 20, 1)), 12, 10) == (10, 10, 1)
  assert shape_after(Feature((16, 20, 1)), 12) == (12, 12, 1)
  assert shape_after(Feature((16, 20, 1)), 0, 10) == (10, 10, 1)
  assert shape_after(Feature((16, 20, 1))) == (16, 20, 1)


@pytest.mark.parametrize('binarize', ['dynamic', 'static'])
def test_any_split_of_the_batch_gives_the_same_images(binarize):
  batch = batch_of(noise(8, (8, 8, 1)), index=np.arange(8) + 40)
  options = {'binarize': binarize, 'crop': 4, 'flip': True, 'dequantize': True}
  whole = images_of(batch, **options)
  for rows in (slice(0, 4), slice(4, 8)):
    shard = {name: leaf[rows] for name, leaf in batch.items()}
    np.testing.assert_array_equal(images_of(shard, **options), whole[rows])


def test_mistakes():
  with pytest.raises(UserError, match=r'data.crop is 9, but images are 8x8'):
    images_of(batch_of(noise(1)), crop=9)
  with pytest.raises(UserError, match=r"data.binarize is 'dinamic', not one of none, dynamic, static"):
    images_of(batch_of(noise(1)), binarize='dinamic')


POINTS = {'image': Feature((1, 1, 2), levels=0, kind='points')}


def test_numbers_stay_as_they_are():
  points = np.random.default_rng(0).normal(size=(5, 1, 1, 2)).astype(np.float32)
  batch = compiled(batch_of(points), KEY, train=True, features=POINTS, value_range=(-1, 1))
  assert batch['image'].dtype == jnp.float32
  np.testing.assert_array_equal(batch['image'], points)
  np.testing.assert_array_equal(batch['row'], np.arange(5))
  assert shape_after(POINTS['image'], size=8) == (1, 1, 2)


@pytest.mark.parametrize(
  'option', [{'size': 8}, {'crop': 1}, {'flip': True}, {'binarize': 'static'}, {'dequantize': True}]
)
def test_numbers_are_no_images(option):
  ((name, value),) = option.items()
  with pytest.raises(UserError, match=f'data.{name}={value!r}: these data are numbers, not gray values'):
    preprocess(batch_of(np.zeros((2, 1, 1, 2), np.float32)), KEY, features=POINTS, train=False, **option)


PAIR = {'image_a': Feature((8, 8, 3)), 'image_b': Feature((8, 8, 1))}


def pair_of(a, b):
  rows = np.arange(len(a), dtype=np.int32)
  return {'image_a': a, 'image_b': b, 'row': rows, 'index': rows + 40}


def test_both_images_of_a_pair_are_cropped_and_flipped_alike():
  positions = np.broadcast_to(np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1), (500, 8, 8, 1))
  batch = compiled(pair_of(positions.repeat(3, -1), positions), KEY, train=True, features=PAIR, crop=5, flip=True)
  a, b = (np.asarray(batch[name]) for name in PAIR)
  np.testing.assert_array_equal(a, b.repeat(3, -1))
  corners = np.unique(b[:, 0, 0, 0])  # of a crop, or of a mirrored one: 4 rows of 8 places
  assert len(corners) == 32


@pytest.mark.parametrize('option', [{'binarize': 'dynamic'}, {'binarize': 'static'}, {'dequantize': True}])
def test_noise_within_a_pair_is_independent_and_the_first_has_that_of_a_lone_image(option):
  gray = np.full((400, 8, 8, 1), 128, np.uint8)
  features = {name: Feature((8, 8, 1)) for name in PAIR}
  both = compiled(pair_of(gray, gray), KEY, train=True, features=features, **option)
  a, b = (np.asarray(both[name]) for name in PAIR)
  np.testing.assert_array_equal(a, images_of(batch_of(gray, index=np.arange(400) + 40), **option))
  assert abs(np.corrcoef(a.reshape(-1), b.reshape(-1))[0, 1]) < 5 / np.sqrt(a.size)


def test_images_of_a_pair_keep_their_own_levels_and_numbers_beside_images_stay():
  batch = pair_of(noise(3), noise(3, (8, 8, 1), levels=2)) | {'place': np.full((3, 1, 1, 2), 7.5, np.float32)}
  features = PAIR | {'image_b': Feature((8, 8, 1), levels=2), 'place': POINTS['image']}
  after = compiled(batch, KEY, train=True, features=features, size=8)
  np.testing.assert_array_equal(to_uint8(after['image_a']), batch['image_a'])
  np.testing.assert_array_equal(after['image_b'], batch['image_b'])
  np.testing.assert_array_equal(after['place'], batch['place'])


def test_a_crop_needs_images_of_one_size():
  features = PAIR | {'image_b': Feature((6, 8, 1))}
  batch = pair_of(noise(2), noise(2, (6, 8, 1)))
  with pytest.raises(UserError, match=r'one size, but image_a is 8x8, image_b 6x8: set data.size'):
    preprocess(batch, KEY, train=True, features=features, crop=4)
  after = compiled(batch, KEY, train=True, features=features, size=8, crop=4, flip=True)
  assert [after[name].shape for name in PAIR] == [(2, 4, 4, 3), (2, 4, 4, 1)]


def test_mutation_replaces_a_share_of_the_values_in_training_alone():
  images = np.full((50, 8, 8, 3), 100, np.uint8)
  mutated = np.round(images_of(batch_of(images), mutate=0.2) * 255)
  changed = mutated != 100
  assert abs(changed.mean() - 0.2 * 255 / 256) < 0.02
  assert np.abs(np.bincount(mutated[changed].astype(int), minlength=256)).max() < 30  # any gray value
  np.testing.assert_array_equal(images_of(batch_of(images), mutate=0.2, train=False), images_of(batch_of(images)))
