"""Files that are written whole or not at all."""

import os

import numpy as np
import pytest

from gen_jax import files


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
  path = tmp_path / 'new_folder' / 'a.bin'
  files.write_bytes(path, b'old')

  def broken(*_):
    raise OSError('disk full')

  monkeypatch.setattr(os, 'replace', broken)
  with pytest.raises(OSError, match='disk full'):
    files.write_bytes(path, b'new')
  assert path.read_bytes() == b'old'
  assert os.listdir(path.parent) == ['a.bin']


def test_saved_arrays_are_read_again(tmp_path):
  files.save_arrays(tmp_path / 'a.npz', {'x': np.arange(3), 'y': np.eye(2)})
  with np.load(tmp_path / 'a.npz') as arrays:
    np.testing.assert_array_equal(arrays['x'], [0, 1, 2])
    np.testing.assert_array_equal(arrays['y'], np.eye(2))


@pytest.mark.parametrize(('home', 'expected'), [('/x', '/x'), ('', '/home/me/.cache'), ('relative', '/home/me/.cache')])
def test_the_folder_of_what_may_be_made_again(home, expected, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', home)
  monkeypatch.setenv('HOME', '/home/me')
  assert str(files.cache_folder('compilation')) == f'{expected}/gen_jax/compilation'


def test_the_nearest_folder_is_that_of_the_most_similar_name(tmp_path):
  for name in ('photos', 'tables', '.photo', 'phot.txt'):
    (tmp_path / name).touch() if name.endswith('.txt') else (tmp_path / name).mkdir()
  assert files.nearest_folder(tmp_path / 'photo') == f'; did you mean {tmp_path}/photos?'
  assert files.nearest_folder(tmp_path / 'birds') == '; there are photos, tables'
  assert files.nearest_folder(tmp_path / 'none' / 'photos') == ''
