import numpy as np
import pytest

from gen_jax.data.dataset import Feature
from gen_jax.data.sets import digit_twins
from gen_jax.data.sets.digit_pairs import enlarged


@pytest.fixture(scope='module')
def split():
  return digit_twins.load('test')


def test_sides_are_of_disjoint_digits_of_all_classes(split):
  images, data = enlarged('test', 32)
  assert dict(split.own_order) == {'image_a': 100, 'image_b': 100}
  assert split.features == dict.fromkeys(('image_a', 'image_b'), Feature((32, 32, 3)))
  gray = np.repeat(images[..., None], 3, axis=-1)
  index = {image.tobytes(): i for i, image in enumerate(gray)}
  twin_index = {image.tobytes(): i for i, image in enumerate(digit_twins.twins(gray))}
  of_a = [index[image.tobytes()] for image in split.arrays['image_a']]
  of_b = [twin_index[image.tobytes()] for image in split.arrays['image_b']]
  assert sorted(of_a + of_b) == list(range(200))
  for chosen in (of_a, of_b):
    np.testing.assert_array_equal(np.bincount(data.arrays['label'][chosen]), 10)


def test_the_true_map_gives_the_very_twin(split):
  assert set(split.true_maps) == {'b'}
  gray = np.repeat(enlarged('test', 32)[0][..., None], 3, axis=-1)
  every = {image.tobytes() for image in split.true_maps['b'](gray)}
  assert {image.tobytes() for image in split.arrays['image_b']} <= every


def test_twins_are_thicker_and_in_other_colors(split):
  a = split.arrays['image_a']
  b = split.true_maps['b'](a)
  assert b.shape == a.shape and b.dtype == np.uint8
  is_stroke = lambda images, low, high: images[..., 0] > (low + high) / 2
  thick = is_stroke(b, digit_twins.GROUND[0], digit_twins.STROKE[0])
  thin = is_stroke(a, 0, 255)
  assert (thick | ~thin).all() and 1.3 < thick.sum() / thin.sum() < 2.5
  assert (b == digit_twins.GROUND).all(-1).any() and (b == digit_twins.STROKE).all(-1).any()
