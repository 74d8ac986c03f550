"""The weights of resampling: computed from the model as it is, kept in the state, the same however a run goes."""

import jax
import numpy as np
import pytest
from small import MODEL, small_config

from gen_jax import build
from gen_jax.data.resampling import LatentRarity, positives_of
from gen_jax.training import loop, resampling

DBVAE = MODEL | {'name': 'DBVAE', 'likelihood': {'name': 'Gaussian', 'sigma': 0.3}}
DBVAE.pop('beta')


def config_of(rule='LatentRarity', steps=12, **changes):
  return small_config(
    model=DBVAE, resampling={'name': rule, 'every': 5} | changes, steps=steps, best='', evals=('means',),
    optimizer={'schedule': 'constant'},
  )


def run(config, workdir):
  workdir.mkdir(exist_ok=True)
  return loop.run(lambda step: build.task(config, step), workdir)[0]


def apply_update(task, state, devices=1):
  """`update_of` on so many devices, each of which holds all."""
  update = jax.vmap(resampling.update_of(task), (None, None, None), axis_name='batch', axis_size=devices)
  return jax.tree.map(lambda x: x[0], update(state, dict(task.data.arrays), np.uint32(0)).data)


@pytest.mark.parametrize('devices', [1, 3])
def test_the_weights_are_those_of_the_codes_of_all_positives(devices):
  config = config_of()
  task = build.task(config)
  state = loop.initial_state(task)
  positives = positives_of(task.data, task.resampling)
  assert (task.data.arrays['label'][positives] == 1).all() and len(positives) == 142
  raw = {**task.data.fetch(positives), 'index': positives, 'row': positives}
  batch = build.preprocessor(config, task.data, train=False)(raw, jax.random.key(0))
  codes = task.model.apply({'params': state.params}, batch, method='encode')
  expected = np.asarray(LatentRarity().weights(codes, None, None, 0, 0))
  data = apply_update(task, state._replace(step=np.int32(10)), devices)
  np.testing.assert_allclose(data['weights'], expected / expected.sum(), rtol=1e-4)
  np.testing.assert_allclose(data['cumulative'], np.cumsum(data['weights']), rtol=1e-5)
  assert data['time'] == 1


def test_between_its_times_the_weights_stay():
  task = build.task(config_of())
  state = loop.initial_state(task)
  data = apply_update(task, state._replace(step=np.int32(9)))
  for name, value in data.items():
    np.testing.assert_array_equal(value, state.data[name])


def test_an_epoch_is_as_many_draws_as_there_are_positives():
  task = build.task(config_of(every=0, share=0.25))
  assert resampling.steps_of_epoch(task) == 71  # 142 positives, 2 of 8 in a batch


def test_a_resumed_run_draws_by_the_same_weights(tmp_path):
  straight = run(config_of(), tmp_path / 'straight')
  run(config_of(steps=7), tmp_path / 'resumed')
  resumed = run(config_of(), tmp_path / 'resumed')
  assert straight.data['time'] == 3  # before steps 0, 5 and 10
  assert straight.data['weights'].std() > 1e-4
  for a, b in zip(jax.tree.leaves(straight), jax.tree.leaves(resumed), strict=True):
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
  ('changes', 'line'),
  [
    ({'positive': 10}, 'positive=10: digits has the classes 0 to 9'),
    ({'alpha': 0.0}, 'alpha=0.0: must be above 0'),
    ({'alpha': -1.0}, 'alpha=-1.0: must be above 0'),
    ({'form': 'mean'}, "form='mean': choose one of max, product"),
    ({'share': 1.0}, 'share=1.0: of 8 examples, it leaves none of the positives or of the others'),
    ({'rule': 'Mistakes', 'factor': -5.0}, 'factor=-5.0: must be above 0'),
    ({'rule': 'GroupBalance'}, "attribute='': the attributes of the built-in set digits are none"),
    ({'least_effective': 2.0}, 'least_effective=2.0: must lie in [0, 1]'),
  ],
)
def test_what_a_rule_refuses(changes, line):
  config = config_of(**changes)
  data = build.dataset(config, 'train')
  assert list(build.problems(config, data, build.model(config, data))) == [f'config.resampling.{line}']


def test_a_rule_needs_a_model_that_says_what_it_weighs_by_and_of_the_same_class():
  def problems(rule, **model):
    config = config_of(rule)
    with config.unlocked():
      config.model = model
    data = build.dataset(config, 'train')
    return list(build.problems(config, data, build.model(config, data)))

  config = small_config(model=MODEL, resampling={'name': 'MLPEncoder'})
  data = build.dataset(config, 'train')
  no_rule = 'config.resampling.name=MLPEncoder: that is no rule of gen_jax/data/resampling.py'
  assert list(build.problems(config, data, build.model(config, data))) == [no_rule]
  assert problems('Mistakes', **MODEL) == ['config.resampling.name=Mistakes: needs a model that can class_logits']
  assert problems('LatentRarity', **DBVAE, positive=2) == ['config.resampling.positive=1: config.model.positive is 2']
