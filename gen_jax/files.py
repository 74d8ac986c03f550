"""Files that are written whole or not at all, paths, locks, the folder of what may be made again, programs in files."""

import contextlib
import difflib
import errno
import importlib.util
import io
import os
import pathlib
import sys
import tempfile
import types
from collections.abc import Iterator, Mapping
from typing import IO

import numpy as np

from gen_jax.errors import nearest

try:
  import fcntl
except ImportError:  # as on Windows
  fcntl = None
try:
  import msvcrt
except ImportError:  # as everywhere else
  msvcrt = None


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
  """Writes a file whole or not at all: to a neighbor first, then renamed. Makes the folder."""
  path = pathlib.Path(path)
  with naming(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    try:
      with os.fdopen(handle, 'wb') as file:
        file.write(data)
      os.chmod(name, 0o644)  # mkstemp makes files that only the owner reads
      os.replace(name, path)
    except BaseException:
      os.unlink(name)
      raise


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
  """Errors of the system name this file or folder: otherwise they name a passing one, or where a disk is full, none."""
  try:
    yield
  except OSError as error:
    if error.errno is not None:  # else it is made of words alone, which would be lost
      error.filename, error.filename2 = str(path), None
    raise


def check_writable(folder: pathlib.Path) -> None:
  """Raises OSError where no file can be written into the folder."""
  with naming(folder), tempfile.NamedTemporaryFile(dir=folder, prefix='.') as file:
    file.write(b'0')


def save_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes an npz file, whole or not at all."""
  file = io.BytesIO()
  np.savez_compressed(file, **arrays)
  write_bytes(path, file.getvalue())


def expanded(path: str | os.PathLike) -> pathlib.Path:
  """The path, '~' and '~NAME' at its beginning replaced by that user's home."""
  return pathlib.Path(os.path.expanduser(path))


def nearest_folder(path: pathlib.Path) -> str:
  """'; did you mean X?' for a folder that is not there, of those beside it that are not hidden, by its own name."""
  try:
    folders = [folder.name for folder in path.parent.iterdir() if folder.is_dir() and not folder.name.startswith('.')]
  except OSError:  # there is none, or it may not be read
    return ''
  if close := difflib.get_close_matches(path.name, folders, n=1):
    return f'; did you mean {path.parent / close[0]}?'
  return nearest('', folders)


def lock(file: IO) -> None:
  """Locks an open file for this process until it is closed.

  Raises:
    BlockingIOError: another process has locked it.
    OSError: files cannot be locked, on this system or in that place.
  """
  if fcntl:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  elif msvcrt:
    try:
      msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except PermissionError:  # by which Windows says that it is locked
      raise BlockingIOError from None
  else:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def cache_folder(name: str) -> pathlib.Path:
  """$XDG_CACHE_HOME/gen_jax/NAME, by default below ~/.cache; RuntimeError where there is no home."""
  home = pathlib.Path(os.environ.get('XDG_CACHE_HOME', ''))
  return (home if home.is_absolute() else pathlib.Path.home() / '.cache') / 'gen_jax' / name


def open_module(path: str | os.PathLike, source: bytes | None = None) -> types.ModuleType:
  """Runs a Python file anew, and keeps the module for `opened_module`; raises whatever the program raises.

  What is run is the file's text, or `source`, which a caller has read from it; never a compiled copy beside it.
  """
  path = pathlib.Path(path).resolve()
  spec = importlib.util.spec_from_file_location(module_name(path), path)
  module = importlib.util.module_from_spec(spec)
  program = compile(path.read_bytes() if source is None else source, str(path), 'exec')
  sys.modules[spec.name] = module  # as dataclasses, of which Flax modules are some, look for their module there
  try:
    exec(program, vars(module))
  except BaseException:
    del sys.modules[spec.name]
    raise
  return module


def opened_module(path: str | os.PathLike) -> types.ModuleType | None:
  """The module that has been made of a file, by `open_module`, by an import, or as the program itself; else None."""
  if opened := sys.modules.get(module_name(pathlib.Path(path).resolve())):
    return opened
  files = [(module, getattr(module, '__file__', None)) for module in list(sys.modules.values())]
  return next((module for module, file in files if file and is_same_file(file, path)), None)


def is_same_file(one: str | os.PathLike, other: str | os.PathLike) -> bool:
  """Whether two paths lead to one file; False where there is none."""
  try:
    return os.path.samefile(one, other)
  except OSError:
    return False


def module_name(path: pathlib.Path) -> str:
  """Under which a program in a file stands among the modules."""
  return f'program {path}'
