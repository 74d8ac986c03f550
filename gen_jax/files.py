"""Files that are written whole or not at all, and the folder of what may be made again."""

import io
import os
import pathlib
import tempfile
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
