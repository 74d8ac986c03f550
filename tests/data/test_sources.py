import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from gen_jax.config import common
from gen_jax.data import sources
from gen_jax.data.sets import (
  SETS,
  digit_pairs,
  digit_twins,
  digits,
  folder,
  planar,
  shapes,
  sprite_styles,
  sprites,
  tfds,
  unpaired_planes,
)
from gen_jax.errors import UserError


def section(name, **changes):
  data = common().data
  data.update({'name': str(name), **changes})
  return data


@pytest.fixture
def images(tmp_path):
  for split in ('train', 'validation', 'test'):
    (tmp_path / split).mkdir()
    for i in range(3):
      Image.fromarray(np.full((4, 6), i, np.uint8)).save(tmp_path / split / f'{i}.png')
  return tmp_path


@pytest.mark.parametrize(
  ('name', 'owner'),
  [
    ('digits', digits),
    ('shapes', shapes),
    ('sprites', sprites),
    ('sprites_coloured', sprites),
    ('ring', planar),
    ('digit_edges', digit_pairs),
    ('digit_labels', digit_pairs),
    ('digit_twins', digit_twins),
    ('sprite_styles', sprite_styles),
    ('unpaired_planes', unpaired_planes),
    ('points.csv', planar),
    ('~/picture.PNG', planar),
    ('mnist', tfds),
    ('nowhere/at/all', tfds),
  ],
)
def test_the_first_that_owns_a_name_opens_it(name, owner):
  assert next(candidate for candidate in SETS if candidate.owns(section(name))) is owner


def test_a_folder_is_one_of_images_unless_tfds_has_prepared_it(images):
  assert folder.owns(section(images)) and not folder.owns(section('nowhere')) and not planar.owns(section(images))
  (images / 'dataset_info.json').write_text('{}')
  assert not folder.owns(section(images)) and tfds.owns(section(images))


def test_a_split_is_opened_once_for_each_section(images):
  data = section(images)
  train = sources.open_split(data, 'train')
  assert train.size == 3 and train.image_shape == (4, 6, 1)
  assert sources.open_split(ConfigDict(data.to_dict()), 'train') is train
  assert sources.open_split(data, 'test') is not train
  streamed = sources.open_split(section(images, resident_mib=0), 'train')
  assert streamed.arrays is None and streamed.size == 3


def test_points_carry_their_distribution():
  assert sources.open_split(section('ring'), 'test').target is planar.TARGETS['ring']
  assert sources.open_split(section('digits'), 'test').target is None


def test_mistakes_are_those_of_the_owner(images):
  with pytest.raises(UserError, match=r'config.data.name is empty: name a data set'):
    sources.open_split(section(''), 'train')
  with pytest.raises(UserError, match=r'there is no folder .*nowhere'):
    sources.open_split(section(images / 'nowhere'), 'validation')
  with pytest.raises(UserError, match=r'did you mean mnist'):
    sources.open_split(section('mnst'), 'train')
