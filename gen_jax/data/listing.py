"""What lies in a folder of images or recordings: its files, their splits and classes, and what was left out."""

import collections
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

from gen_jax.data import audio_files, image_files
from gen_jax.errors import UserError
from gen_jax.files import nearest_folder

SPLIT_FOLDERS = {  # in any case
  'train': ('train', 'training'),
  'validation': ('validation', 'val', 'valid', 'dev'),
  'test': ('test', 'testing'),
}
NO_FOLDERS_OF_IMAGES = {'__macosx'}  # what some systems add, besides hidden folders
CLASS_ORDERS = ('natural', 'text')
NAMED = 5  # of a kind, in a line


class Kind(NamedTuple):
  """What files of a kind are called, and what their names end with."""

  noun: str
  suffixes: Set[str]


IMAGES = Kind('image', image_files.SUFFIXES)
RECORDINGS = Kind('recording', audio_files.SUFFIXES)


class Listing(NamedTuple):
  """The images in a folder, and what is said of them. Paths are below the folder, with /."""

  root: Path
  splits: Mapping[str, Sequence[str]]  # {'train': paths, ...}, in the order of the rows
  classes: tuple[str, ...]  # the names as they can be printed; () without labels
  class_of: Mapping[str, int]  # {path: number of its class}; {} without labels
  split_rule: str  # how the images are divided, in words
  notes: tuple[str, ...]  # a line for whatever was left out, and for what may surprise


def list_images(root: Path, class_order: str = 'natural') -> Listing:
  """What lies below `root`, at any depth.

  Splits are the subfolders of SPLIT_FOLDERS, where there is one of training images; where validation or test images
  have none, a tenth of the training images each, chosen by the hash of their paths; and where there are no such
  folders, the same of all images. Where every image lies in one of at least two subfolders (of its split), these are
  the classes: in the order of their numbers and names, or of their texts as older runs had it (`class_order`).
  Raises UserError: no such folder, no images, too few for three splits.
  """
  return arrange(root, *find_files(root), class_order)


def arrange(root: Path, files: Sequence[str], notes: Sequence[str], class_order: str) -> Listing:
  """The listing of `files` below `root`, of which `notes` are said already; see `list_images`."""
  images = choose_files(root, files)
  folders = split_folders(images)
  splits, rule, of_splits = divide(root, images, folders)
  inside = {path: path.split('/')[1:] if folders else path.split('/') for paths in splits.values() for path in paths}
  classes, class_of, of_classes = find_classes(inside, class_order)
  of_classes += untaught(classes, {class_of[path] for path in splits['train']} if classes else set())
  notes = (*notes, *left_out_by_suffix(files), *of_splits, *of_classes, *several_images(inside))
  return Listing(root, splits, tuple(map(printable, classes)), class_of, rule, notes)


def choose_files(root: Path, files: Sequence[str], kind: Kind = IMAGES) -> list[str]:
  """Those of the `files` below `root` that are of this kind. UserError where none is."""
  chosen = [file for file in files if suffix_of(file) in kind.suffixes]
  if not chosen:
    there = {suffix_of(file) for file in files}
    remedy = ''
    if kind is IMAGES and there & RECORDINGS.suffixes:
      remedy = "; config.data.layout='voices' reads the recordings that lie there"
    elif kind is RECORDINGS and there & IMAGES.suffixes:
      remedy = '; the images that lie there are of another config.data.layout'
    raise UserError(f'no {kind.noun}s ({", ".join(sorted(kind.suffixes))}) in {root}{remedy}')
  return chosen


