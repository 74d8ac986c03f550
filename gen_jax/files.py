"""Files that are written whole or not at all, the folder of what may be made again, and programs in files."""

import importlib.util
import io
import os
import pathlib
import sys
import tempfile
import types
from collections.abc import Mapping

import numpy as np


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
  """Writes a file whole or not at all: to a neighbor first, then renamed. Makes the folder."""
  path = pathlib.Path(path)
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


def save_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes an npz file, whole or not at all."""
  file = io.BytesIO()
  np.savez_compressed(file, **arrays)
  write_bytes(path, file.getvalue())


def cache_folder(name: str) -> pathlib.Path:
  """$XDG_CACHE_HOME/gen_jax/NAME, by default below ~/.cache; RuntimeError where there is no home."""
  home = pathlib.Path(os.environ.get('XDG_CACHE_HOME', ''))
  return (home if home.is_absolute() else pathlib.Path.home() / '.cache') / 'gen_jax' / name


def open_module(path: str | os.PathLike) -> types.ModuleType:
  """Runs a Python file anew, and keeps the module for `opened_module`; raises whatever the program raises."""
  path = pathlib.Path(path).resolve()
  spec = importlib.util.spec_from_file_location(module_name(path), path)
  module = importlib.util.module_from_spec(spec)
  sys.modules[spec.name] = module  # as dataclasses, of which Flax modules are some, look for their module there
  try:
    spec.loader.exec_module(module)
  except BaseException:
    del sys.modules[spec.name]
    raise
  return module


def opened_module(path: str | os.PathLike) -> types.ModuleType | None:
  """The module that has been made of a file, by `open_module`, by an import, or as the program itself; else None."""
  path = pathlib.Path(path).resolve()
  if opened := sys.modules.get(module_name(path)):
    return opened
  files = [(module, getattr(module, '__file__', None)) for module in list(sys.modules.values())]
  return next((module for module, file in files if file and pathlib.Path(file).resolve() == path), None)


def module_name(path: pathlib.Path) -> str:
  """Under which a program in a file stands among the modules."""
  return f'program {path}'
