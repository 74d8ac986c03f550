"""Snapshots of averages: when they are taken, that a kill loses none, and what is made of them."""

import functools
import json
import os
import re
import shutil
import signal

import chex
import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors import safe_open
from small import small_config
from tiny_runs import STEPS, VAE, train_run

import gen_jax
from gen_jax import build, power_ema, runs
from gen_jax.app import modes
from gen_jax.errors import UserError
from gen_jax.files import save_arrays
from gen_jax.runs.workdir import claim_workdir
from gen_jax.training import loop, snapshots
from gen_jax.training.checkpoint import Checkpoints, step_folders

WIDTHS = {'ema_widths': (0.05, 0.1), 'snapshots': 7, 'ema_decay': 0.0}
CONFIG = STEPS | WIDTHS | {'steps': 20, 'steps_per_dispatch': 4, 'log_every': 4, 'eval_every': 20, 'save_every': 20}
CONFIG['optimizer'] = {'learning_rate': 0.02, 'schedule': 'constant'}  # so that they move far in so few steps
TAKEN = [3, 6, 9, 12, 15, 18, 20]  # a seventh of the steps each, rounded up


def config_of(**changes):
  return small_config(model=VAE, **CONFIG | changes)


def flat(params):
  """All numbers of a tree, [N]."""
  return np.concatenate([np.ravel(x) for x in jax.tree.leaves(params)])


def contents(workdir, config):
  """{step: the averages} of the snapshots in a workdir."""
  files = Checkpoints(workdir / 'snapshots', keep=1, read_only=True)
  like = snapshots.snapshot_of(jax.eval_shape(functools.partial(loop.fresh_state, build.task(config))), config)
  return {step: files.restore(like, step).ema for step in files.steps()}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A run with snapshots; nothing may change it."""
  return train_run(config_of(), tmp_path_factory.mktemp('snapshots') / 'run').workdir


@pytest.fixture
def workdir(trained, tmp_path):
  """A copy of the run, which a test may change."""
  return shutil.copytree(trained, tmp_path / 'run')


def test_the_steps_are_even_and_end_windows():
  config = config_of()
  assert snapshots.snapshot_steps(config) == TAKEN
  windows = list(loop.windows_from(0, config, 20))
  assert set(TAKEN) | {4, 8, 16} == {stop for _, stop in windows}
  longest = max(stop - start for start, stop in windows)
  assert longest <= loop.longest_window(build.task(config)) == 3
  assert snapshots.snapshot_steps(config_of(snapshots=50)) == list(range(1, 21))  # more than there are steps
  for count in range(1, 30):
    steps = [0, *snapshots.snapshot_steps(config_of(snapshots=count))]
    assert max(np.diff(steps)) == steps[1] and steps[-1] == 20


def test_a_snapshot_holds_the_averages_at_its_step(trained):
  kept = contents(trained, config_of())
  assert list(kept) == TAKEN
  state = gen_jax.load(trained, 20).state
  chex.assert_trees_all_equal(kept[20], dict(state.ema))
  assert set(state.ema) == {'width_0_05', 'width_0_1'}
  assert np.abs(flat(kept[20]) - flat(kept[18])).max() > 0.01


def test_averages_are_those_of_single_steps(tmp_path):
  """Tracked in the loop, against the sum of the parameters after each step by their weights."""
  config = config_of(keep=20, save_every=1, steps=5, snapshots=1, eval_every=5)
  run = train_run(config, tmp_path)
  values = np.stack([flat(runs.load(tmp_path, str(step)).state.params) for step in range(1, 6)])
  for width in (0.05, 0.1):
    weights = np.diff((np.arange(6) / 5) ** (power_ema.gamma_of(width) + 1))
    average = flat(run.state.ema[power_ema.name_of(width)]['params'])
    np.testing.assert_allclose(average, np.tensordot(weights, values, 1), rtol=1e-4, atol=1e-6)


def resume(workdir, config):
  return loop.run(functools.partial(build.task, config), workdir)


def test_a_killed_run_leaves_the_same_snapshots(trained, tmp_path, monkeypatch):
  """Stopped with a snapshot half written, another behind the last checkpoint, and an older one of that step changed."""
  config, original = config_of(), snapshots.save_snapshot

  def dying(state, *where):
    original(state, *where)
    if state.step == 12:
      raise KeyboardInterrupt  # before the checkpoint of this step

  monkeypatch.setattr(snapshots, 'save_snapshot', dying)
  claim_workdir(tmp_path, config)
  with pytest.raises(KeyboardInterrupt):
    resume(tmp_path, config)
  monkeypatch.undo()
  left = tmp_path / 'snapshots'
  assert sorted(int(folder.name) for folder in step_folders(left)) == [3, 6, 9, 12]
  shutil.copytree(left / '12', left / '14')  # of another spacing
  (left / '15.orbax-checkpoint-tmp').mkdir()
  for path in (left / '12' / 'state').rglob('*'):
    if path.is_file():
      path.write_bytes(b'')
  state, _ = resume(tmp_path, config)
  chex.assert_trees_all_equal(contents(tmp_path, config), contents(trained, config))
  assert sorted(path.name for path in left.iterdir()) == sorted(map(str, TAKEN))
  chex.assert_trees_all_equal(state, gen_jax.load(trained).state)


def test_a_signal_between_snapshots_changes_none(trained, tmp_path, monkeypatch):
  original = loop.next_stop

  def next_stop(step, config, until):
    if step == 9:
      os.kill(os.getpid(), signal.SIGTERM)
    return original(step, config, until)

  monkeypatch.setattr(loop, 'next_stop', next_stop)
  claim_workdir(tmp_path, config_of())
  _, stopped_by = resume(tmp_path, config_of())
  assert stopped_by == signal.SIGTERM
  monkeypatch.undo()
  resume(tmp_path, config_of())
  chex.assert_trees_all_equal(contents(tmp_path, config_of()), contents(trained, config_of()))


def test_a_tracked_width_is_made_again(trained):
  run = gen_jax.load(trained)
  assert run.average == 'width_0_05'  # the first by name
  made = gen_jax.load(trained, ema_width=0.1)
  chex.assert_trees_all_close(made.variables['params'], run.state.ema['width_0_1']['params'], rtol=1e-5, atol=1e-6)
  assert np.abs(flat(made.variables['params']) - flat(run.variables['params'])).max() > 0.01


def test_another_width_is_near_the_average_tracked_at_it(trained, tmp_path, capsys):
  """Sampling, and all that uses a run's variables, follow it; a fit that is far off is said."""
  tracked = train_run(config_of(ema_widths=(0.07, 0.14), snapshots=0), tmp_path)
  made, wide = (gen_jax.load(trained, ema_width=width) for width in (0.07, 0.27))
  assert made.average == 'width_0_07' and made.variables['params'].keys() == tracked.state.params.keys()
  wanted, moved = flat(tracked.state.ema['width_0_07']['params']), flat(tracked.state.params)
  assert np.linalg.norm(flat(made.variables['params']) - wanted) < 0.05 * np.linalg.norm(moved - wanted)
  assert jax.tree.all(jax.tree.map(lambda x: x.dtype == np.float32, made.variables['params']))
  z = np.full((1, 2), 3.0, np.float32)
  decoded = [np.asarray(run.model.decode(z, {'row': np.arange(1)})) for run in (made, wide)]
  assert np.abs(decoded[0] - decoded[1]).max() > 0.01
  line = r'config.ema_width=0.27: 7 snapshots until step 20 give the profile at step 20 with an error of \d+%\n'
  assert re.fullmatch(f'first step .*\n{line}', capsys.readouterr().err)


