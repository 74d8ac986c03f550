"""What a process says when the one that it works with is killed, fails or stays longer: real ones, joined by JAX."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest

from gen_jax.training import watch

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def pair():
  """Two processes that have met ten times, and then do what is asked of each; killed in the end."""
  started = []

  def start(*tasks):
    port = watch.free_port()
    for index, task in enumerate(tasks):
      words = [ROOT / 'tests/app/meeting.py', ROOT, f'localhost:{port},2,{index}', task]
      pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
      started.append(subprocess.Popen([sys.executable, *map(str, words)], **pipes))
    for process in started:
      assert 'met\n' in iter(process.stdout.readline, '')  # after what Gloo says
    return started

  yield start
  for process in started:
    process.kill()
    process.communicate()


@pytest.mark.parametrize('killed', [0, 1])
def test_one_that_is_killed_is_named_in_one_line(killed, pair):
  processes = pair('go on', 'go on')
  processes[killed].send_signal(signal.SIGKILL)
  begun = time.monotonic()
  _, said = processes[1 - killed].communicate(timeout=60)
  assert said == f'error: process {killed} is gone: the same command on all of them resumes\n'
  assert processes[1 - killed].returncode == 2 and time.monotonic() - begun < 30


def test_one_that_fails_ends_the_other_with_its_reason(pair):
  failing, other = pair('fail', 'go on')
  _, said = other.communicate(timeout=60)
  assert (said, other.returncode) == ('error: process 0 has stopped: the disk is full\n', 2)
  _, said = failing.communicate(timeout=60)
  assert (said, failing.returncode) == ('error: the disk is full\n', 2)


def test_one_that_is_done_waits_for_the_other(pair):
  for process in pair('stay', 'leave'):
    _, said = process.communicate(timeout=60)
    assert (said, process.returncode) == ('', 0)