def find_files(root: Path, kind: Kind = IMAGES) -> tuple[list[str], list[str]]:
  """(paths of all files that are not hidden, nor in hidden folders; lines about what of this kind was left out).

  UserError where `root` is no folder.
  """
  if root.is_file():
    others = ', a .csv of points, or a picture' if kind is IMAGES else ''
    raise UserError(f'{root} is a file: name a folder of {kind.noun}s{others}')
  if not root.is_dir():
    raise UserError(f'there is no folder {root}{nearest_folder(root)}')
  files, hidden, linked = [], collections.Counter(), []
  for folder, folders, names in os.walk(root, onerror=refuse_unreadable):
    below = os.path.relpath(folder, root)
    below = '' if below == '.' else below.replace(os.sep, '/') + '/'
    for name in list(folders):
      if is_hidden(name):
        folders.remove(name)
        hidden[name] += count_files(os.path.join(folder, name), kind)
      elif os.path.islink(os.path.join(folder, name)):
        linked.append(below + name)
    files += [below + name for name in names if not name.startswith('.')]
  counts = {name: count_of(n, kind.noun) for name, n in hidden.items() if n}
  notes = [f'left out: {count} in hidden folders {printable(name)}' for name, count in counts.items()]
  if linked:
    notes.append(f'left out: linked folders {some(sorted(map(printable, linked)))}: name their places, or copy them')
  return sorted(files, key=lambda path: path.split('/')), notes


def refuse_unreadable(error: OSError) -> None:
  """Raises UserError for a folder that cannot be listed."""
  raise UserError(f'the folder {error.filename} cannot be read: {error.strerror}')


def is_hidden(folder: str) -> bool:
  """Whether a folder of this name holds no files of the user's."""
  return folder.startswith('.') or folder.lower() in NO_FOLDERS_OF_IMAGES


def count_files(folder: str, kind: Kind) -> int:
  """The number of files of a kind at any depth."""
  return sum(suffix_of(name) in kind.suffixes for _, _, names in os.walk(folder) for name in names)


def suffix_of(path: str) -> str:
  """The end of a file's name from its last dot, in lower case; '' where there is none."""
  return os.path.splitext(path)[1].lower()


def left_out_by_suffix(files: Iterable[str], kind: Kind = IMAGES) -> list[str]:
  """A line that counts files that are not of this kind by what their names end with, if there are any."""
  suffixes = map(suffix_of, files)
  others = collections.Counter(suffix or 'without suffix' for suffix in suffixes if suffix not in kind.suffixes)
  kinds = [f'{n} {printable(suffix)}' for suffix, n in sorted(others.items(), key=lambda item: (-item[1], item[0]))]
  return [f'left out: {some(kinds)}'] if kinds else []


def several_images(images: Iterable[str]) -> list[str]:
  """A line where files may hold several images."""
  several = sorted({suffix_of(path) for path in images} & {'.gif', '.tif', '.tiff'})
  return [f'of a {" or ".join(several)} of several images, the first is read'] if several else []


def count_of(number: int, thing: str) -> str:
  """'1 image', '2 images'."""
  return f'{number:,} {thing}{"" if number == 1 else "s"}'


def some(words: Sequence[str]) -> str:
  """The first few of the words, and how many more there are."""
  more = f' and {len(words) - NAMED} more' if len(words) > NAMED else ''
  return ', '.join(words[:NAMED]) + more


def printable(name: str) -> str:
  """A name of a file as text: bytes that are no UTF-8 are written as \\xff."""
  return os.fsencode(name).decode('utf-8', 'backslashreplace')


# Splits


def split_folders(images: Iterable[str]) -> dict[str, str]:
  """{name of a subfolder with images: its split}; {} where none is of training images."""
  names = {path.split('/')[0] for path in images if '/' in path}
  known = {name: split for split, words in SPLIT_FOLDERS.items() for name in names if name.lower() in words}
  return known if 'train' in known.values() else {}


