import itertools
import os
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax.data.sets import sprites
from gen_jax.data.sets.grid_of_factors import split_rows
from gen_jax.errors import UserError

SQUARE, ELLIPSE, HEART = range(3)


def draw(factors):
  """Factors [..., 5] -> bool [..., 64, 64]."""
  factors = np.asarray(factors, np.int32)
  images = jax.jit(sprites.render)(jnp.asarray(factors.reshape(-1, 5)))
  return np.asarray(images)[..., 0].reshape(*factors.shape[:-1], 64, 64) > 0


def center_of_mass(images):
  """Bool [N,64,64] -> (column [N], row [N])."""
  area = images.sum((1, 2))
  return (images.sum(1) @ np.arange(64)) / area, (images.sum(2) @ np.arange(64)) / area


def centerd(shape, scale=5):
  """All 40 orientations at x = y = 0, cut so that the sprite's center is the window's: [40,32,32]."""
  return draw([(shape, scale, k, 0, 0) for k in range(40)])[:, :32, :32]


@pytest.mark.parametrize(
  ('shape', 'areas'),
  [
    (SQUARE, (100, 144, 196, 256, 324, 400)),
    (ELLIPSE, (76, 104, 144, 184, 228, 288)),
    (HEART, (58, 84, 108, 140, 182, 222)),
  ],
)
def test_areas_of_the_upright_sprites_are_the_published_ones(shape, areas):
  drawn = draw([(shape, scale, 0, 0, 0) for scale in range(6)]).sum((1, 2))
  np.testing.assert_allclose(drawn, areas, atol=2 if shape == HEART else 0)


def test_upright_square_fills_a_box():
  image = draw((SQUARE, 0, 0, 0, 0))
  expected = np.zeros((64, 64), bool)
  expected[11:21, 11:21] = True
  np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize('shape', [SQUARE, ELLIPSE])
def test_x_moves_the_center_right_and_y_down(shape):
  x, y = np.meshgrid(np.arange(32), np.arange(32), indexing='ij')
  factors = np.stack([np.full(1024, shape), np.full(1024, 3), np.full(1024, 7), x.ravel(), y.ravel()], -1)
  column, row = center_of_mass(draw(factors))
  np.testing.assert_allclose(column, 16 - 0.5 + 32 * np.linspace(0, 1, 32)[x.ravel()], atol=0.2)
  np.testing.assert_allclose(row, 16 - 0.5 + 32 * np.linspace(0, 1, 32)[y.ravel()], atol=0.2)


@pytest.mark.parametrize('shape', [SQUARE, ELLIPSE, HEART])
def test_a_full_turn_is_no_turn(shape):
  pairs = np.array([[(shape, scale, k, x, 31 - x) for k in (0, 39)] for scale in range(6) for x in range(0, 32, 5)])
  first, last = draw(pairs).swapaxes(0, 1)
  np.testing.assert_array_equal(first, last)
  assert (draw((shape, 5, 0, 0, 0)) != draw((shape, 5, 5, 0, 0))).any()


def test_symmetries():
  square, ellipse, heart = (centerd(shape) for shape in (SQUARE, ELLIPSE, HEART))
  np.testing.assert_array_equal(square, np.rot90(square, axes=(1, 2)))
  np.testing.assert_array_equal(ellipse, ellipse[:, ::-1, ::-1])
  assert (ellipse != np.rot90(ellipse, axes=(1, 2))).sum((1, 2)).min() > 100
  # The mirror image of the heart turned by k steps is the heart turned by -k = 39 - k steps.
  np.testing.assert_array_equal(heart, heart[::-1, :, ::-1])
  assert (heart != heart[:, ::-1, ::-1]).sum((1, 2)).min() > 50


def test_turns_are_counter_clockwise():
  column, row = center_of_mass(draw([(HEART, 5, k, 0, 0) for k in range(40)]))
  angle = np.linspace(0, 2 * np.pi, 40)  # upright, the heart's mass lies above the center
  np.testing.assert_allclose(column, 15.5 - 1.98 * np.sin(angle), atol=0.15)
  np.testing.assert_allclose(row, 15.5 - 1.98 * np.cos(angle), atol=0.15)
  ellipse = draw((ELLIPSE, 5, 5, 0, 0))  # 46 degrees: from lower left to upper right
  assert ellipse[8, 23]
  assert not ellipse[8, 8]


