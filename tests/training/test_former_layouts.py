"""Checkpoints of older layouts open to the numbers that they hold."""

import chex
import numpy as np
import pytest

from gen_jax.training.checkpoint import Checkpoints
from gen_jax.training.state import TrainState

PARAMS = {'decoder': {'kernel': np.arange(6, dtype='f4').reshape(2, 3)}}
AVERAGED = {'decoder': {'kernel': -np.ones((2, 3), 'f4')}}
NORM = {'decoder': {'norm': {'mean': np.full(3, 0.5, 'f4')}}}  # of a network that has batch statistics
VARIANCE = {'likelihood': {'variance': np.float32(0.04)}}  # of an OptimalGaussian


def state(variables, ema):
  return TrainState(np.int32(7), PARAMS, variables, {'model': {'mu': np.ones(2, 'f4')}}, ema, ())


def reopened(tmp_path, stored, like):
  """What is read of a checkpoint of one state where the code of today has another."""
  checkpoints = Checkpoints(tmp_path / 'checkpoints', keep=1)
  checkpoints.save(stored, {})
  checkpoints.close()
  reader = Checkpoints(tmp_path / 'checkpoints', keep=1, read_only=True)
  return reader.restore_latest(lambda step: like)


@pytest.mark.parametrize('averages', ['none', 'named', 'unnamed'])
@pytest.mark.parametrize('norm', [{}, NORM], ids=['', 'norm'])
def test_the_running_variance_was_in_a_collection_of_its_own_and_not_averaged(norm, averages, tmp_path):
  own = {'batch_stats': norm} if norm else {}
  average = {'params': AVERAGED, 'batch_stats': norm}
  former = {'none': {}, 'named': {'ema': average, 'slow': average}, 'unnamed': average}[averages]
  today = {'params': AVERAGED, 'batch_stats': norm | VARIANCE}
  expected = {'none': {}, 'named': {'ema': today, 'slow': today}, 'unnamed': {'ema': today}}[averages]
  expected = state({'batch_stats': norm | VARIANCE}, expected)
  results = reopened(tmp_path, state(own | {'statistics': VARIANCE}, former), expected)
  chex.assert_trees_all_equal(results, expected)


def test_an_average_of_other_groups_takes_nothing_over(tmp_path):
  average = {'ema': {'params': AVERAGED, 'batch_stats': {}}}
  expected = state({'batch_stats': VARIANCE}, average)
  chex.assert_trees_all_equal(reopened(tmp_path, state({'statistics': VARIANCE}, average), expected), expected)


def test_a_collection_of_this_name_that_a_model_still_has_stays(tmp_path):
  expected = state({'statistics': VARIANCE, 'batch_stats': NORM}, {})
  chex.assert_trees_all_equal(reopened(tmp_path, expected, expected), expected)