def divide(
  root: Path | str, files: Sequence[str], folders: Mapping[str, str], kind: Kind = IMAGES
) -> tuple[dict[str, list[str]], str, list[str]]:
  """({split: paths}, the rule in words, lines about files that are in no split), by the folders of the splits."""
  splits, outside = {split: [] for split in SPLIT_FOLDERS}, []
  for path in files:
    first = path.split('/')[0]
    if not folders:
      splits['train'].append(path)
    elif '/' in path and first in folders:
      splits[folders[first]].append(path)
    else:
      outside.append(path)
  drawn = [split for split in ('validation', 'test') if not splits[split]]
  draw_from_train(splits, drawn, within_split=bool(folders))
  for split in drawn:
    if not splits[split]:
      there = f'{root} has {count_of(len(files), kind.noun)}'
      raise UserError(f'{there}, too few for the splits train, validation and test: it needs at least 3')
  places = ', '.join(sorted(f'{folder}/' for folder in folders))
  of = f'of the {"training " if folders else ""}{kind.noun}s'
  by_hash = f'{" and ".join(drawn)}: {"each " if len(drawn) > 1 else ""}a tenth {of}, by the hash of their paths'
  rule = '; '.join(([f'folders {places}'] if places else []) + ([by_hash] if drawn else []))
  where = f'beside the folders of the splits, such as {printable(outside[0])}' if outside else ''
  return splits, rule, [f'left out: {count_of(len(outside), kind.noun)} {where}'] if outside else []


def draw_from_train(splits: dict[str, list[str]], drawn: Sequence[str], within_split: bool) -> None:
  """Moves to the splits `drawn` those of the training files whose hash says so; to each at least one, of several.

  The hash is of the path, below the folder of the split where there is one.
  """
  hashes = {path: path_hash(path.partition('/')[2] if within_split else path) for path in splits['train']}
  for bucket, split in ((8, 'validation'), (9, 'test')):
    if split in drawn:
      splits[split] = [path for path, number in hashes.items() if number % 10 == bucket]
  kept = {path for split in drawn for path in splits[split]}
  splits['train'] = [path for path in splits['train'] if path not in kept]
  for split in ('train', *drawn):
    largest = max(('train', *drawn), key=lambda name: len(splits[name]))
    if not splits[split] and len(splits[largest]) > 1:
      moved = min(splits[largest], key=hashes.get)
      splits[largest].remove(moved)
      splits[split].append(moved)


def path_hash(path: str) -> int:
  """The first four bytes of the SHA-256 of a path: modulo 10, 8 is validation and 9 is test."""
  return int.from_bytes(hashlib.sha256(os.fsencode(path)).digest()[:4], 'big')


# Classes


def find_classes(
  inside: Mapping[str, Sequence[str]], class_order: str
) -> tuple[list[str], dict[str, int], list[str]]:
  """(names of the classes, {path: number of its class}, lines); `inside` has the parts of each path in its split."""
  loose = [path for path, parts in inside.items() if len(parts) == 1]
  names = {parts[0] for parts in inside.values() if len(parts) > 1}
  if len(names) > 1 and not loose:
    natural, text = natural_order(names), sorted(names)
    classes, notes = text if class_order == 'text' else natural, []
    if class_order == 'text' and text != natural:
      notes = ['classes are in the order of their texts, as this run began with it, and not of their numbers']
    numbers = {name: number for number, name in enumerate(classes)}
    return classes, {path: numbers[parts[0]] for path, parts in inside.items()}, notes
  if len(names) > 1:
    example = printable(loose[0])
    return [], {}, [f'no labels: {len(loose)} of {len(inside)} images lie in no subfolder, such as {example}']
  return [], {}, [f'no labels: all images lie in one subfolder, {printable(min(names))}'] if names and not loose else []


def untaught(classes: Sequence[str], taught: set[int]) -> list[str]:
  """A line where some of the classes are not among those `taught`, which have training images."""
  without = [printable(name) for number, name in enumerate(classes) if number not in taught]
  return [f'no training images of {some(without)}'] if without else []


def natural_order(names: Iterable[str]) -> list[str]:
  """Sorted as people count: numbers by their value, 2 before 10, also within names; the rest as text."""
  names = list(names)
  if all(re.fullmatch(r'[-+]?[0-9]+(\.[0-9]+)?', name) for name in names):
    return sorted(names, key=lambda name: (float(name), name))
  parts = lambda name: [(int(part or 0), '') if i % 2 else (0, part) for i, part in enumerate(numbers_in(name))]
  return sorted(names, key=lambda name: (parts(name), name))


def numbers_in(name: str) -> list[str]:
  """The parts of a name, numbers at the odd places: 'a10b' -> ['a', '10', 'b']."""
  return re.split(r'([0-9]+)', name)
