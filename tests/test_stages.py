"""The stages of a training whose networks grow: their steps, what each has of the config, what is refused."""

import types

import numpy as np
import pytest
from small import small_config

from gen_jax import build, stages
from gen_jax.data.dataset import from_arrays
from gen_jax.types import Player

PLAIN = from_arrays({'image': np.zeros((1_000, 1, 1, 1), np.uint8)})
GROWING = {'resolutions': (4, 8, 16), 'fade_images': (90,), 'stable_images': (60, 40), 'batch_sizes': (20, 10)}


def config_of(**changes):
  section = GROWING | changes.pop('stages', {})
  return small_config('gan', **{'steps': 100, 'batch_size': 8, 'stages': section} | changes)


def test_stages_are_as_long_as_their_images():
  found = stages.stages_of(config_of())
  # 60 images of 20; 90 and 40 of 10; 90 of 8, and the rest
  assert found == ((0, 3, 4, 0), (3, 3 + 9 + 4, 8, 9), (16, 100, 16, 12))
  assert stages.stages_of(small_config()) == ((0, 100, 0, 0),)


@pytest.mark.parametrize(('step', 'resolution'), [(0, 4), (2, 4), (3, 8), (15, 8), (16, 16), (99, 16), (100, 16)])
def test_a_step_belongs_to_the_stage_that_it_begins(step, resolution):
  assert stages.stage_at(config_of(), step).resolution == resolution


def test_what_a_stage_has_of_the_config():
  config = config_of(stages={'learning_rates': (0.5, 0.25)}, optimizer={'learning_rate': 0.125})
  own = [stages.config_of(config, stage) for stage in stages.stages_of(config)]
  assert [each.batch_size for each in own] == [20, 10, 8]
  assert [each.optimizer.learning_rate for each in own] == [0.5, 0.25, 0.125]
  assert own[-1] == config and own[0].steps == config.steps
  alone = small_config()
  assert stages.config_of(alone, stages.stages_of(alone)[0]) is alone


@pytest.mark.parametrize(
  ('changes', 'line'),
  [
    ({'stages': {'stable_images': (6, 1, 1)}}, 'config.stages.stable_images=(6, 1, 1): must be 2, one for each stage'),
    ({'stages': {'fade_images': (1, 2, 3)}}, 'config.stages.fade_images=(1, 2, 3): must be 2, one for each stage aft'),
    ({'stages': {'batch_sizes': (8,)}}, 'config.stages.batch_sizes=(8,): must be 2'),
    (
      {'stages': {'learning_rates': (1e-3, 1e-3)}, 'player_optimizers': {'generator': {'learning_rate': 1e-4}}},
      'config.stages.learning_rates=(0.001, 0.001): config.player_optimizers.generator.learning_rate hides them',
    ),
    (
      {'stages': {'resolutions': ()}},
      'config.stages.fade_images=(90,): nothing grows; set config.stages.resolutions, such as (4, 8, 16, 32)',
    ),
    ({'snapshots': 4}, 'config.snapshots=4: those of networks that grow do not combine; set 0'),
  ],
)
def test_what_does_not_fit_together_is_said(changes, line):
  assert next(stages.problems(config_of(**changes))).startswith(line)


def test_a_run_must_reach_its_last_stage():
  assert list(stages.problems_of_length(config_of(steps=29))) == []
  line = 'config.steps=28: images of 16x16 are whole from step 28 on; make it more, or config.stages shorter'
  assert list(stages.problems_of_length(config_of(steps=28))) == [line]
  assert list(stages.problems(config_of())) == list(stages.problems_of_length(small_config())) == []


@pytest.mark.parametrize(
  ('value', 'line'),
  [
    ((4, 8, 32), 'each must be twice the one before'),
    ((8, 4), 'each must be twice the one before'),
    ((6, 12), 'must begin with a power of two, of at least 4'),
    ((2, 4), 'must begin with a power of two, of at least 4'),
    ((4,), 'must be two at least'),
    ([4, 8], 'must be sides of images'),
    ((4, 8, 16), ''),
    ((), ''),
  ],
)
def test_resolutions_double(value, line):
  found = stages.must_be_resolutions(value) or ''
  assert found.startswith(line) and bool(found) == bool(line)


def test_numbers_of_stages_are_above_0():
  assert not any(map(stages.must_be_counts, ((1,), (1, 2))))
  assert all(map(stages.must_be_counts, (1, (), (1, 0), (1.5,), (True,))))
  sizes, rates = stages.must_be_for_stages(int, 'sizes'), stages.must_be_for_stages(float, 'rates')
  assert not any(map(sizes, ((), (4, 8)))) and not any(map(rates, ((), (1e-3, 1))))
  assert all(map(sizes, (4, (0,), (1.5,)))) and all(map(rates, (1e-3, (0.0,), ('x',))))


def test_schedules_go_on_in_a_later_stage():
  model = types.SimpleNamespace(players={'critic': Player('loss', ('x',), steps=2)})
  for schedule, rates in (('linear', (1.0, 0.5, 0.25)), ('cosine', (1.0, 0.5, (1 - 0.5**0.5) / 2))):
    config = config_of(optimizer={'schedule': schedule, 'learning_rate': 1.0})
    found = []
    for start in (0, 50, 75):  # of 100
      optimizer, params = build.optimizers(config, model, start)['critic'], {'x': np.zeros(1, np.float32)}
      updates, _ = optimizer.update({'x': np.ones(1, np.float32)}, optimizer.init(params), params)
      found.append(-float(updates['x'][0]))  # Adam's first step is as long as the rate
    np.testing.assert_allclose(found, rates, rtol=1e-4)


def test_the_decay_of_the_second_moment_goes_on_too():
  model = types.SimpleNamespace(players={'critic': Player('loss', ('x',), steps=2)})
  config = config_of(optimizer={'b2': 0.5, 'final_b2': 0.9})
  for start, decay in ((0, 0.5), (50, 0.7), (100, 0.9)):
    optimizer, params = build.optimizers(config, model, start)['critic'], {'x': np.zeros(1, np.float32)}
    _, state = optimizer.update({'x': np.ones(1, np.float32)}, optimizer.init(params), params)
    np.testing.assert_allclose(state[0][0].hyperparams['b2'], decay, rtol=1e-5)


@pytest.mark.parametrize('sizes', [(16, 8, 4), (4, 8, 16), (8, 8, 8)])
def test_the_examples_of_a_stage_go_on_where_those_before_ended(sizes):
  """Nearly all of 2 x 100 examples are seen once before any is seen again, in batches of any sizes."""
  section = {'batch_sizes': sizes[:2], 'stable_images': (64,), 'fade_images': (32,)}
  config = config_of(batch_size=sizes[2], stages=section)
  updates, seen = 2, []
  for stage in stages.stages_of(config):
    own = stages.config_of(config, stage)
    data = build.from_batch(PLAIN, stages.earlier_batches(config, stage, updates))
    rows = np.arange(own.batch_size)
    for batch in range(stage.start * updates, min(stage.until, stage.start + 12) * updates):
      seen.extend(np.asarray(data.rows(0, (), batch, rows, own.batch_size, 1_000)))
  assert len(seen) > 400
  first = seen[:1_000]
  assert len(set(first)) >= len(first) - 2 * max(sizes)
