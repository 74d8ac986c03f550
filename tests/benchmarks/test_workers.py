"""What becomes of questions to processes that answer, fail, die or take too long."""

import io
import pathlib
import sys
import time

import pytest
from workers import BenchmarkError, Worker

PROGRAM = """
import os, subprocess, sys, time
from benchmarks import serve

def die():
  print('out of luck', file=sys.stderr, flush=True)
  os.abort()

def fail():
  raise ValueError('no such thing')

def say(word):
  print('chatter')
  return [word, os.environ['JAX_COMPILATION_CACHE_DIR']]

def start_another():
  return subprocess.Popen(['sleep', '600']).pid

serve.serve({'die': die, 'fail': fail, 'say': say, 'wait': lambda: time.sleep(600), 'start_another': start_another})
"""


@pytest.fixture
def worker(tmp_path, monkeypatch):
  (tmp_path / 'program.py').write_text(PROGRAM)
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  log = io.StringIO()
  worker = Worker(sys.executable, 'program', str(tmp_path), log)
  worker.log = log
  yield worker
  worker.close()


def test_answers_and_errors(worker, tmp_path):
  assert worker.ask('say', word='yes') == ['yes', f'{tmp_path}/jax']
  with pytest.raises(BenchmarkError, match=r'^program.py fail: ValueError: no such thing$'):
    worker.ask('fail')
  assert worker.ask('say', word='still here')[0] == 'still here'
  worker.close()
  assert 'chatter' in worker.log.getvalue() and 'Traceback' in worker.log.getvalue()


def test_a_death_names_its_last_word(worker):
  with pytest.raises(BenchmarkError, match=r'^program.py die: ended with exit code -6: out of luck$'):
    worker.ask('die')
  with pytest.raises(BenchmarkError, match='ended with exit code -6'):
    worker.ask('say', word='anyone?')


def test_what_takes_too_long_is_ended(worker):
  begin = time.monotonic()
  with pytest.raises(BenchmarkError, match=r'^program.py wait: ended after 0 s, as no time was left$'):
    worker.ask('wait', 0.3)
  assert time.monotonic() - begin < 30


def test_closing_ends_what_the_process_has_started(worker):
  status = pathlib.Path(f'/proc/{worker.ask("start_another")}/stat')
  assert 'sleep' in status.read_text()
  worker.close()
  deadline = time.monotonic() + 30
  while status.exists() and ') Z ' not in status.read_text():  # Z: has ended, and nobody has asked how
    assert time.monotonic() < deadline
    time.sleep(0.01)