def test_modes_name_the_average_that_they_use(workdir):
  run = gen_jax.load(workdir, ema_width=0.07)
  (path,) = modes.export(run)
  with safe_open(path, 'np') as file:
    assert file.metadata() == {'step': '20', 'average': 'width_0_07'}
    for name, array in flatten_dict(run.variables['params'], sep='/').items():
      np.testing.assert_array_equal(file.get_tensor(f'params/{name}'), array)
  modes.evaluate(run)
  known = json.loads((workdir / 'evaluation.json').read_text())
  assert known['average'] == 'width_0_07' and run.evaluation() == known and gen_jax.load(workdir).evaluation() == {}
  save_arrays(workdir / 'evaluation.npz', {'step': 20, 'average': 'width_0_07', 'nll_each': np.ones(3)})
  assert 'nll_each' in run.arrays() and gen_jax.load(workdir).arrays() == {}
  (workdir / 'evaluation.json').write_text(json.dumps(known | {'of_that_average': 1.0}))
  modes.evaluate(gen_jax.load(workdir, ema_width=0.07))
  assert 'of_that_average' in json.loads((workdir / 'evaluation.json').read_text())
  modes.evaluate(gen_jax.load(workdir))
  known = json.loads((workdir / 'evaluation.json').read_text())
  assert known['average'] == 'width_0_05' and 'of_that_average' not in known


def test_only_snapshots_until_the_step_are_used(tmp_path):
  run = train_run(config_of(keep=20, save_every=5), tmp_path)
  tracked = runs.load(tmp_path, '9').state.ema['width_0_05']['params']
  made = gen_jax.load(tmp_path, 9, ema_width=0.05)
  chex.assert_trees_all_close(made.variables['params'], tracked, rtol=1e-5, atol=1e-6)
  for step in (3, 6, 9):
    shutil.rmtree(tmp_path / 'snapshots' / str(step))
  with pytest.raises(UserError, match=r'config.ema_width=0.05: .*snapshots has no snapshot until step 9: take a later'):
    gen_jax.load(tmp_path, 9, ema_width=0.05)
  assert gen_jax.load(tmp_path, ema_width=0.05).state.step == run.state.step


def test_a_damaged_snapshot_is_named(workdir):
  for path in (workdir / 'snapshots' / '18' / 'state').rglob('*'):
    if path.is_file():
      path.write_bytes(b'x')
  with pytest.raises(UserError, match=r'snapshots/18 is damaged \(.* has changed\): remove it, and the others are'):
    gen_jax.load(workdir, ema_width=0.07)
  shutil.rmtree(workdir / 'snapshots' / '18')
  assert gen_jax.load(workdir, ema_width=0.07).average == 'width_0_07'


@pytest.mark.parametrize(
  ('changes', 'width', 'message'),
  [
    ({}, 0.3, r'config.ema_width=0.3: must lie in \(0, 0.28\)'),
    ({'snapshots': 0}, 0.07, 'config.ema_width=0.07: this run keeps no snapshots: train with config.ema_widths and'),
    ({'evaluated_average': 'width_0_1'}, 0.07, "config.evaluated_average='width_0_1' is another; set one of them"),
  ],
)
def test_widths_that_no_average_has(changes, width, message, trained):
  with pytest.raises(UserError, match=message):
    runs.load(trained, config=config_of(**changes), ema_width=width)
