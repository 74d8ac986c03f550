import chex
import jax
import numpy as np
import optax
import pytest

from gen_jax.errors import UserError
from gen_jax.training.checkpoint import Checkpoints
from gen_jax.training.state import TrainState

METRIC = 'validation/elbo'


def state_at(step):
  noise = np.random.default_rng(step)
  params = {'encoder': {'kernel': noise.normal(size=(30, 20)).astype('f4')}, 'decoder': {'bias': np.zeros(3, 'f4')}}
  opt_state = jax.tree.map(np.asarray, {'model': optax.adam(1e-3).init(params)})
  return TrainState(np.int32(step), params, {'count': {'calls': np.int32(step)}}, opt_state, {}, ())


def save(directory, steps, **options):
  checkpoints = Checkpoints(directory, **{'keep': 2} | options)
  for step, elbo in steps:
    checkpoints.save(state_at(step), {METRIC: elbo, 'validation/kl': 1.0} if elbo is not None else {})
  checkpoints.close()
  return Checkpoints(directory, **{'keep': 2} | options)


@pytest.fixture
def tmp_path(tmp_path):
  """The checkpoints of a workdir, beside which damaged ones go."""
  return tmp_path / 'checkpoints'


def damage(directory, step, change):
  """Changes the largest file of a checkpoint, which holds the arrays."""
  files = [path for path in (directory / str(step) / 'state').rglob('*') if path.is_file()]
  for path in sorted(files, key=lambda path: -path.stat().st_size)[:3]:
    path.write_bytes(change(path.read_bytes()))


def test_what_is_saved_is_restored_bit_for_bit(tmp_path):
  checkpoints = save(tmp_path, [(10, None), (20, None)])
  like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state_at(0))
  restored = checkpoints.restore_latest(lambda step: like)
  chex.assert_trees_all_equal(restored, state_at(20))
  chex.assert_trees_all_equal_dtypes(restored, state_at(20))
  assert jax.tree.structure(restored) == jax.tree.structure(state_at(20))
  checkpoints.close()


@pytest.mark.parametrize(('mode', 'best'), [('max', 30), ('min', 10)])
def test_the_last_and_the_best_are_kept(mode, best, tmp_path):
  values = [(10, -9.0), (20, -5.0), (30, -3.0), (40, None), (50, -4.0), (60, None), (70, None)]
  checkpoints = save(tmp_path, values, best=METRIC, best_mode=mode)
  assert checkpoints.steps() == [best, 60, 70]
  assert checkpoints.best_step() == best
  checkpoints.close()


def test_without_validations_there_is_no_best(tmp_path):
  checkpoints = save(tmp_path, [(10, None)], best=METRIC)
  assert checkpoints.best_step() is None
  checkpoints.close()
  message = r'config.best=elob: no evaluator gives it; did you mean elbo\?; step 10 is saved'
  with pytest.raises(UserError, match=message):
    save(tmp_path / 'other', [(10, -1.0)], best='validation/elob')
  resumed = Checkpoints(tmp_path / 'other', keep=2, best=METRIC, best_mode='max')
  assert resumed.steps() == [10] and resumed.best_step() == 10
  resumed.close()