@pytest.mark.parametrize(('scale', 'orientation'), [(5, 0), (5, 7), (3, 16), (2, 25), (0, 33)])
def test_heart_is_its_parametric_curve(scale, orientation):
  t = np.linspace(0, 2 * np.pi, 4000)
  curve_x = sprites.HEART_A * np.sin(t) ** 3
  curve_y = sprites.HEART_OFFSET - sprites.HEART_B * (
    13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
  )
  size, angle = np.linspace(0.5, 1, 6)[scale], np.linspace(0, 2 * np.pi, 40)[orientation]
  z = 15.5 + 15.5j + size * (curve_x + 1j * curve_y) * np.exp(-1j * angle)  # y points down
  # A point is inside when a ray to the right crosses the polygon an odd number of times.
  row, column = np.arange(64)[:, None, None], np.arange(64)[None, :, None]
  a, b = z[:-1][None, None], z[1:][None, None]
  spans = (a.imag > row) != (b.imag > row)
  rise = np.where(a.imag == b.imag, 1, b.imag - a.imag)
  expected = (spans & (column < a.real + (row - a.imag) / rise * (b.real - a.real))).sum(-1) % 2 == 1
  assert (draw((HEART, scale, orientation, 0, 0)) != expected).sum() <= 1
  assert expected.sum() > 50


def test_render_agrees_under_jit_vmap_and_scan():
  factors = jnp.asarray(sprites.factors_of(np.random.default_rng(0).integers(0, sprites.NUM_IMAGES, (4, 6))))
  expected = np.stack([sprites.render(rows) for rows in factors])
  assert expected.dtype == np.uint8
  assert expected.shape == (4, 6, 64, 64, 1)
  assert set(np.unique(expected)) == {0, 1}
  np.testing.assert_array_equal(jax.vmap(sprites.render)(factors), expected)
  scanned = jax.lax.scan(lambda _, rows: (0, sprites.render(rows)), 0, factors)[1]
  np.testing.assert_array_equal(scanned, expected)
  np.testing.assert_array_equal(jax.jit(sprites.render)(factors[0, :1]), expected[0, :1])


def test_index_and_factors_are_inverse_in_the_published_order():
  product = np.array(list(itertools.product(*map(range, (3, 6, 40, 32, 32)))), np.int32)
  index = np.arange(737_280)
  factors = sprites.factors_of(index)
  assert factors.dtype == np.int32
  np.testing.assert_array_equal(factors, product)
  np.testing.assert_array_equal(sprites.index_of(factors), index)
  assert sprites.index_of(np.uint8([[[2, 5, 39, 31, 31]]])).tolist() == [[737_279]]
  assert sprites.factors_of(33).tolist() == [0, 0, 0, 1, 1]
  assert len(sprites.FACTOR_NAMES) == len(sprites.FACTOR_SIZES) == 5


def test_splits_are_disjoint_complete_exact_tenths_and_stable():
  parts = {name: split_rows(sprites.NUM_IMAGES, name) for name in ('train', 'validation', 'test')}
  assert {name: len(rows) for name, rows in parts.items()} == {'train': 589_824, 'validation': 73_728, 'test': 73_728}
  np.testing.assert_array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(737_280))
  assert {name: zlib.crc32(rows.astype('<i4').tobytes()) for name, rows in parts.items()} == {
    'train': 2961502215,
    'validation': 1249148233,
    'test': 2485895925,
  }
  for rows in parts.values():  # no value of a factor is over- or under-represented
    for factor, count in zip(sprites.factors_of(rows).T, sprites.FACTOR_SIZES, strict=True):
      np.testing.assert_allclose(np.bincount(factor, minlength=count) * count / len(rows), 1, atol=0.1)


def test_splits_follow_fmix32():
  def fmix32(h):
    h ^= h >> 16
    h = h * 0x85EBCA6B % 2**32
    h ^= h >> 13
    h = h * 0xC2B2AE35 % 2**32
    return h ^ h >> 16

  assert fmix32(1) == 0x514E28B7  # the published value of murmur3's finaliser
  test, validation, train = (
    max(fmix32(int(i)) for i in split_rows(sprites.NUM_IMAGES, name)[:5000]) for name in ('test', 'validation', 'train')
  )
  assert test < 2**32 * 0.11 < validation < 2**32 * 0.21 < train


def test_load_draws_its_rows():
  data = sprites.load('test')
  assert (data.size, data.image_shape, data.levels, data.num_classes) == (73_728, (64, 64, 1), 2, 0)
  assert data.factor_sizes == (3, 6, 40, 32, 32)
  assert data.arrays['factors'].shape == (73_728, 5)
  assert data.arrays['factors'].nbytes == 5 * 73_728
  indices = np.array([5, 0, 70_000])
  rows = data.fetch(indices)
  batch = jax.jit(data.finish)({**rows, 'index': indices})
  expected = sprites.factors_of(split_rows(sprites.NUM_IMAGES, 'test')[indices])
  assert batch['factors'].dtype == jnp.int32
  np.testing.assert_array_equal(batch['factors'], expected)
  np.testing.assert_array_equal(batch['image'][..., 0] > 0, draw(expected))
  np.testing.assert_array_equal(batch['index'], indices)


