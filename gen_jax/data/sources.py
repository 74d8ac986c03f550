"""From the name of a data set to its splits, and what of the section `config.data` is for which sets."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ml_collections import ConfigDict, FrozenConfigDict

from gen_jax.config import DATA
from gen_jax.data import outliers
from gen_jax.data.dataset import Dataset, exchange_sides, leave_out
from gen_jax.data.sets import SETS, folder, pairs, unpaired, voice_folder
from gen_jax.errors import UserError

SPLITS = ('train', 'validation', 'test')
OF_TWO_SIDES = ('layout', 'swap', 'palette_a', 'palette_b', 'sides')


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The 'train', 'validation' or 'test' split that the section `config.data` describes, opened once.

  Of the sets in `data/sets`, the first that owns the name opens it. UserError where none can.
  """
  return open_once(FrozenConfigDict(data), split)


@functools.cache
def open_once(data: FrozenConfigDict, split: str) -> Dataset:
  """`open_split` of a section that can be a key of the cache."""
  owner = owner_of(data)
  opened = owner.open_split(data, split)
  if data.swap:
    opened = exchange_sides(opened)
  if opened.own_order and data.binarize == 'static':
    raise UserError("config.data.binarize='static': unpaired sides have no row in common to key it by; use 'dynamic'")
  if data.without:
    opened = leave_out(opened, data.without)
  if data.outliers:
    section = ConfigDict(data.to_dict())
    of_this_set = ('train_split', 'validation_split', 'test_split', 'label', 'without', 'outliers', *OF_TWO_SIDES)
    section.update({key: DATA[key].default for key in of_this_set} | {'name': data.outliers, 'resident_mib': 2**20})
    opened = outliers.beside(opened, data.outliers, lambda: open_split(section, split))
  about = opened.about
  what = about.what or f'the set {data.name}'
  return opened._replace(about=about._replace(what=what, notes=(*namesakes(data), *about.notes)))


def owner_of(data: ConfigDict) -> ModuleType:
  """The file of `data/sets` that opens what the section names. UserError where it names nothing."""
  if not data.name:
    raise UserError('config.data.name is empty: name a data set')
  return next(candidate for candidate in SETS if candidate.owns(data))


def path_of(data: ConfigDict) -> str:
  """The folder or file that the section names; '' where its name is no path."""
  owner = owner_of(data)
  return owner.path_of(data) if hasattr(owner, 'path_of') else ''


def in_files(data: ConfigDict) -> bool:
  """Whether what the section names is read from files, which may be moved, changed or lost."""
  owner = owner_of(data)
  return hasattr(owner, 'in_files') and owner.in_files(data)


def is_own(data: ConfigDict) -> bool:
  """Whether what the section names are images or recordings of the user's own, in a folder."""
  return owner_of(data) in (folder, pairs, unpaired, voice_folder) and folder.is_folder(data.name)


def namesakes(data: ConfigDict) -> list[str]:
  """A line where what the section names is also the name of something else."""
  path = Path(data.name)
  if not path_of(data):
    kind = 'folder' if path.is_dir() else 'file'
    return [f'this is no {kind} {path} of yours: that is --config.data.name=./{path}'] if path.exists() else []
  prepared = Path(data.dir or os.environ.get('TFDS_DATA_DIR', '~/tensorflow_datasets')).expanduser() / path.name
  if path.parent == Path.cwd() and prepared.is_dir() and prepared != path:
    return [f'this is not the TFDS set {path.name}: that is --config.data.name={prepared}/VERSION']
  return []


def takes(owner: ModuleType, data: ConfigDict) -> tuple[str, ...]:
  """The keys of the section that are for some sets alone, and which this one takes."""
  return owner.takes(data) if hasattr(owner, 'takes') else getattr(owner, 'TAKES', ())


def special_keys() -> tuple[str, ...]:
  """The keys of the section that some sets alone take."""
  from_sets = (key for owner in SETS for key in (*getattr(owner, 'TAKES', ()), *getattr(owner, 'ALL_TAKES', ())))
  return tuple(dict.fromkeys(from_sets))


def problems(data: ConfigDict) -> Iterator[str]:
  """A line for each key that is set and has no effect on what the section names."""
  if not data.name:
    return
  owner = owner_of(data)
  taken = takes(owner, data)
  for key in special_keys():
    if key not in taken and data[key] not in (DATA[key].default, ''):
      own = f'; of such keys, it takes {" and ".join(taken)}' if taken else ''
      yield f'config.data.{key}={data[key]!r}: has no effect on {data.name}{own}'


def lacking(data: ConfigDict, opened: Dataset, reads: tuple[str, ...]) -> str:
  """What to do where a model reads features that the data have not, in words; '' where they have all."""
  if set(reads) <= set(opened.features):
    return ''
  remedy = ''
  if 'image_a' in reads:
    remedy = '; name a set of two sides, or say by config.data.layout how a folder holds them'
  elif 'image_a' in opened.features:
    remedy = f'; name a set of single images{", without config.data.layout" if data.layout else ""}, or a model of two'
  return f'reads {" and ".join(reads)}, and {data.name} has {" and ".join(opened.features)}{remedy}'


def without_keys_of_others(data: ConfigDict) -> dict[str, str]:
  """{key: default} of the keys of the section that have no effect on what it names."""
  taken = takes(owner_of(data), data)
  return {key: DATA[key].default for key in special_keys() if key not in taken}


def normalized(data: ConfigDict) -> ConfigDict:
  """The section with paths expanded and absolute; and splits of TFDS for the sets alone that have them."""
  section = ConfigDict(data.to_dict())
  if section.name and (path := path_of(section)):
    section.name = absolute(path)
  section.dir = absolute(section.dir)
  absolute_of = lambda name: absolute(name) if folder.is_folder(name) else name
  section.positives = absolute_of(section.positives) if section.positives else ''
  section.outliers = absolute_of(section.outliers) if section.outliers else ''
  section.negatives = tuple(absolute_of(name) for name in section.negatives)
  taken = takes(owner_of(section), section) if section.name else ()
  for key in ('train_split', 'validation_split', 'test_split'):
    if key not in taken and section[key] == DATA[key].default:
      section[key] = ''
    elif key in taken:
      section[key] = section[key] or DATA[key].default
  return section


def absolute(path: str) -> str:
  """The path from the root, ~ expanded; '' stays."""
  return path and os.path.abspath(os.path.expanduser(path))
