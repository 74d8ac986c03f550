"""Classes by their names or numbers."""

from collections.abc import Sequence

from gen_jax.errors import UserError, nearest


def find_class(label: int | str, names: Sequence[str]) -> int:
  """The number of the class that `label` says: a number, or a text that is a class's name or else its number.

  Where all names are whole numbers, a text is a name alone: of classes 3 and 7, '7' is the second. UserError, without
  what was asked in front: no such class, or a text that is the name of one class and the number of another.
  """
  if not isinstance(label, str):
    if not 0 <= label < len(names):
      raise UserError(f'has classes 0 to {len(names) - 1}')
    return int(label)
  by_name = names.index(label) if label in names else None
  numbered = label.isdecimal() and int(label) < len(names) and not all(name.isdecimal() for name in names)
  by_number = int(label) if numbered else None
  if by_name is not None and by_number not in (None, by_name):
    raise UserError(
      f'is ambiguous: {label} is the name of class {by_name}, and the number of class {names[by_number]}, '
      'which its name says'
    )
  if by_name is None and by_number is None:
    if tuple(names) == tuple(map(str, range(len(names)))):
      raise UserError(f'has classes 0 to {len(names) - 1}')
    raise UserError(f'has no such class{nearest(label, names)}')
  return by_number if by_name is None else by_name
