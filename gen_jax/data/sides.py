"""A folder of two sides, A and B: which of its files belong to which, and how the pixels of a side are read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from gen_jax.data.dataset import Feature
from gen_jax.data.image_files import central_square, pixels_of, read_header
from gen_jax.data.listing import (
  IMAGES,
  SPLIT_FOLDERS,
  Kind,
  Listing,
  arrange,
  choose_files,
  count_of,
  divide,
  find_files,
  left_out_by_suffix,
  list_images,
  printable,
  several_images,
)
from gen_jax.data.palettes import Palette, one_hot, resize_labels
from gen_jax.errors import UserError

SIDES = ('A', 'B')


class Side(NamedTuple):
  """How the images of a side are read.

  Attributes:
    mode: 'L' or 'RGB'.
    shape: (H, W) of all of them; with `size` that is (size, size).
    size: the central square of each is resized to size x size; 0: they stay as they are.
    palette: the colors of a map of labels, whose pixels become classes; () of an image.
  """

  mode: str
  shape: tuple[int, int]
  size: int = 0
  palette: Palette = ()

  @property
  def feature(self) -> Feature:
    """Gray or RGB; of a map of labels one channel of 0 and 1 a class."""
    if self.palette:
      return Feature((*self.shape, len(self.palette)), levels=2)
    return Feature((*self.shape, len(self.mode)))

  def pixels(self, image: Image.Image) -> np.ndarray:
    """uint8 [H,W,C] of an image."""
    if self.palette:
      image = central_square(image) if self.size else image
      return resize_labels(one_hot(pixels_of(image.convert('RGB')), self.palette), self.shape)
    return pixels_of(image.convert(self.mode), self.size)


def side_of(mode: str, shape: tuple[int, int] | None, size: int, palette: Palette) -> Side:
  """The Side of images of this mode and shape, None where they differ."""
  return Side('RGB' if palette else mode, (size, size) if size else shape, size, tuple(palette))


# Which files belong to which side


def pair_folders(images: Sequence[str]) -> dict[str, str]:
  """{folder: its side} of A/ and B/, in any case."""
  names = {path.split('/')[0] for path in images if '/' in path}
  return {name: name.upper() for name in sorted(names) if name.upper() in SIDES}


def unpaired_folders(files: Sequence[str]) -> dict[str, tuple[str, str]]:
  """{folder: (its split, its side)} of trainA/, trainB/, testA/ and so on, under the usual names, in any case."""
  known = {f'{word}{side.lower()}': (split, side) for split, w in SPLIT_FOLDERS.items() for word in w for side in SIDES}
  names = {path.split('/')[0] for path in files if '/' in path}
  return {name: known[name.lower()] for name in sorted(names) if name.lower() in known}


def tell_layout(root: Path, images: Sequence[str]) -> str:
  """The config.data.layout that names of folders say, or the shape of the first image; '' where neither does."""
  if {('train', side) for side in SIDES} <= set(unpaired_folders(images).values()):
    return 'unpaired'
  if set(pair_folders(images).values()) == set(SIDES):
    return 'paired'
  height, width = read_header(root / images[0]).shape
  return 'side_by_side' if width == 2 * height else ''


def find_kind(root: Path, kind: Kind = IMAGES) -> tuple[list[str], list[str]]:
  """(paths of the files of a kind below `root`, lines about what was left out). UserError where there are none."""
  files, notes = find_files(root, kind)
  return choose_files(root, files, kind), [*notes, *left_out_by_suffix(files, kind)]


def about_beside(files: Sequence[str], kind: Kind = IMAGES) -> list[str]:
  """A line about files that are of no side, if there are any."""
  where = f'beside the folders of the sides, such as {printable(files[0])}' if files else ''
  return [f'left out: {count_of(len(files), kind.noun)} {where}'] if files else []


def list_halves(root: Path, class_order: str) -> tuple[Listing, dict[str, dict[str, str]]]:
  """(the files of a folder, which hold a pair each, {side: {path: path}}). UserError where folders say otherwise."""
  listing = list_images(root, class_order)
  layout = tell_layout(root, [path for paths in listing.splits.values() for path in paths])
  if layout in ('paired', 'unpaired'):
    folders = 'A/ and B/' if layout == 'paired' else 'trainA/ and trainB/'
    raise UserError(f"{root} has folders {folders}, and no pairs side by side: set config.data.layout='{layout}'")
  return listing, {side: {path: path for paths in listing.splits.values() for path in paths} for side in SIDES}


def list_pairs(root: Path, class_order: str) -> tuple[Listing, dict[str, dict[str, str]]]:
  """(the files of side A in folders of the two sides, {side: {path in the listing: path below `root`}}).

  A pair has the same path below A/ and below B/, but for the suffix; splits and classes lie in them. Raises UserError:
  no such folders, the first file without a partner.
  """
  images, notes = find_kind(root)
  folders, layout = pair_folders(images), tell_layout(root, images)
  if set(folders.values()) != set(SIDES):
    remedy = f"; config.data.layout='{layout}' is made for what lies there" if layout else ''
    raise UserError(f'{root} has no images in both of two folders A/ and B/: each pair has one path below them{remedy}')
  if len(folders) > len(SIDES):
    raise UserError(f'{root} has the folders {", ".join(folders)}: keep one of each side')
  files = {side: {} for side in SIDES}
  beside = [path for path in images if path.split('/')[0] not in folders]
  for path in images:
    first, _, below = path.partition('/')
    if first in folders:
      of_side, stem = files[folders[first]], below.removesuffix(Path(below).suffix)
      if stem in of_side:
        raise UserError(f'{root / path} and {root / of_side[stem]} are of one name: keep one of them')
      of_side[stem] = path
  for side, other in zip(SIDES, reversed(SIDES), strict=True):
    for stem, path in files[side].items():
      if stem not in files[other]:
        numbers = f'{count_of(len(files[side]), "image")} of {side}, {len(files[other]):,} of {other}'
        raise UserError(f'{root / path} has no partner of side {other} ({numbers}): add it, or remove the file')
  notes += about_beside(beside)
  below = {stem: path.partition('/')[2] for stem, path in files['A'].items()}
  listing = arrange(root, sorted(below.values(), key=lambda path: path.split('/')), notes, class_order)
  return listing, {side: {below[stem]: path for stem, path in files[side].items()} for side in SIDES}


def list_sides(root: Path, kind: Kind = IMAGES) -> tuple[Mapping[str, Mapping[str, Sequence[str]]], str, list[str]]:
  """({side: {split: paths}}, the rule in words, lines) of a folder of trainA/, trainB/, testA/ and so on.

  Where validation or test files of a side have no folder, they are a tenth of its training files, as in
  `list_images`. Raises UserError: no such folders, an empty side, too few files of one for three splits.
  """
  files, notes = find_kind(root, kind)
  folders = unpaired_folders(files)
  for side in SIDES:
    if ('train', side) not in folders.values():
      layout = '' if folders or kind is not IMAGES else tell_layout(root, files)
      remedy = f"; config.data.layout='{layout}' is made for what lies there" if layout else ''
      needs = 'it needs folders trainA/ and trainB/'
      raise UserError(f'{root} has no training {kind.noun}s of side {side}: {needs}{remedy}')
  splits, rules = {}, []
  notes += several_images(files)
  for side in SIDES:
    of_side = {name: split for name, (split, its_side) in folders.items() if its_side == side}
    inside = [path for path in files if path.split('/')[0] in of_side]
    splits[side], rule, _ = divide(f'side {side} of {root}', inside, of_side, kind)
    rules.append(f'{side}: {rule}')
  notes += about_beside([path for path in files if path.split('/')[0] not in folders], kind)
  return splits, '. '.join(rules), notes
