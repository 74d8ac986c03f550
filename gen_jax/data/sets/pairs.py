"""A folder of pairs of images, side by side in one file or in two folders: 'image_a' and 'image_b' of each example."""

import functools
import hashlib
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from gen_jax.data.dataset import About, Dataset, count_classes, from_fetch
from gen_jax.data.image_files import read_image
from gen_jax.data.listing import printable
from gen_jax.data.palettes import Palette
from gen_jax.data.sets import folder
from gen_jax.data.sides import SIDES, Side, list_halves, list_pairs, side_of
from gen_jax.errors import UserError

TAKES = ('layout', 'swap', 'palette_a', 'palette_b', 'background', 'class_order')  # the keys of config.data


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` asks for pairs."""
  return data.layout in ('side_by_side', 'paired')


def path_of(data: ConfigDict) -> str:
  """The folder that the section names."""
  return data.name


def in_files(data: ConfigDict) -> bool:
  """It may be moved, changed or lost."""
  del data
  return True


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split of the pairs in the folder that the section names."""
  return load(
    data.name,
    split,
    data.size,
    data.resident_mib * 2**20,
    layout=data.layout,
    palettes=(data.palette_a, data.palette_b),
    background=data.background,
    class_order=data.class_order,
  )


def load(
  path: str | os.PathLike,
  split: str,
  size: int,
  budget_bytes: int,
  *,
  layout: str,
  palettes: tuple[Palette, Palette] = ((), ()),
  background: str = 'white',
  class_order: str = 'natural',
) -> Dataset:
  """One split of the pairs below `path`, divided and labeled as `list_images` does it.

  'side_by_side': each file is as wide as two of its heights, and holds two squares, A on the left; any other shape is
  refused, as nothing would tell a pair of other shapes from a single image. 'paired': below A/ and B/ each pair has the
  same path but for the suffix, and both images the same shape, which may be any.

  Each side is gray if all its images are, otherwise RGB, or one channel a class where it has a palette. With `size`
  the central square of each image is resized to it; without, all images must have one shape.
  Raises UserError: what `list_images` does, a file that is no image or has no partner, unequal shapes.
  """
  root = Path(path).expanduser()
  one_file = layout == 'side_by_side'
  listing, below = (list_halves if one_file else list_pairs)(root, class_order)
  every = [[root / path for path in below[side].values()] for side in SIDES]
  sides, notes = (sides_of_halves if one_file else sides_of_folders)(every, size, palettes, background)
  names = listing.splits[split]
  files = [tuple(root / below[side][name] for side in SIDES) for name in names]
  labels = np.array([listing.class_of[name] for name in names], np.int32) if listing.classes else None

  def read(a: Path, b: Path) -> tuple[np.ndarray, np.ndarray]:
    """The two images of a pair, uint8 [H,W,C]."""
    read_sides = halves_of(a, background) if one_file else [read_image(file, 'RGB', '', background) for file in (a, b)]
    pair = tuple(side.pixels(image) for side, image in zip(sides, read_sides, strict=True))
    for file, image, side in zip((a, b), pair, sides, strict=True):
      folder.check_shape(file, image, side.shape)
    return pair

  def fetch(indices: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of these pairs."""
    a, b = zip(*(read(*files[i]) for i in indices), strict=True)
    rows = {'image_a': np.stack(a), 'image_b': np.stack(b)}
    return rows if labels is None else {**rows, 'label': labels[indices]}

  features = {'image_a': sides[0].feature, 'image_b': sides[1].feature}
  what = f'the pairs in the folder {printable(str(root))}'
  data = from_fetch(fetch, len(names), features, budget_bytes, num_classes=len(listing.classes), what=what)
  return data._replace(
    class_names=listing.classes,
    class_counts=None if labels is None else count_classes(labels, len(listing.classes)),
    about=About(
      what=what,
      split_rule=listing.split_rule,
      notes=(*listing.notes, *notes),
      names=hashlib.sha256(b'\0'.join(map(os.fsencode, names))).hexdigest(),
      content=functools.partial(folder.hash_files, list(dict.fromkeys(itertools.chain(*files)))),
    ),
  )


def sides_of_folders(
  files: Sequence[Sequence[Path]], size: int, palettes: Sequence[Palette], background: str
) -> tuple[list[Side], list[str]]:
  """(how each side is read, lines about them) of [the files of A, their partners]."""
  first, second = (folder.headers_of(folder.stamps_of(of_side)) for of_side in files)
  for a, b, header, other in zip(*files, first, second, strict=True):
    if header.shape != other.shape and not size:
      shapes = [f'{height}x{width}' for height, width in (header.shape, other.shape)]
      raise UserError(f'{a} is {shapes[0]} but its partner {b} is {shapes[1]}: set data.size, to which all are resized')
  sides, notes = [], []
  for name, of_side, palette in zip(SIDES, files, palettes, strict=True):
    shape, mode, lines = folder.common_format(of_side, size, background)
    sides.append(side_of(mode, shape, size, palette))
    notes += [f'side {name}: {line}' for line in lines]
  return sides, notes


def sides_of_halves(
  files: Sequence[Sequence[Path]], size: int, palettes: Sequence[Palette], background: str
) -> tuple[list[Side], list[str]]:
  """(how each side is read, lines about them) of files that hold a pair each, given once for each side."""
  stamps = folder.stamps_of(files[0])
  for stamp, header in zip(stamps, folder.headers_of(stamps), strict=True):
    require_pair(stamp.path, *header.shape)
  shape, mode, notes = folder.common_format(files[0], size, background)
  gray = (True, True) if mode == 'L' else gray_halves(stamps, background)
  square = shape and (shape[0], shape[0])
  return [side_of('L' if g else 'RGB', square, size, palette) for g, palette in zip(gray, palettes, strict=True)], notes


@functools.lru_cache(4)
def gray_halves(stamps: tuple[folder.Stamp, ...], background: str) -> tuple[bool, bool]:
  """Whether all left halves are gray, and all right ones: red, green and blue of every pixel are equal.

  Files are decoded until both sides have shown a color, of two sides in color the first alone.
  """
  gray = [True, True]
  for stamp in stamps:
    if not any(gray):
      break
    halves = halves_of(stamp.path, background)
    gray = [was and is_gray(half) for was, half in zip(gray, halves, strict=True)]
  return tuple(gray)


def is_gray(image: Image.Image) -> bool:
  """Whether the three channels of an RGB image are equal."""
  pixels = np.asarray(image)
  return bool((pixels[..., :1] == pixels).all())


def halves_of(file: Path, background: str) -> tuple[Image.Image, Image.Image]:
  """The left and the right square of a file, RGB."""
  image = read_image(file, 'RGB', '', background)
  require_pair(file, image.height, image.width)
  side = image.height
  return image.crop((0, 0, side, side)), image.crop((side, 0, 2 * side, side))


def require_pair(file: Path, height: int, width: int) -> None:
  """UserError where an image is not two squares side by side."""
  if width != 2 * height:
    remedy = "put pairs of other shapes into folders A/ and B/, and set config.data.layout='paired'"
    raise UserError(f'{file} is {height}x{width}, and no two squares side by side: {remedy}')
