"""What the loop trains and validates with: seeds, preprocessing, averages, and where an evaluator's values go."""

import functools

import jax
import numpy as np
import pytest
from small import small_config

from gen_jax import build
from gen_jax.evaluation import evaluators
from gen_jax.evaluation.needs import needs
from gen_jax.training import loop


def leaves_equal(a, b):
  return [np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)]


def test_initial_parameters_are_those_of_the_seed():
  states = [loop.initial_state(build.task(small_config(seed=seed))) for seed in (0, 0, 1)]
  assert all(leaves_equal(states[0], states[1]))
  kernels = [state.params['encoder']['Dense_0']['kernel'] for state in states]
  assert (kernels[0] != kernels[2]).mean() > 0.99


def test_the_noise_of_training_is_that_of_the_seed():
  task = build.task(small_config())
  state = loop.initial_state(task)
  batch_of = loop.batches_of(task)
  batch = batch_of(dict(task.data.arrays), state, np.uint32(0), 0, np.arange(8, dtype=np.int32))
  batch = batch | {'row': np.arange(8, dtype=np.int32)[None]}
  run = jax.jit(jax.vmap(loop.one_step(task), (None, 0, None), axis_name='batch'))
  split = jax.tree.map(lambda x: np.asarray(x)[None], batch)
  loss = [float(run(state, split, np.uint32(seed))[1]['model/loss'][0]) for seed in (0, 0, 1)]  # one state, one batch
  assert loss[0] == loss[1] and abs(loss[0] - loss[2]) > 1e-4


@pytest.mark.parametrize('data', [{'crop': 5}, {'flip': True}])
def test_training_sees_crops_and_flips_that_evaluation_does_not(data):
  task = build.task(small_config(data=data))
  process = {train: build.preprocessor(task.config, task.data, train=train) for train in (True, False)}
  seen = {}
  for name, function in (('task', task.preprocess), ('train', process[True]), ('evaluation', process[False])):
    raw = task.data.finish({**task.data.fetch(np.arange(8)), 'index': np.arange(8)}) | {'row': np.arange(8)}
    seen[name] = [np.asarray(function(raw, jax.random.key(k))['image']) for k in range(3)]
  for k in range(3):
    np.testing.assert_array_equal(seen['task'][k], seen['train'][k])
    np.testing.assert_array_equal(seen['evaluation'][k], seen['evaluation'][0])
  assert (seen['task'][0] != seen['task'][1]).any()


@pytest.fixture
def measured(monkeypatch):
  """An evaluator that gives a number, a text and an array, from what it is given."""

  @needs()
  def measured(model, source):
    yield 'code', float(np.abs(model.encode(next(source.batches()))).mean())
    yield 'hash', 'a text'
    yield 'array', np.arange(3)
    yield 'examples', float(sum(batch['mask'].sum() for batch in source.batches()))

  monkeypatch.setattr(evaluators, 'measured', measured, raising=False)


def test_numbers_go_to_the_metrics_arrays_to_a_file_and_texts_nowhere(measured, tmp_path):
  task = build.task(small_config(evals=('measured',), validation_examples=20))
  values = loop.validate(task, loop.initial_state(task)._replace(step=np.int32(7)), tmp_path)
  assert set(values) == {'validation/code', 'validation/examples'} and values['validation/examples'] == 20
  with np.load(tmp_path / 'evaluations/000000007.npz') as arrays:
    assert set(arrays) == {'array'} and arrays['array'].tolist() == [0, 1, 2]


def test_the_average_is_validated(measured, tmp_path):
  task = build.task(small_config(evals=('measured',)))
  state = loop.initial_state(task)
  validate = functools.partial(loop.validate, task, workdir=tmp_path)
  moved = state._replace(params=jax.tree.map(lambda x: x + 1, state.params))
  assert validate(moved) == validate(state) != validate(moved._replace(ema={}))
