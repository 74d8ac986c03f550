"""Opening a run runs no program but those that its user has run before, or trusts."""

import importlib.util
import json
import os
import pathlib
import py_compile
import sys

import pytest

from gen_jax import files
from gen_jax.errors import UserError
from gen_jax.runs import programs

TEXT = 'import pathlib\npathlib.Path({trace!r}).write_text({word!r})\n'


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
  """A home of these tests alone."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  known = set(sys.modules)
  yield tmp_path / 'cache'
  for name in set(sys.modules) - known:
    del sys.modules[name]


@pytest.fixture
def trace(tmp_path):
  """What a program writes when it is run."""
  return tmp_path / 'trace'


def write(path: pathlib.Path, trace: pathlib.Path, word: str) -> pathlib.Path:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(TEXT.format(trace=str(trace), word=word))
  return path


def trained_with(program: str, workdir: pathlib.Path) -> pathlib.Path:
  """The workdir of a run of a class in a program."""
  section = {'name': 'VAE', 'encoder': {'name': f'{program}:Own'}}
  workdir.mkdir()
  (workdir / 'config.json').write_text(json.dumps({'model': section, 'programs': programs.record(section)}))
  return workdir


def open_run(workdir, **options):
  programs.open_programs(json.loads((workdir / 'config.json').read_text()), workdir, **options)


def refused(workdir, *expected):
  with pytest.raises(UserError) as error:
    open_run(workdir)
  assert all(word in str(error.value) for word in ('--trust_workdir', 'trust=True', *expected)), error.value
  assert '\n' not in str(error.value)


def test_a_program_that_was_trained_with_is_run_again_once(tmp_path, trace):
  file = write(tmp_path / 'mine.py', trace, 'run')
  workdir = trained_with(str(file), tmp_path / 'run')
  assert not trace.exists()
  open_run(workdir)
  assert trace.read_text() == 'run' and files.opened_module(file).pathlib is pathlib
  trace.unlink()
  open_run(workdir)
  assert not trace.exists()


def test_one_that_has_changed_is_not(tmp_path, trace):
  file = write(tmp_path / 'mine.py', trace, 'run')
  workdir = trained_with(str(file), tmp_path / 'run')
  write(file, trace, 'changed')
  refused(workdir, 'it has changed since the run was made', f'--config={file}')
  assert not trace.exists()
  open_run(workdir, trust=True)
  assert trace.read_text() == 'changed'


def test_nor_is_another_to_which_a_link_in_its_place_leads(tmp_path, trace):
  file = write(tmp_path / 'mine.py', trace, 'run')
  workdir = trained_with(str(file), tmp_path / 'run')
  file.unlink()
  file.symlink_to(write(tmp_path / 'strange.py', trace, 'strange'))
  refused(workdir, 'it has changed')
  assert not trace.exists()


def test_a_stranger_may_record_a_hash_but_leaves_no_note(tmp_path, trace, monkeypatch):
  file = write(tmp_path / 'unpacked' / 'mine.py', trace, 'strange')
  workdir = tmp_path / 'unpacked' / 'run'
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / "the stranger's"))
  trained_with(str(file), workdir)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'mine'))
  refused(workdir, 'you have not trained with it here before')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / "the stranger's"))
  (tmp_path / "the stranger's" / 'gen_jax' / 'programs').chmod(0o777)  # to which anyone could write
  refused(workdir, 'you have not trained with it here before')
  assert not trace.exists()


@pytest.mark.skipif(not hasattr(os, 'getuid'), reason='this system knows no owners')
@pytest.mark.parametrize('name', ['mine.py', 'run', 'run/config.json'])
def test_a_run_of_another_user_is_not_opened(name, tmp_path, trace, monkeypatch):
  file = write(tmp_path / 'mine.py', trace, 'run')
  workdir = trained_with(str(file), tmp_path / 'run')
  is_owned = programs.is_owned
  monkeypatch.setattr(programs, 'is_owned', lambda path: path != tmp_path / name and is_owned(path))
  refused(workdir, "it or the run is another user's")
  assert not trace.exists()
  open_run(workdir, trust=True)
  assert trace.exists()


@pytest.mark.skipif(not hasattr(os, 'getuid'), reason='this system knows no owners')
def test_the_owner_is_who_the_system_says(tmp_path, monkeypatch):
  assert programs.is_owned(tmp_path) and programs.belongs_to_user(tmp_path)
  tmp_path.chmod(0o720)
  assert programs.is_owned(tmp_path) and not programs.belongs_to_user(tmp_path)
  monkeypatch.setattr(os, 'getuid', lambda: tmp_path.stat().st_uid + 1)
  assert not programs.is_owned(tmp_path)


def test_a_compiled_copy_is_not_what_is_run(tmp_path, trace):
  file = write(tmp_path / 'mine.py', trace, 'right')
  workdir = trained_with(str(file), tmp_path / 'run')
  other = write(tmp_path / 'other.py', trace, 'wrong')  # of the same size
  os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
  py_compile.compile(str(other), importlib.util.cache_from_source(str(file)))
  open_run(workdir)
  assert trace.read_text() == 'right'


def test_a_run_without_a_hash_and_a_program_that_is_gone(tmp_path, trace):
  file = write(tmp_path / 'mine.py', trace, 'run')
  workdir = trained_with(str(file), tmp_path / 'run')
  content = json.loads((workdir / 'config.json').read_text())
  (workdir / 'config.json').write_text(json.dumps({'model': content['model']}))  # as runs were written before
  refused(workdir, 'the run has recorded no hash of it')
  file.unlink()
  for trust in (False, True):
    with pytest.raises(UserError, match=f'a class in {file}, which is not there: name it, --config={file}'):
      open_run(workdir, trust=trust)


def test_modules_are_known_with_the_packages_that_they_lie_in(tmp_path, trace, monkeypatch):
  monkeypatch.syspath_prepend(str(tmp_path))
  package = write(tmp_path / 'own_package' / '__init__.py', trace, 'package')
  write(tmp_path / 'own_package' / 'folder' / 'models.py', trace, 'module')  # folder: a package without a file
  workdir = trained_with('own_package.folder.models', tmp_path / 'run')
  assert not trace.exists() and 'own_package' not in sys.modules
  write(package, trace, 'another')
  refused(workdir, 'own_package.folder.models', 'it has changed')
  assert not trace.exists() and 'own_package' not in sys.modules
  write(package, trace, 'package')
  open_run(workdir)
  assert trace.read_text() == 'module' and 'own_package.folder.models' in sys.modules


def test_a_module_that_this_user_never_named_is_not_imported(tmp_path):
  workdir = trained_with('antigravity', tmp_path / 'run')  # of the standard library, and opens a browser
  for note in (tmp_path / 'cache' / 'gen_jax' / 'programs').iterdir():
    note.unlink()
  refused(workdir, 'you have not trained with it here before', 'its experiment')
  assert 'antigravity' not in sys.modules


def test_a_program_that_fails_is_one_line(tmp_path):
  file = tmp_path / 'mine.py'
  file.write_text('1 +')
  workdir = trained_with(str(file), tmp_path / 'run')
  with pytest.raises(UserError, match=r'mine.py cannot be run: SyntaxError') as error:
    open_run(workdir)
  assert '\n' not in str(error.value)
