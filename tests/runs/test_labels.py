"""Classes by their names or numbers."""

import pytest

from gen_jax.errors import UserError
from gen_jax.runs.labels import find_class

DIGITS = tuple(map(str, range(10)))


@pytest.mark.parametrize(
  ('label', 'names', 'number'),
  [
    (3, ('cat', 'dog', 'emu', 'fox'), 3),
    ('dog', ('cat', 'dog'), 1),
    ('1', ('cat', 'dog'), 1),
    ('7', DIGITS, 7),
    ('7', ('3', '7'), 1),
    (1, ('3', '7'), 1),
    ('10', ('0', '1', '10', '2'), 2),
    ('1', ('1', '2', '3'), 0),
    ('0', ('0', 'cat'), 0),
  ],
)
def test_a_class_is_found(label, names, number):
  assert find_class(label, names) == number


@pytest.mark.parametrize(
  ('label', 'names', 'message'),
  [
    ('cta', ('cat', 'dog'), 'has no such class; did you mean cat?'),
    ('bird', ('cat', 'dog'), 'has no such class; there are cat, dog'),
    ('2', ('cat', 'dog'), 'has no such class; there are cat, dog'),
    ('-1', ('cat', 'dog'), 'has no such class'),
    (2, ('cat', 'dog'), 'has classes 0 to 1'),
    (-1, ('cat', 'dog'), 'has classes 0 to 1'),
    ('10', DIGITS, 'has classes 0 to 9'),
    ('0', ('3', '7'), 'has no such class; there are 3, 7'),
    ('1', ('1', 'cat'), 'is ambiguous: 1 is the name of class 0, and the number of class cat, which its name says'),
  ],
)
def test_what_is_no_class_or_two_is_said(label, names, message):
  with pytest.raises(UserError) as error:
    find_class(label, names)
  assert message in str(error.value)
