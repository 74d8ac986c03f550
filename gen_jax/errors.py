"""What a user can get wrong, and how it is line: one line that names the thing and the remedy."""

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class UserError(Exception):
  """A mistake of the user's: one line that names the thing and the remedy. `launch.py` prints it and exits with 2."""


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
  """A number in [0, 1), or numbers."""
  return of_numbers(value, lambda number: None if 0 <= number < 1 else 'must lie in [0, 1)')


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
    if line := problem(number):
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
