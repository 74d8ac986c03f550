"""Nothing is lost when a job dies."""

import functools
import os
import signal

import chex
import pytest
from forks import Process
from small import small_config, write_images

from gen_jax import build
from gen_jax.runs.workdir import claim_workdir
from gen_jax.training import loop, metrics


def train(config, workdir):
  claim_workdir(workdir, config)
  return loop.run(functools.partial(build.task, config), workdir)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return str(write_images(tmp_path_factory.mktemp('data') / 'images'))


@pytest.fixture(scope='module')
def straight(tmp_path_factory, folder):
  """{kind of data: (state, lines)} of runs that nothing disturbs."""

  @functools.cache
  def run(kind):
    workdir = tmp_path_factory.mktemp('straight')
    state, stopped_by = train(small_config(folder if kind == 'streamed' else kind), workdir)
    assert not stopped_by and state.step == 100
    return state, (workdir / 'metrics.jsonl').read_text()

  return run


def killed(workdir, data, when):
  process = Process(workdir.with_suffix('.log'), 'training.killed', str(workdir), data, when)
  assert process.wait() == -signal.SIGKILL, process.log.read_text()[-2000:]


@pytest.mark.parametrize(
  ('kind', 'when'),
  [
    ('rendered', 'step 53'),
    ('resident', 'step 71'),
    ('streamed', 'step 57'),
    ('gan', 'step 63'),
    ('cyclegan', 'step 63'),
    ('resident', 'save 3'),
    ('resident', 'save 40'),
  ],
)
def test_a_killed_run_ends_as_if_it_had_not_been(kind, when, tmp_path, folder, straight, capsys):
  data = folder if kind == 'streamed' else kind
  killed(tmp_path, data, when)
  lines = [line['step'] for line in metrics.read_metrics(tmp_path / 'metrics.jsonl')]
  state, stopped_by = train(small_config(data), tmp_path)
  resumed = int(capsys.readouterr().err.split('resumed at step ')[1].split()[0])
  assert not stopped_by and 0 < resumed < 100 and max(lines) >= resumed
  expected, expected_lines = straight(kind)
  chex.assert_trees_all_equal(state, expected)
  assert (tmp_path / 'metrics.jsonl').read_text() == expected_lines


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_run_goes_on(number, tmp_path, straight, monkeypatch):
  original = loop.next_stop

  def next_stop(step, config, until):
    if step == 45:
      os.kill(os.getpid(), number)
    return original(step, config, until)

  monkeypatch.setattr(loop, 'next_stop', next_stop)
  before = signal.getsignal(number)
  state, stopped_by = train(small_config('resident'), tmp_path)
  assert stopped_by == number and state.step == 50
  assert signal.getsignal(number) is before
  monkeypatch.setattr(loop, 'next_stop', original)
  state, stopped_by = train(small_config('resident'), tmp_path)
  assert not stopped_by
  expected, expected_lines = straight('resident')
  chex.assert_trees_all_equal(state, expected)
  assert (tmp_path / 'metrics.jsonl').read_text() == expected_lines


def test_windows_of_another_length_end_alike(tmp_path, straight):
  state, _ = train(small_config('resident', steps_per_dispatch=3, log_every=7), tmp_path)
  chex.assert_trees_all_equal(state, straight('resident')[0])


def test_streamed_and_resident_runs_are_one(tmp_path, folder, straight):
  state, _ = train(small_config(folder, data={'resident_mib': 64}), tmp_path)
  chex.assert_trees_all_equal(state, straight('streamed')[0])


def test_a_longer_run_goes_on_from_the_shorter_one(tmp_path):
  constant = {'optimizer': {'schedule': 'constant'}}
  train(small_config('resident', steps=30, **constant), tmp_path / 'a')
  longer, _ = train(small_config('resident', steps=50, **constant), tmp_path / 'a')
  whole, _ = train(small_config('resident', steps=50, **constant), tmp_path / 'b')
  chex.assert_trees_all_equal(longer, whole)
