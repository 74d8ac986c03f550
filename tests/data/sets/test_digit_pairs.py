"""Pairs of digits: outlines and maps of labels, and what they say of the digit."""

import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy import ndimage

from gen_jax.config import common
from gen_jax.data import sources
from gen_jax.data.dataset import Feature
from gen_jax.data.palettes import colored
from gen_jax.data.sets import digit_pairs
from gen_jax.errors import UserError


def section(name, **changes):
  data = common().data
  data.update({'name': name, **changes})
  return data


@pytest.mark.parametrize(('name', 'channels'), [('digit_edges', 1), ('digit_labels', 3)])
@pytest.mark.parametrize('size', [0, 20])
def test_sizes_types_and_labels(name, channels, size):
  split, single = (sources.open_split(section(n, size=s), 'test') for n, s in ((name, size), ('digits', 0)))
  shape = (size or 32, size or 32, channels)
  assert split.features == dict.fromkeys(('image_a', 'image_b'), Feature(shape)) and split.size == 200
  assert all(split.arrays[each].dtype == np.uint8 for each in split.features)
  np.testing.assert_array_equal(split.arrays['label'], single.arrays['label'])
  assert split.num_classes == 10 and split.about.what == f'the set {name}' and not split.own_order


@pytest.fixture
def plain(monkeypatch):
  """The digits of 'digit_edges' as they are, neither turned nor shrunk."""
  monkeypatch.setattr(digit_pairs, 'TURN', 0)
  monkeypatch.setattr(digit_pairs, 'SHRINK', 1)


@pytest.mark.usefixtures('plain')
def test_edges_surround_what_is_half_as_bright_as_the_brightest():
  arrays = digit_pairs.load_edges('validation').arrays
  edges, digit = arrays['image_a'][..., 0], digit_pairs.enlarged('validation', 32)[0]
  assert set(np.unique(edges)) == {0, 255}
  inside = digit >= digit.max((1, 2), keepdims=True) / 2
  assert inside[edges > 0].all()
  for mask, edge in zip(inside, edges > 0, strict=True):
    np.testing.assert_array_equal(edge, mask & ~ndimage.binary_erosion(mask))
  assert 0.05 < (edges > 0).mean() < 0.3


def test_training_has_several_places_of_a_digit():
  split, copies = digit_pairs.load_edges('train'), digit_pairs.COPIES
  assert split.size == 1_397 * copies == sum(split.class_counts)
  for name in split.features:
    assert len(np.unique(split.arrays[name][:copies].reshape(copies, -1), axis=0)) == copies
  assert (split.arrays['label'][:copies] == split.arrays['label'][0]).all()


@pytest.mark.usefixtures('plain')
def test_a_hatching_is_of_its_digit_alone():
  whole, hatched = digit_pairs.enlarged('test', 32)[0], digit_pairs.load_edges('test').arrays['image_b'][..., 0]
  share = (hatched / np.maximum(whole, 1))[whole > 100]
  least, period = 1 - digit_pairs.DEPTH, digit_pairs.PERIOD
  assert abs(share.min() - least) < 0.01 and 0.99 < share.max() <= 1
  plain = np.full((2, 6, 20), 200, np.uint8)
  waves = digit_pairs.hatch(plain, np.array([0, np.pi])).astype(int)
  assert waves[0, 0, 0] == round(200 * least) and waves[1, 0, 0] == 200
  np.testing.assert_array_equal(waves[:, 1:, :-1], waves[:, :-1, 1:])  # along diagonals
  np.testing.assert_allclose(waves[..., period:], waves[..., :-period], atol=1)  # rounded either way


@pytest.mark.parametrize('size', [16, 32])
def test_a_placed_digit_has_the_turned_moments_of_the_given_one(size):
  """Of a blob: the mean moves, the covariance turns by the angle and shrinks by the square of the scale."""
  rows, columns = np.indices((size, size)) + 0.5
  u, v = (columns - size / 2) / size, (rows - size / 2) / size
  blob = np.round(255 * np.exp(-((u / 0.18) ** 2) - (v / 0.07) ** 2)).astype(np.uint8)

  def moments(image):
    weights = image / image.sum()
    center = np.array([(weights * u).sum(), (weights * v).sum()])
    apart = np.stack([u - center[0], v - center[1]])
    return center, np.einsum('ihw,jhw,hw->ij', apart, apart, weights)

  covariance = moments(blob)[1]
  for seed in range(5):
    placed = digit_pairs.place(blob, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    angle = np.deg2rad(rng.uniform(-digit_pairs.TURN, digit_pairs.TURN))
    scale = rng.uniform(digit_pairs.SHRINK, 1)
    moved = (1 - scale) / 2 * rng.uniform(-1, 1, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    center, found = moments(placed)
    np.testing.assert_allclose(center, moved, atol=0.01)
    np.testing.assert_allclose(found, scale**2 * turn @ covariance @ turn.T, atol=0.0012)


def test_labels_tell_holes_from_the_ground_around():
  arrays = digit_pairs.load_labels('test').arrays
  classes = digit_pairs.load_labels('test', palette=digit_pairs.PALETTE).arrays['image_a']
  np.testing.assert_array_equal(colored(classes.argmax(-1), digit_pairs.PALETTE), arrays['image_a'])
  has_hole = classes[..., 2].any((1, 2))
  assert has_hole[arrays['label'] == 0].mean() > 0.8 and has_hole[arrays['label'] == 1].mean() < 0.2
  assert not classes[:, 0, :, 2].any() and not classes[:, :, -1, 2].any()


def test_regions_differ_in_the_colored_digit():
  arrays = digit_pairs.load_labels('test').arrays
  labels = digit_pairs.load_labels('test', palette=digit_pairs.PALETTE).arrays['image_a'].argmax(-1)
  colors = [np.unique(arrays['image_b'][labels == k], axis=0) for k in range(3)]
  assert colors[0].tolist() == [list(digit_pairs.GROUND)] and colors[2].tolist() == [list(digit_pairs.HOLE)]
  assert len(colors[1]) > 50  # shaded
  others = np.concatenate([colors[0], colors[2]]).astype(int)
  assert np.abs(colors[1][:, None] - others).max(-1).min() > 10


def test_a_palette_makes_classes_of_the_map():
  data = section('digit_labels', palette_a=digit_pairs.PALETTE)
  split = sources.open_split(data, 'test')
  assert split.features['image_a'] == Feature((32, 32, 3), 2) and split.arrays['image_a'].max() == 1
  assert list(sources.problems(data)) == []
  (line,) = sources.problems(section('digit_edges', palette_a=digit_pairs.PALETTE))
  assert line.startswith('config.data.palette_a=') and 'has no effect on digit_edges' in line
  swapped = sources.open_split(ConfigDict({**data, 'swap': True}), 'test')
  assert swapped.features['image_b'] == Feature((32, 32, 3), 2) and swapped.num_classes == 10


def test_too_small_a_size_is_refused():
  with pytest.raises(UserError, match=r'config.data.size=8: the digits of digit_edges need at least 16'):
    sources.open_split(section('digit_edges', size=8), 'train')