DAMAGES = {
  'truncated': lambda content: content[: len(content) // 2],
  'emptied': lambda content: b'',
  'flipped': lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
}


@pytest.mark.parametrize('kind', DAMAGES)
def test_a_damaged_checkpoint_is_passed_over(kind, tmp_path, capfd):
  save(tmp_path, [(10, None), (20, None), (30, None)]).close()
  damage(tmp_path, 30, DAMAGES[kind])
  checkpoints = Checkpoints(tmp_path, keep=2)
  chex.assert_trees_all_equal(checkpoints.restore_latest(state_at), state_at(20))
  message = capfd.readouterr().err
  assert len(list((tmp_path.parent / 'damaged').glob('30-*'))) == 1
  checkpoints.save(state_at(30), {})  # the run comes by the same step again
  chex.assert_trees_all_equal(checkpoints.restore_latest(state_at), state_at(30))
  checkpoints.close()
  assert message.startswith('checkpoint 30 is damaged') and message.count('\n') == 1, message


def test_without_a_whole_checkpoint_there_is_nothing_to_resume(tmp_path):
  save(tmp_path, [(10, None), (20, None)]).close()
  for step in (10, 20):
    damage(tmp_path, step, DAMAGES['truncated'])
  for _ in range(2):  # asked again, it does not start anew either
    checkpoints = Checkpoints(tmp_path, keep=2)
    with pytest.raises(UserError, match='holds no whole checkpoint: name another --workdir'):
      checkpoints.restore_latest(state_at)
    checkpoints.close()
    assert checkpoints.steps() == [10, 20]


def test_another_metric_may_name_the_best(tmp_path):
  save(tmp_path, [(10, None), (20, -1.0), (30, -2.0)], keep=3).close()
  for best, mode, step in ((METRIC, 'max', 20), (METRIC, 'min', 30), ('validation/kl', 'min', 20), ('', 'max', None)):
    checkpoints = Checkpoints(tmp_path, keep=3, best=best, best_mode=mode)
    assert (checkpoints.best_step(), checkpoints.steps()) == (step, [10, 20, 30])
    checkpoints.close()


def test_readers_leave_everything_as_it_is(tmp_path):
  save(tmp_path, [(10, None), (20, None)]).close()
  (tmp_path / '20' / 'files.json').unlink()
  damage(tmp_path, 10, DAMAGES['truncated'])
  (tmp_path / '30.orbax-checkpoint-tmp').mkdir()  # being written by another process
  before = sorted(tmp_path.rglob('*'))
  reader = Checkpoints(tmp_path, keep=2, read_only=True)
  chex.assert_trees_all_equal(reader.restore_latest(state_at, 10), state_at(20))
  reader.close()
  assert before == sorted(tmp_path.rglob('*'))


def test_a_missing_file_is_named(tmp_path, capfd):
  checkpoints = save(tmp_path, [(10, None), (20, None)])
  victim = next((tmp_path / '20' / 'state' / 'd').iterdir())
  victim.unlink()
  chex.assert_trees_all_equal(checkpoints.restore_latest(state_at), state_at(10))
  assert f'state/d/{victim.name} is missing' in capfd.readouterr().err
  checkpoints.close()


def test_a_step_that_a_kill_left_without_a_seal_is_restored(tmp_path):
  checkpoints = save(tmp_path, [(10, None), (20, None)])
  (tmp_path / '20' / 'files.json').unlink()
  chex.assert_trees_all_equal(checkpoints.restore_latest(state_at), state_at(20))
  checkpoints.close()


@pytest.mark.parametrize('name', ['metadata', '_CHECKPOINT_METADATA'])
def test_damaged_records_beside_the_state(name, tmp_path):
  save(tmp_path, [(10, -2.0), (20, -1.0)], best=METRIC).close()
  path = next(path for path in (tmp_path / '20').rglob(name) if path.is_file() and path.parent.name != 'state')
  path.write_bytes(path.read_bytes()[:7])
  checkpoints = Checkpoints(tmp_path, keep=2, best=METRIC)
  assert int(checkpoints.restore_latest(state_at).step) in (10, 20)
  checkpoints.close()


def layers_at(step):
  """Two layers from step 20 on, one before, as networks that grow have."""
  state = state_at(step)
  grown = {'second': {'kernel': np.full((4, 4), step, 'f4')}} if step >= 20 else {}
  return state._replace(params=state.params | grown)


def test_the_structure_is_that_of_the_step(tmp_path):
  checkpoints = Checkpoints(tmp_path, keep=2)
  for step in (10, 20):
    checkpoints.save(layers_at(step), {})
  chex.assert_trees_all_equal(checkpoints.restore_latest(layers_at), layers_at(20))
  chex.assert_trees_all_equal(checkpoints.restore_latest(layers_at, 10), layers_at(10))
  checkpoints.close()


WIDER = {'encoder': {'kernel': np.zeros((30, 21), 'f4')}, 'decoder': {'bias': np.zeros(3, 'f4')}}
OTHERS = {  # what a checkpoint of another model is told by: (a state of this model, the answer)
  'more': (layers_at(20), 'checkpoint 20 lacks params/second/kernel, of another model than this one'),
  'less': (state_at(20)._replace(variables={}), 'checkpoint 20 has variables/count/calls, of another model'),
  'wider': (
    state_at(20)._replace(params=WIDER),
    r'checkpoint 20: params/encoder/kernel is float32 \[30, 20\] there and float32 \[30, 21\] here',
  ),
  'whole numbers': (
    state_at(20)._replace(step=np.float32(0)),
    r'checkpoint 20: step is int32 \[\] there and float32 \[\] here',
  ),
}


@pytest.mark.parametrize('kind', OTHERS)
def test_a_checkpoint_of_another_model_is_refused_and_stays(kind, tmp_path, capfd):
  save(tmp_path, [(10, None), (20, None)]).close()
  like, expected = OTHERS[kind]
  checkpoints = Checkpoints(tmp_path, keep=2)
  before = {path: path.stat().st_mtime_ns for path in tmp_path.parent.rglob('*')}
  with pytest.raises(UserError, match=expected):
    checkpoints.restore_latest(lambda step: like)
  assert before == {path: path.stat().st_mtime_ns for path in tmp_path.parent.rglob('*')}
  assert checkpoints.steps() == [10, 20] and 'damaged' not in capfd.readouterr().err
  checkpoints.close()


def test_the_best_step_is_found_by_the_former_name_of_its_metric(tmp_path):
  checkpoints = Checkpoints(tmp_path, keep=1, best='validation/memory', best_mode='min')
  for step, value in ((10, 0.5), (20, 0.6)):
    checkpoints.save(state_at(step), {'validation/memory': value})
  checkpoints.close()
  resumed = Checkpoints(tmp_path, keep=1, best='validation/auc_train_vs_held_out', best_mode='min')
  assert resumed.best_step() == 10
  resumed.save(state_at(30), {})
  resumed.close()
  assert resumed.steps() == [10, 30]

