import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax.data.sets import shapes

CUBE, CYLINDER, SPHERE, CAPSULE = range(4)
RENDER = jax.jit(shapes.render)
BASE = (3, 5, 0, 4, SPHERE, 7)  # a red sphere, straight ahead


def draw(**changes):
  """One image as float [64,64,3] in [0, 1]."""
  factors = dict(zip(shapes.FACTOR_NAMES, BASE, strict=True)) | changes
  return np.asarray(RENDER(jnp.array([list(factors.values())], jnp.int32)))[0] / 255


def solid_of(**changes):
  """Where the solid is: where another hue of it changes the picture."""
  return (draw(**changes, object_hue=0) != draw(**changes, object_hue=5)).any(-1)


def test_hues_are_those_of_colorsys():
  import colorsys

  hues = np.linspace(0, 1, 37, endpoint=False)
  expected = [colorsys.hsv_to_rgb(h, 1, 1) for h in hues]
  np.testing.assert_allclose(jax.vmap(shapes.hue)(jnp.array(hues)), expected, atol=1e-5)


@pytest.mark.parametrize('part, factor, where', [('floor', 'floor_hue', (-1, 2)), ('wall', 'wall_hue', (18, 2))])
def test_each_hue_colors_its_own_part(part, factor, where):
  images = np.stack([draw(**{factor: value}) for value in range(10)])
  changed = (images != images[:1]).any((0, 3))
  assert changed[where] and not changed[40, 32] and not changed[0, 0]  # not the solid, not the sky
  ratio = images[:, *where] / images[:, *where].max(-1, keepdims=True)
  np.testing.assert_allclose(ratio, jax.vmap(shapes.hue)(jnp.arange(10) / 10), atol=0.02)


def disc(radius):
  """Where a ball on the floor is: the rays within asin(radius / distance) of the direction to its center."""
  to = np.array([0.0, radius, 0.0]) - shapes.EYE
  cosine = shapes.rays() @ to / np.linalg.norm(to)
  return cosine > np.sqrt(1 - (radius / np.linalg.norm(to)) ** 2)


@pytest.mark.parametrize('scale', [0, 4, 7])
def test_a_sphere_is_the_disc_that_its_geometry_says(scale):
  assert (solid_of(scale=scale) != disc(0.75 + 0.5 / 7 * scale)).sum() <= 2


def row_of(point):
  """The row in which a point of the room is seen."""
  return np.unravel_index((shapes.rays() @ (point - shapes.EYE)).argmax(), (64, 64))[0]


@pytest.mark.parametrize('scale', [0, 7])
def test_solids_stand_on_the_floor(scale):
  size = 0.75 + 0.5 / 7 * scale
  front = row_of(np.array([0.0, 0.0, -0.85 * size]))  # of the base of a cube that looks at us, and of a cylinder
  ball = np.argwhere(disc(0.6 * size))[:, 0].max()
  for shape, lowest in ((CUBE, front), (CYLINDER, front), (CAPSULE, ball)):
    mask = solid_of(shape=shape, scale=scale, orientation=7)
    assert abs(np.argwhere(mask)[:, 0].max() - lowest) <= 1, shape


@pytest.mark.parametrize('shape', range(4))
def test_solids_grow_in_the_middle(shape):
  masks = [solid_of(shape=shape, scale=scale) for scale in range(8)]
  areas = [mask.sum() for mask in masks]
  assert (np.diff(areas) > 0).all()
  for mask in masks:
    assert mask[:, 31:33].any() and abs(np.argwhere(mask)[:, 1].mean() - 31.5) < 1  # in the middle


def test_a_solid_of_revolution_does_not_turn_and_a_cube_does():
  for shape, turns in ((CUBE, True), (CYLINDER, False), (SPHERE, False), (CAPSULE, False)):
    masks = [solid_of(shape=shape, orientation=k) for k in (0, 3, 14)]
    differing = max((a != b).sum() for a, b in itertools.combinations(masks, 2))
    assert differing > 30 if turns else differing <= 4


def test_turning_left_mirrors_turning_right():
  left, right = (solid_of(shape=CUBE, orientation=k) for k in (2, 12))
  assert (left != right[:, ::-1]).sum() <= 4


def test_splits_share_out_all_combinations():
  parts = {name: shapes.load(name) for name in ('train', 'validation', 'test')}
  assert {name: data.size for name, data in parts.items()} == {'train': 384_000, 'validation': 48_000, 'test': 48_000}
  rows = np.concatenate([data.arrays['factors'] for data in parts.values()]).astype(np.int64)
  index = np.ravel_multi_index(tuple(rows.T), shapes.FACTOR_SIZES)
  assert len(np.unique(index)) == shapes.NUM_IMAGES
  data = parts['test']
  batch = jax.jit(data.finish)(data.fetch(np.arange(3)))
  assert batch['image'].shape == (3, 64, 64, 3) and batch['image'].dtype == jnp.uint8
  np.testing.assert_array_equal(batch['image'], RENDER(batch['factors']))
