"""What one process compiles, the next one reads; nothing about the cache breaks a run."""

import os
import subprocess
import sys
import time

from gen_jax.app import compilation_cache

PROGRAM = """
import sys
from gen_jax.app import compilation_cache
from gen_jax.training.compiled import cache_hits
getattr(compilation_cache, sys.argv[1])()
import jax
with cache_hits() as hits:
  print(float(jax.jit(lambda x: (x * x).sum())(jax.numpy.arange(4.0))))
print(len(hits))
"""


def process(home, action='turn_on', **variables):
  """(programs read from the cache, what it said, files) of a process with its own XDG_CACHE_HOME."""
  kept = {name: value for name, value in os.environ.items() if name != 'JAX_COMPILATION_CACHE_DIR'}
  settings = {'XDG_CACHE_HOME': str(home), 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0', **variables}
  command = [sys.executable, '-c', PROGRAM, action]
  ended = subprocess.run(command, env=kept | settings, capture_output=True, text=True, check=True)
  total, hits = ended.stdout.split()
  assert total == '14.0'
  return int(hits), ended.stderr, sorted(home.rglob('*-cache')) if home.is_dir() else []


def test_the_next_process_reads_and_damage_is_mended(tmp_path):
  hits, message, files = process(tmp_path)
  assert hits == 0 and message == '' and files
  assert {path.parent for path in files} == {tmp_path / 'gen_jax' / 'compilation'}
  assert (tmp_path / 'gen_jax' / 'compilation').stat().st_mode & 0o777 == 0o700
  contents = {path: path.read_bytes() for path in files}

  hits, message, again = process(tmp_path)
  assert hits > 0 and message == '' and again == files

  for path in files:
    path.write_bytes(contents[path][: len(contents[path]) // 2])
  hits, message, young = process(tmp_path)  # may be half written
  assert hits == 0 and young == files
  for path in files:
    os.utime(path, (path.stat().st_atime, time.time() - 61))
  hits, message, again = process(tmp_path)
  lines = set(message.splitlines())
  where = f'{tmp_path}/gen_jax/compilation'
  assert hits == 0 and lines == {f'the compilation cache {where} was damaged: what is older than a minute is removed'}
  assert process(tmp_path)[:2] == (len(again), '')


def test_off_or_elsewhere(tmp_path):
  mine, home = tmp_path / 'mine', tmp_path / 'home'
  assert process(home, 'turn_off', JAX_COMPILATION_CACHE_DIR=str(mine)) == (0, '', [])
  assert not home.exists() and not mine.exists()
  hits, message, files = process(home, JAX_COMPILATION_CACHE_DIR=str(mine))
  assert (hits, message, files) == (0, '', []) and not home.exists() and list(mine.glob('*-cache'))
  assert process(home, JAX_ENABLE_COMPILATION_CACHE='false') == (0, '', []) and not home.exists()


def test_a_folder_that_cannot_be_written_costs_one_line(tmp_path):
  (tmp_path / 'file').write_text('')
  hits, message, _ = process(tmp_path / 'file')
  assert hits == 0 and message.startswith('no compilation cache: ') and message.count('\n') == 1


def test_what_was_used_longest_ago_goes_first(tmp_path):
  for age, name in enumerate('abcd'):
    path = tmp_path / f'{name}-cache'
    path.write_bytes(b'x' * 10)
    os.utime(path, (1000 - age, 500))  # read, written
  (tmp_path / 'other').write_bytes(b'x' * 100)
  compilation_cache.trim(tmp_path, 25)
  assert {path.name for path in tmp_path.iterdir()} == {'a-cache', 'b-cache', 'other'}
  compilation_cache.trim(tmp_path, 0)
  assert {path.name for path in tmp_path.iterdir()} == {'other'}
