"""What a user can get wrong, and how it is line: one line that names the thing and the remedy."""

import difflib
import errno
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

MOST_INTEGER = 2**31 - 1  # that int32 holds
MOST_FLOAT, LEAST_FLOAT = (2 - 2**-23) * 2.0**127, 2.0**-126  # that float32 holds, the latter with all its bits
BELOW_ONE = 1 - 2**-25  # from which float32 rounds to 1
REMEDIES = {  # of what a system refuses
  errno.ENOSPC: 'free some space, and the same command goes on',
  errno.EDQUOT: 'free some space, and the same command goes on',
  errno.EACCES: 'name a folder that may be written',
  errno.EPERM: 'name a folder that may be written',
  errno.EROFS: 'name a folder that may be written, or a copy of this one',
  errno.ENOTDIR: 'something else lies in the place of a folder',
  errno.EEXIST: 'something else lies in the place of a folder',
}


class UserError(Exception):
  """A mistake of the user's: one line that names the thing and the remedy. `launch.py` prints it and exits with 2."""


class Interrupted(KeyboardInterrupt):
  """A signal has ended the work, SIGINT (Ctrl-C) or SIGTERM; its text says what is kept.

  `launch.py` prints it and exits with 128 + `number`, as shells say which signal it was.
  """

  def __init__(self, number: int, text: str = ''):
    super().__init__(text)
    self.number = number


def refused_by_system(error: OSError) -> str:
  """A file that cannot be read or written, as one line: its path, the reason, and where it is known, the remedy."""
  parts = (str(error.filename or ''), error.strerror or str(error), REMEDIES.get(error.errno, ''))
  return ': '.join(part for part in parts if part)


def is_out_of_memory(error: Exception) -> bool:
  """Whether the system, or XLA on a device, had no memory left."""
  return isinstance(error, MemoryError) or ('RESOURCE_EXHAUSTED' in str(error) and 'memory' in str(error).lower())


def nearest(word: str, possible: Iterable[str]) -> str:
  """'; did you mean X?' for an unknown word, else all that there is, where that is little."""
  possible = sorted(possible)
  if close := difflib.get_close_matches(word, possible, n=1):
    return f'; did you mean {close[0]}?'
  return f'; there are {", ".join(possible)}' if 0 < len(possible) <= 20 else ''


def show(text: str) -> None:
  """One line for the user, on the error stream, where logs go."""
  print(text, file=sys.stderr, flush=True)


# Problems of a value, with which classes (`positive(self, 'latent_dim')`) and keys of the config say what they allow:
# each function is (value) -> what is wrong with it, or None


def must_be_positive(value: Any) -> str | None:
  """A number above 0, or numbers."""
  return of_numbers(value, lambda number: None if number > 0 else 'must be above 0')


def must_not_be_negative(value: Any) -> str | None:
  """A number of 0 or more, or numbers."""
  return of_numbers(value, lambda number: None if number >= 0 else 'must not be negative')


def must_be_fraction(value: Any) -> str | None:
  """A number in [0, 1), or numbers; float32 must not round it to 1."""
  return of_numbers(value, lambda number: None if 0 <= number < BELOW_ONE else 'must lie in [0, 1)')


def must_fit_32_bits(value: Any) -> str | None:
  """A number that an int32 or a float32 holds, as the devices calculate with those; or numbers. All else fits."""
  if isinstance(value, tuple | list):
    return next((line for line in map(must_fit_32_bits, value) if line), None)
  if isinstance(value, bool) or not isinstance(value, int | float):
    return None
  if isinstance(value, int):
    return None if abs(value) <= MOST_INTEGER else 'must lie between -2^31 and 2^31'
  if not math.isfinite(value) or abs(value) > MOST_FLOAT:
    return 'must be finite in 32 bits, so below 3.4e38'
  return 'is 0 in 32 bits: must be 0, or above 1.2e-38' if 0 < abs(value) < LEAST_FLOAT else None


def must_be_one_of(*choices: Any) -> Callable[[Any], str | None]:
  """A check that a value is among the choices."""
  return lambda value: None if value in choices else f'choose one of {", ".join(map(str, choices))}'


def of_numbers(value: Any, problem: Callable[[int | float], str | None]) -> str | None:
  """The first problem of a number or of those of a tuple; a schedule, which is callable, has none before it is used."""
  if callable(value):
    return None
  for number in value if isinstance(value, tuple | list) else (value,):
    if isinstance(number, bool) or not isinstance(number, int | float):
      return 'must be a number, or numbers'
    if line := must_fit_32_bits(number) or problem(number):
      return line
  return None


def problems_of_fields(
  module: Any, problem: Callable[[Any], str | None], names: Iterable[str]
) -> Iterator[str]:
  """'NAME=VALUE: what is wrong with it' for each of a module's fields that has a problem."""
  for name in names:
    value = getattr(module, name)
    if line := problem(value):
      yield f'{name}={value!r}: {line}'


def positive(module: Any, *names: str) -> Iterator[str]:
  """The problems of fields that must be above 0."""
  return problems_of_fields(module, must_be_positive, names)


def non_negative(module: Any, *names: str) -> Iterator[str]:
  """The problems of fields that must be 0 or more."""
  return problems_of_fields(module, must_not_be_negative, names)


def fraction(module: Any, *names: str) -> Iterator[str]:
  """The problems of fields that must lie in [0, 1)."""
  return problems_of_fields(module, must_be_fraction, names)


def one_of(module: Any, name: str, choices: Iterable[Any]) -> Iterator[str]:
  """The problem of a field that must be one of the choices."""
  return problems_of_fields(module, must_be_one_of(*choices), [name])


def at_least_one(module: Any, *names: str) -> Iterator[str]:
  """The problems of fields that name the widths of layers: at least one, all above 0."""
  for name in names:
    if len(getattr(module, name)) == 0:
      yield f'{name}=(): name at least one layer'
    else:
      yield from positive(module, name)
