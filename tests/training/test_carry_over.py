"""A training in stages: a Task is a value of the step, and what was trained goes on in larger networks."""

import chex
import jax
import numpy as np
import pytest
from small import small_config

from gen_jax import build
from gen_jax.runs.workdir import claim_workdir
from gen_jax.training import loop
from gen_jax.training.carry_over import carry_over, lay_over
from gen_jax.training.stopwatch import Stopwatch

BOUNDARY, STEPS = 10, 20
SAVED = {'steps': STEPS, 'save_every': 5, 'eval_every': STEPS}


def task_of(config):
  """The task of a run whose encoder grows at step 10 by a layer, and whose batches double."""
  grown = small_config(**SAVED, batch_size=16, model={'encoder': {'hidden': (16, 16)}})

  def task(step):
    if step < BOUNDARY:
      return build.task(config)._replace(until=BOUNDARY)
    later = build.task(grown)
    return later._replace(config=grown)

  return task


def train(workdir):
  config = small_config(**SAVED)
  claim_workdir(workdir, config)
  return loop.run(task_of(config), workdir)


def test_a_run_grows_and_is_resumed_in_either_stage(tmp_path, monkeypatch):
  state, stopped_by = train(tmp_path / 'straight')
  assert not stopped_by and state.step == STEPS
  assert set(state.params['encoder']) == {'Dense_0', 'Dense_1', 'Dense_2'}
  assert state.opt_state['model'][0][0].count == STEPS - BOUNDARY  # optimizers start anew

  original = loop.next_stop
  for stop in (5, 15):  # inside the first stage, and inside the second

    def interrupted(step, config, until, stop=stop):
      if step == stop:
        raise KeyboardInterrupt
      return original(step, config, until)

    workdir = tmp_path / f'stopped_{stop}'
    monkeypatch.setattr(loop, 'next_stop', interrupted)
    with pytest.raises(KeyboardInterrupt):
      train(workdir)
    monkeypatch.setattr(loop, 'next_stop', original)
    resumed, _ = train(workdir)
    chex.assert_trees_all_equal(resumed, state)


def test_what_a_stage_needs_before_its_first_step_is_its_own(tmp_path, capsys):
  config, watch = small_config(**SAVED), Stopwatch()
  watch.phases['imports'] = 1000.0
  claim_workdir(tmp_path / 'run', config)
  loop.run(task_of(config), tmp_path / 'run', watch)
  first, second = (line for line in capsys.readouterr().err.splitlines() if line.startswith('first step after'))
  assert float(first.split()[3]) > 1000 and 'imports 1000' in first
  assert float(second.split()[3]) < 500 and 'imports' not in second and 'compilation' in second


def test_trained_leaves_are_laid_over_fresh_ones_of_their_path_and_shape():
  fresh = {'a': {'kernel': np.zeros((2, 3)), 'bias': np.zeros(3)}, 'new': {'kernel': np.zeros(4)}}
  trained = {'a': {'kernel': np.ones((2, 3)), 'bias': np.ones(2)}, 'gone': {'kernel': np.ones(5)}}
  laid = lay_over(fresh, trained)
  expected = {'a': {'kernel': np.ones((2, 3)), 'bias': np.zeros(3)}, 'new': {'kernel': np.zeros(4)}}
  chex.assert_trees_all_equal(laid, expected)


def test_a_number_is_not_replaced_by_a_group_of_its_name():
  fresh = {'scale': np.float32(1.0), 'layer': {'kernel': np.ones(2)}}
  trained = {'scale': {'kernel': np.zeros(2)}, 'layer': np.zeros(2)}
  chex.assert_trees_all_equal(lay_over(fresh, trained), fresh)


def test_what_is_carried_over():
  small = loop.initial_state(build.task(small_config()))
  trained = small._replace(step=np.int32(7), data='weights', params=jax.tree.map(lambda x: x + 1, small.params))
  trained = trained._replace(ema=jax.tree.map(lambda x: x + 2, small.ema))
  fresh = loop.initial_state(build.task(small_config(model={'encoder': {'hidden': (16, 16)}})))
  state = carry_over(trained, fresh)
  assert state.step == 7 and state.data == 'weights'
  chex.assert_trees_all_equal(state.params['decoder'], trained.params['decoder'])
  chex.assert_trees_all_equal(state.params['encoder']['Dense_0'], trained.params['encoder']['Dense_0'])
  chex.assert_trees_all_equal(state.params['encoder']['Dense_2'], fresh.params['encoder']['Dense_2'])
  chex.assert_trees_all_equal(state.ema['ema']['params']['decoder'], trained.ema['ema']['params']['decoder'])
  chex.assert_trees_all_equal(state.opt_state, fresh.opt_state)
