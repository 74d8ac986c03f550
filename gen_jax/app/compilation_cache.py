"""JAX's persistent compilation cache in a folder of the user's, so that only the first of equal runs compiles.

JAX keys an entry by the program, the versions of JAX's libraries, the compiler's options and the device, of a CPU by
its instruction sets; so machines of different kinds may share a home.
"""

import os
import pathlib
import tempfile
import time
import warnings

import jax

from gen_jax.errors import show
from gen_jax.files import cache_folder

MOST_BYTES = 2**30
# programs that compile faster gain less than a file each is worth
LEAST_SECONDS = 0.2


def turn_on() -> None:
  """Uses the default folder, unless JAX was given another or told not to; one line where it cannot be written."""
  if jax.config.jax_compilation_cache_dir or not jax.config.jax_enable_compilation_cache:
    return
  try:
    folder = cache_folder('compilation')
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what lies there is run, so others must not write to it
    tempfile.TemporaryFile(dir=folder).close()
  except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
    show(f'no compilation cache: {error}')
    return
  trim(folder, MOST_BYTES)
  empty_when_damaged(folder)
  jax.config.update('jax_compilation_cache_dir', str(folder))
  if 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS' not in os.environ:
    jax.config.update('jax_persistent_cache_min_compile_time_secs', LEAST_SECONDS)


def turn_off() -> None:
  """Neither reads nor writes a cache, whatever the environment says."""
  jax.config.update('jax_enable_compilation_cache', False)


def trim(folder: pathlib.Path, most_bytes: int) -> None:
  """Removes the entries used longest ago, beyond `most_bytes`: JAX itself would need a further package for that.

  An entry younger than a minute stays, as another process may still be writing it.
  """
  entries = []
  for path in folder.glob('*-cache'):
    try:
      status = path.stat()
    except FileNotFoundError:  # another process trims too
      continue
    written, used = status.st_mtime, max(status.st_atime, status.st_mtime)
    entries.append((used, status.st_size, written, path))
  left = most_bytes
  for _, size, written, path in sorted(entries, reverse=True):
    left -= size
    if left < 0 and written < time.time() - 60:
      path.unlink(missing_ok=True)


def empty_when_damaged(folder: pathlib.Path) -> None:
  """JAX warns of an entry that it cannot read, compiles, and leaves the entry as it is: empties the folder."""
  previous = warnings.showwarning

  def showwarning(message, category, filename, lineno, file=None, line=None):
    """As `warnings.showwarning`, with the cache's own said in a line."""
    if str(message).startswith('Error reading persistent compilation cache'):
      trim(folder, 0)
      show(f'the compilation cache {folder} was damaged: what is older than a minute is removed')
    elif str(message).startswith('Error writing persistent compilation cache'):
      show(f'the compilation cache {folder} cannot be written: {str(message).rpartition(": ")[2]}')
    else:
      previous(message, category, filename, lineno, file, line)

  warnings.showwarning = showwarning
