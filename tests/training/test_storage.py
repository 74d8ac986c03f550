"""A disk that is full, or refuses to be written for another reason: one line, and the run goes on when it is mended."""

import contextlib
import errno
import functools
import os
import shutil
import time

import numpy as np
import pytest
from small import small_config

from gen_jax import build
from gen_jax.errors import UserError
from gen_jax.training import loop, storage
from gen_jax.training.checkpoint import Checkpoints
from gen_jax.training.state import TrainState

resource = pytest.importorskip('resource', reason='this system has no limits that stand for a full disk')


@contextlib.contextmanager
def largest_file(size):
  """Files cannot grow beyond this size, by which the system refuses to write, as on a full disk."""
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def wait_until_still(folder):
  """Threads of a writer that failed end with its process; here they may go on for a moment."""
  before, now = None, set(folder.rglob('*'))
  while before != now:
    time.sleep(0.2)
    before, now = now, set(folder.rglob('*'))


def test_a_checkpoint_that_cannot_be_written_is_one_line_and_blocks_nothing(tmp_path, capfd):
  weights = np.random.default_rng(0).normal(size=100_000)
  state = TrainState(np.int32(5), {'decoder': {'kernel': weights}}, {}, {}, {}, ())
  checkpoints = Checkpoints(tmp_path / 'checkpoints', keep=2)
  with largest_file(10_000), pytest.raises(UserError) as error:
    checkpoints.save(state, {})
    checkpoints.close()
  assert str(error.value) == f'no checkpoint could be written: {tmp_path}/checkpoints: File too large'
  assert capfd.readouterr().err == ''
  wait_until_still(tmp_path)
  checkpoints = Checkpoints(tmp_path / 'checkpoints', keep=2)  # the same command again
  assert checkpoints.steps() == []
  checkpoints.save(state, {})
  checkpoints.close()
  np.testing.assert_array_equal(checkpoints.restore(state, 5).params['decoder']['kernel'], weights)


def test_there_must_be_room_before_anything_is_trained(tmp_path, monkeypatch, capsys):
  config = small_config(steps=10, evals=(), best='')
  monkeypatch.setattr(shutil, 'disk_usage', lambda folder: shutil._ntuple_diskusage(2**30, 2**30 - 2**17, 2**17))
  with pytest.raises(UserError, match=r'a checkpoint takes 0\.\d MiB, and 0\.1 MiB are free: free some space'):
    loop.run(functools.partial(build.task, config), tmp_path)
  assert not (tmp_path / 'metrics.jsonl').exists() and 'first step' not in capsys.readouterr().err


def test_room_is_that_of_the_arrays():
  tree = {'a': np.zeros((2**18, 4), np.float32), 'b': np.zeros(2**20, np.uint8)}  # 5 MiB
  free = lambda mebibytes: shutil._ntuple_diskusage(2**40, 0, int(mebibytes * 2**20))
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(shutil, 'disk_usage', lambda folder: free(5.2))
    storage.check_space('folder', tree)
    patch.setattr(shutil, 'disk_usage', lambda folder: free(5))
    with pytest.raises(UserError, match=r'folder: a checkpoint takes 5\.1 MiB, and 5\.0 MiB are free'):
      storage.check_space('folder', tree)


@pytest.mark.parametrize(
  ('error', 'number'),
  [
    (OSError(errno.EROFS, 'Read-only file system'), errno.EROFS),
    (ValueError("Failed to write 7 bytes: Disk quota exceeded [os_error_code='122']"), errno.EDQUOT),
    (ValueError('structures differ'), None),
  ],
)
def test_what_the_system_says_is_found_in_what_others_raise(error, number):
  wrapped = RuntimeError('saving failed')
  wrapped.__cause__ = error
  found = storage.system_error(wrapped)
  assert (found and found.errno) == number and (found is None or found.strerror == os.strerror(number))
  with pytest.raises(UserError if number else RuntimeError), storage.writing('folder'):
    raise wrapped
