"""A folder of image files as a data set."""

import functools
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gen_jax.data.dataset import About, Dataset, Feature, count_classes, from_fetch
from gen_jax.data.image_files import Header, decode, read_header
from gen_jax.data.listing import count_of, list_images, printable
from gen_jax.errors import UserError
from gen_jax.progress import with_progress

TAKES = ('background', 'class_order')  # the keys of config.data that are for folders alone
HASHED_BYTES, HASHED_FILES = 2**26, 64  # of files: all are hashed up to so many bytes, else so many files


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` names a folder of single images."""
  return not data.layout and is_folder(data.name)


def is_folder(name: str) -> bool:
  """Whether this is a folder, or a path where one could be, unless TFDS has prepared it."""
  path = Path(name).expanduser()
  named = path.is_dir() or name.startswith(('/', './', '../', '~')) or name.endswith('/')
  named = named or (path.is_file() and path.suffix != '')  # which then is refused
  return named and not (path / 'dataset_info.json').exists()


def path_of(data: ConfigDict) -> str:
  """The folder that the section names."""
  return data.name


def in_files(data: ConfigDict) -> bool:
  """It may be moved, changed or lost."""
  del data
  return True


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split of the images in the folder that the section names."""
  return load(
    data.name, split, data.size, data.resident_mib * 2**20, background=data.background, class_order=data.class_order
  )


def load(
  path: str | os.PathLike,
  split: str,
  size: int,
  budget_bytes: int,
  *,
  background: str = 'white',
  class_order: str = 'natural',
) -> Dataset:
  """One split of the images below `path`, as `list_images` finds, divides and labels them.

  Images are gray if all are, otherwise RGB; where they are transparent, `background` (white, black) shows. Equal shapes
  stay as they are; others are cropped to their central square and resized to `size`, then not 0.
  Raises UserError: what `list_images` does, unequal shapes without `size`, a file that is no image.
  """
  listing = list_images(Path(path).expanduser(), class_order)
  every = [listing.root / name for names in listing.splits.values() for name in names]
  shape, mode, notes = common_format(every, size, background)
  files, paths = [listing.root / name for name in listing.splits[split]], listing.splits[split]
  labels = np.array([listing.class_of[name] for name in paths], np.int32) if listing.classes else None
  height, width = shape or (size, size)

  def fetch(indices: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of these images."""
    images = [decode(files[i], mode, 0 if shape else size, background=background) for i in indices]
    for i, image in zip(indices, images, strict=True):
      check_shape(files[i], image, (height, width))
    rows = {'image': np.stack(images)}
    return rows if labels is None else {**rows, 'label': labels[indices]}

  feature = Feature((height, width, len(mode)))
  what = f'the folder {printable(str(listing.root))}'
  data = from_fetch(fetch, len(files), {'image': feature}, budget_bytes, num_classes=len(listing.classes), what=what)
  return data._replace(
    class_names=listing.classes,
    class_counts=None if labels is None else count_classes(labels, len(listing.classes)),
    about=About(
      what=what,
      split_rule=listing.split_rule,
      notes=(*listing.notes, *about_sides(listing.classes), *notes),
      names=hashlib.sha256(b'\0'.join(map(os.fsencode, paths))).hexdigest(),
      content=functools.partial(hash_files, files),
    ),
  )


class Stamp(NamedTuple):
  """A file as it is now: other contents have other stamps."""

  path: Path
  size: int
  modified: int  # nanoseconds


def common_format(files: Sequence[Path], size: int, background: str) -> tuple[tuple[int, int] | None, str, list[str]]:
  """((H, W) of all images or None where they differ, 'L' or 'RGB', lines about them). Reads headers only."""
  headers = headers_of(stamps_of(files))
  mode = 'L' if all(header.gray for header in headers) else 'RGB'
  notes, shape = about_transparency(headers, background), headers[0].shape
  for file, header in zip(files, headers, strict=True):
    if header.shape != shape:
      if not size:
        (h, w), (other_h, other_w) = shape, header.shape
        sizes = f'{files[0]} is {h}x{w} but {file} is {other_h}x{other_w}'
        raise UserError(f'{sizes}: set data.size, to which all are cropped and resized')
      return None, mode, [*notes, f'images differ in shape: the central square of each is resized to {size}x{size}']
  return shape, mode, notes


def about_sides(classes: Sequence[str]) -> list[str]:
  """A line where classes have the names of the two sides of unpaired images."""
  names = [name for name in classes if name.lower() in ('traina', 'trainb')]
  remedy = "config.data.layout='unpaired' makes them two sides"
  return [f'folders {names[0]}/ and {names[1]}/ are read as classes: {remedy}'] if len(names) == 2 else []


def about_transparency(headers: Sequence[Header], background: str) -> list[str]:
  """A line where images are transparent."""
  number = sum(header.transparent for header in headers)
  return [f'transparent pixels show {background}, in {count_of(number, "image")}'] if number else []


def check_shape(file: Path, image: np.ndarray, shape: tuple[int, int]) -> None:
  """UserError where an image [H,W,C] is no longer of the shape (H, W) that its header said."""
  if image.shape[:2] != shape:
    found, (height, width) = f'{image.shape[0]}x{image.shape[1]}', shape
    raise UserError(f'{file} is {found}, and {height}x{width} by its header or a moment ago: save it anew')


def stamps_of(files: Sequence[Path], kind: str = 'an image') -> tuple[Stamp, ...]:
  """The files as they are now. UserError where one is not there."""
  try:
    return tuple(Stamp(file, status.st_size, status.st_mtime_ns) for file in files if (status := file.stat()))
  except OSError as error:
    raise UserError(f'{error.filename} cannot be read as {kind}: {error.strerror}') from None


@functools.lru_cache(4)
def headers_of(stamps: tuple[Stamp, ...]) -> list[Header]:
  """The headers of image files, read once for all splits. UserError where one is no image."""
  with ThreadPoolExecutor(os.cpu_count()) as pool:
    headers = pool.map(read_header, [stamp.path for stamp in stamps])
    return list(with_progress(headers, len(stamps), 'headers of images read'))


def hash_files(files: Sequence[Path]) -> str:
  """The SHA-256 of the files' sizes and bytes, these of all files where they are small, else of some."""
  try:
    sizes = [file.stat().st_size for file in files]
    if sum(sizes) > HASHED_BYTES and len(files) > HASHED_FILES:
      files = [files[i * len(files) // HASHED_FILES] for i in range(HASHED_FILES)]
    digest = hashlib.sha256(str(sizes).encode())
    for file in files:
      digest.update(file.read_bytes())
  except OSError as error:
    raise UserError(f'{error.filename} cannot be read: {error.strerror}') from None
  return digest.hexdigest()
