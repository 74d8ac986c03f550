"""Keys of a config: their defaults, what they allow, and what may differ on a finished run."""

import math
import pathlib

import numpy as np
import pytest
from ml_collections import ConfigDict

from gen_jax import config as config_lib
from gen_jax import models
from gen_jax.config import common, experiment, flatten, update
from gen_jax.errors import must_be_fraction, must_fit_32_bits


def test_all_defaults_are_allowed():
  assert list(config_lib.problems(common())) == []


@pytest.mark.parametrize(
  ('changes', 'expected'),
  [
    ({'steps': 0}, 'config.steps=0: must be above 0'),
    ({'seed': 2**32}, 'config.seed=4294967296: must be below 2^32'),
    ({'seed': -1}, 'config.seed=-1: must not be negative'),
    ({'data': {'crop': -1}}, 'config.data.crop=-1: must not be negative'),
    ({'optimizer': {'b1': 1.0}}, 'config.optimizer.b1=1.0: must lie in [0, 1)'),
    (
      {'data': {'layout': 'pairs'}},
      "config.data.layout='pairs': choose one of side_by_side, paired, unpaired, voices, or '' of single images",
    ),
    (
      {'data': {'palette_a': ((0, 0, 0), (0, 0, 0))}},
      'config.data.palette_a=((0, 0, 0), (0, 0, 0)): must be at least two colors, no two of them alike',
    ),
    (
      {'data': {'palette_b': ((0, 0), (0, 0, 300))}},
      'config.data.palette_b=((0, 0), (0, 0, 300)): must be colors (red, green, blue) of 0 to 255, '
      '((0, 0, 0), (255, 255, 255))',
    ),
    ({'data_parallel': 'map'}, "config.data_parallel='map': choose one of pmap, shard_map"),
    ({'best_mode': 'least'}, "config.best_mode='least': choose one of max, min"),
  ],
)
def test_what_a_key_does_not_allow_is_one_line(changes, expected):
  config = common()
  update(config, changes)
  assert list(config_lib.problems(config)) == [expected]


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf, 1e39, -1e39, 1e-50, 2**31, -(2**31), 10**40])
def test_no_number_is_taken_that_32_bits_do_not_hold(value):
  """Of any key, and of any field below `model` and its like."""
  keys = {name: x for name, x in flatten(common()).items() if isinstance(x, int | float) and not isinstance(x, bool)}
  assert len(keys) > 20
  for name in {*keys, 'model.beta', 'model.encoder.own', 'averages.slow', 'player_optimizers.model.eps'} - {'seed'}:
    nested = value
    for part in reversed(name.split('.')):
      nested = {part: nested}
    (line,) = config_lib.problems_of_numbers(nested)
    assert line.startswith(f'config.{name}={value!r}: ')
    assert len(list(config_lib.problems_of_numbers({'model': {'hidden': (8, (value,))}}))) == 1


def test_numbers_that_32_bits_hold_are_taken():
  good = (0.0, -0.0, 3.4e38, 1.2e-38, 2**31 - 1, -5, True, 'nan', (1, 2.5, 'x'), None)
  assert list(config_lib.problems_of_numbers({f'k{i}': x for i, x in enumerate(good)})) == []
  largest = np.finfo(np.float32)
  assert must_fit_32_bits(float(largest.max)) is must_fit_32_bits(float(largest.tiny)) is None
  assert must_fit_32_bits(float(largest.max) * (1 + 1e-9)) and must_fit_32_bits(float(largest.tiny) * (1 - 1e-9))
  for x in (0.999999, 1 - 2**-25, 1 - 2**-26, float(np.nextafter(np.float32(1), np.float32(0)))):
    assert (must_be_fraction(x) is None) == (np.float32(x) < 1), x


def test_only_what_changes_no_parameter_may_differ():
  free = config_lib.keys_that_may_differ()
  assert {'log_every', 'evals', 'data.dir', 'data_parallel', 'steps_per_dispatch', 'snapshots', 'ema_width'} <= free
  assert free.isdisjoint({'seed', 'batch_size', 'precision', 'data.name', 'optimizer.b1', 'ema_decay', 'ema_widths'})


def test_variants_combine_from_left_to_right_and_classes_replace_sections():
  get_config = experiment(
    default={'steps': 7, 'model': {'name': 'VAE', 'beta': {'name': 'linear_schedule', 'init_value': 0.0}}},
    longer={'steps': 9},
    other={'model': {'beta': 4.0}, 'steps': 8},
  )
  assert get_config.variants == ('default', 'longer', 'other', 'smoke')
  assert get_config('longer,other').steps == 8 and get_config('other,longer').steps == 9
  assert get_config('other').model.beta == 4.0 and get_config().model.beta.name == 'linear_schedule'
  with pytest.raises(KeyError, match='stepps is no key'):
    experiment(default={'stepps': 3})('default')


def test_a_class_may_stand_for_its_name():
  config = experiment(default={'model': {'name': models.VAE, 'parts': {'name': pathlib.PurePath}}})()
  assert config.model.name == 'VAE' and config.model.parts.name == 'pathlib:PurePath'


def test_a_variant_may_leave_out_what_the_default_sets():
  section = {'name': 'VAE', 'free_nats': 1.0, 'penalty': {'name': 'DIPPenalty'}}
  unset = {'free_nats': config_lib.UNSET, 'penalty': config_lib.UNSET, 'beta': config_lib.UNSET}
  get_config = experiment(default={'model': section}, plain={'model': unset}, other={'model': {'free_nats': None}})
  assert get_config('plain').model.to_dict() == {'name': 'VAE'}
  assert get_config('other').model.free_nats is None
  assert get_config().model.to_dict() == section
  nested = {'penalty': {'name': 'TotalCorrelation', 'weight': config_lib.UNSET}}  # of a section that is replaced whole
  assert experiment(default={'model': section}, other={'model': nested})('other').model.penalty.to_dict() == {
    'name': 'TotalCorrelation'
  }
  with pytest.raises(ValueError, match='steps cannot be UNSET'):
    experiment(default={'steps': config_lib.UNSET})('default')


def test_merged_are_groups_key_by_key_and_a_group_and_a_value_replace_each_other():
  base = {'a': 1, 'b': {'c': 2, 'd': {'e': 3}}, 'f': {'g': 4}, 'h': 5}
  merged = config_lib.merge(base, {'b': {'d': {'e': 6, 'i': 7}}, 'f': 8.0, 'h': {'j': 9}})
  assert merged == {'a': 1, 'b': {'c': 2, 'd': {'e': 6, 'i': 7}}, 'f': 8.0, 'h': {'j': 9}}


def test_old_configs_take_the_defaults_of_keys_that_were_added():
  old = {'steps': 5, 'data': {'name': 'ring'}}
  config = ConfigDict(config_lib.merge(config_lib.defaults(config_lib.KEYS), old))
  assert (config.steps, config.data.name, config.data.size, config.averages.to_dict()) == (5, 'ring', 0, {})
