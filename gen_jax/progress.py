"""A line for the user now and then, while something that takes long goes on."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from gen_jax.errors import show

FIRST, EVERY = 2.0, 5.0  # seconds until the first line, and between two
Item = TypeVar('Item')


def with_progress(items: Iterable[Item], number: int, what: str, each: int = 1) -> Iterator[Item]:
  """The items; 'WHAT: 8,000 of 20,000' is shown after 2 s, then every 5 s, where each item counts for `each`."""
  coming = time.monotonic() + FIRST
  for done, item in enumerate(items, start=1):
    yield item
    if done * each < number and (now := time.monotonic()) >= coming:
      show(f'{what}: {done * each:,} of {number:,}')
      coming = now + EVERY