def test_unknown_split_is_refused():
  with pytest.raises(UserError, match='valid'):
    sprites.load('valid')


def published_factors():
  """The factors of the 160 published frames, in the order of the animation that they come from."""
  scales, turns, moves = (0, 2, 4, 5, 3, 1, 0, 2, 4, 5), range(2, 40, 2), range(2, 32, 2)

  def scaled_and_turned(shape):
    return [(shape, s, 0, 0, 0) for s in scales] + [(shape, 5, k, 0, 0) for k in turns]

  corners = [(0, 0), (0, 31), (31, 31), (31, 0), (0, 0)]
  border = [(0, 0)]
  for (x0, y0), (x1, y1) in itertools.pairwise(corners):
    border += [(x0 + np.sign(x1 - x0) * i, y0 + np.sign(y1 - y0) * i) for i in moves] + [(x1, y1)]
  shrinking = {shape: [(shape, s, 0, 0, 0) for s in (3, 1)] for shape in (HEART, ELLIPSE, SQUARE)}
  frames = scaled_and_turned(HEART) + [(HEART, 5, 0, x, y) for x, y in border] + shrinking[HEART]
  for shape in (ELLIPSE, SQUARE):
    frames += scaled_and_turned(shape) + [(shape, 5, 0, 0, 0)] + shrinking[shape]
  return np.array(frames)


@pytest.mark.data
def test_render_matches_published_images():
  path = os.environ.get('GEN_JAX_DSPRITES_FRAMES')
  if not path:
    pytest.skip('set GEN_JAX_DSPRITES_FRAMES to an .npz with 160 published frames: images uint8 [160,64,64]')
  with np.load(path) as frames:
    published = frames['images'] > 0
  drawn = draw(published_factors())
  overlap = (drawn & published).sum((1, 2)) / (drawn | published).sum((1, 2))
  assert overlap.shape == (160,)
  assert overlap.mean() >= 0.999  # .9996
  assert overlap.min() >= 0.98  # .9890


def images_of(variant, index):
  data = sprites.load('test', variant)
  batch = jax.jit(data.finish)(dict(data.fetch(np.asarray(index))))
  return np.asarray(batch['image'])


INDEX = np.arange(0, 70_000, 700)


def test_colored_sprites_have_one_bright_color_each():
  inside, images = images_of('sprites', INDEX)[..., 0] > 0, images_of('sprites_coloured', INDEX)
  assert images.shape == (100, 64, 64, 3) and not images[~inside].any()
  colors = np.array([image[mask].min(0) for image, mask in zip(images, inside, strict=True)])
  np.testing.assert_array_equal(colors, [image[mask].max(0) for image, mask in zip(images, inside, strict=True)])
  assert colors.min() >= 127 and colors.max() > 240 and (colors.std(0) > 25).all()  # uniform: 36.8
  assert np.abs(np.corrcoef(colors.T) - np.eye(3)).max() < 0.35


def test_noisy_sprites_are_white_on_uniform_noise():
  inside, images = images_of('sprites', INDEX)[..., 0] > 0, images_of('sprites_noisy', INDEX)
  assert (images[inside] == 255).all()
  noise = images[~inside] / 255
  np.testing.assert_allclose([noise.mean(), noise.std()], [0.5, 12**-0.5], atol=0.003)
  assert np.abs(images[0] - images[1].astype(int)).mean() > 60  # another noise for each image


def test_scrambled_sprites_hold_the_same_pixels_in_one_order():
  plain, scrambled = (images_of(name, INDEX).reshape(100, -1) for name in ('sprites', 'sprites_scrambled'))
  np.testing.assert_array_equal(plain.sum(1), scrambled.sum(1))
  moved = {plain[:, i].tobytes() for i in range(4096)}
  assert {scrambled[:, i].tobytes() for i in range(4096)} == moved  # columns are permuted, all images alike
  assert (plain != scrambled).any(1).all()


@pytest.mark.parametrize('variant', ['sprites_coloured', 'sprites_noisy'])
def test_an_image_is_a_function_of_its_factors(variant):
  data = sprites.load('test', variant)
  rows = dict(data.fetch(np.array([5, 9, 5])))
  batch = jax.jit(data.finish)(rows)
  alone = jax.jit(data.finish)({name: x[1:2] for name, x in rows.items()})
  np.testing.assert_array_equal(batch['image'][0], batch['image'][2])
  np.testing.assert_array_equal(batch['image'][1], alone['image'][0])
