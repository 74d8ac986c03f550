"""Whether a checkpoint fits on the disk, and what its writer says where it does not."""

import contextlib
import functools
import logging
import os
import pathlib
import re
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import jax

from gen_jax.errors import UserError, refused_by_system

MARGIN = 2**17  # bytes of what a checkpoint holds besides arrays
MIB = 2**20


def check_space(folder: pathlib.Path, tree: Any) -> None:
  """Raises UserError where the disk of a folder has no room for the arrays of `tree`."""
  needed = MARGIN + sum(x.nbytes for x in jax.tree.leaves(tree))
  free = shutil.disk_usage(folder).free
  if free < needed:
    raise UserError(
      f'{folder}: a checkpoint takes {needed / MIB:.1f} MiB, and {free / MIB:.1f} MiB are free: '
      'free some space, and the same command goes on'
    )


@contextlib.contextmanager
def writing(folder: pathlib.Path) -> Iterator[None]:
  """What the system refuses while a checkpoint is written, as one UserError; other errors as they are."""
  try:
    yield
  except Exception as error:
    if isinstance(error, UserError) or not (refused := system_error(error)):
      raise
    refused.filename = str(folder)
    raise UserError(f'no checkpoint could be written: {refused_by_system(refused)}') from None


def system_error(error: BaseException | None) -> OSError | None:
  """The system's error behind one of Orbax or TensorStore, which say its number in a text; None where there is none."""
  while error is not None:
    if isinstance(error, OSError) and error.errno:
      return OSError(error.errno, error.strerror)
    if number := re.search(r"os_error_code='(\d+)'", str(error)):
      return OSError(int(number[1]), os.strerror(int(number[1])))
    error = error.__cause__ or error.__context__
  return None


@functools.cache
def quiet_writers() -> None:
  """Keeps threads that write checkpoints from logging what they raise, as it is raised where they are awaited.

  From now on for good, as some say it later than that.
  """
  hook = sys.unraisablehook

  def without_closed_loops(unraisable: Any) -> None:
    if str(unraisable.exc_value) != 'Event loop is closed':  # of writes beside one that has failed
      hook(unraisable)

  sys.unraisablehook = without_closed_loops
  logging.getLogger('absl').addFilter(is_no_exception)


def is_no_exception(record: logging.LogRecord) -> bool:
  """Whether a record of a log is of something else than an exception."""
  return not record.exc_info and 'raised an exception' not in str(record.msg)
