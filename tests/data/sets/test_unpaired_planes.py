import numpy as np
import pytest

from gen_jax.config import common
from gen_jax.data import sources
from gen_jax.data.dataset import Feature
from gen_jax.errors import UserError


def section(**changes):
  data = common().data
  data.update({'name': 'unpaired_planes', **changes})
  return data


def test_sides_are_two_distributions_of_points():
  split = sources.open_split(section(sides=('ring', 'spirals')), 'test')
  assert split.features == dict.fromkeys(('image_a', 'image_b'), Feature((1, 1, 2), 0, 'points'))
  assert dict(split.own_order) == {'image_a': 10_000, 'image_b': 10_000} and split.kind == 'points'
  radius = np.linalg.norm(split.arrays['image_a'].reshape(-1, 2), axis=-1)
  assert np.abs(radius - np.sqrt(2)).max() < 0.1  # of the ring
  assert np.linalg.norm(split.arrays['image_b'].reshape(-1, 2), axis=-1).std() > 0.2


def test_two_sides_of_one_name_are_other_points():
  split = sources.open_split(section(sides=('moons', 'moons')), 'test')
  assert len(np.intersect1d(split.arrays['image_a'][..., 0], split.arrays['image_b'][..., 0])) < 10


@pytest.mark.parametrize('sides', [('moons',), ('moons', 'moon'), ()])
def test_other_names_are_refused(sides):
  with pytest.raises(UserError, match=r'config.data.sides=.*: name two of ring, grid, swiss_roll, moons, spirals'):
    sources.open_split(section(sides=sides), 'train')
