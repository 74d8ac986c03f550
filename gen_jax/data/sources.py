"""From the name of a data set to its splits."""

import functools

from ml_collections import ConfigDict, FrozenConfigDict

from gen_jax.data.dataset import Dataset
from gen_jax.data.sets import SETS
from gen_jax.errors import UserError


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The 'train', 'validation' or 'test' split that the section `config.data` describes, opened once.

  Of the sets in `data/sets`, the first that owns the name opens it. UserError where none can.
  """
  return open_once(FrozenConfigDict(data), split)


@functools.cache
def open_once(data: FrozenConfigDict, split: str) -> Dataset:
  """`open_split` of a section that can be a key of the cache."""
  if not data.name:
    raise UserError('config.data.name is empty: name a data set')
  owner = next(candidate for candidate in SETS if candidate.owns(data))
  return owner.open_split(data, split)
