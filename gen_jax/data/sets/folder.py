"""A folder of image files as a data set."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from ml_collections import ConfigDict
from PIL import ExifTags, Image, ImageOps

from gen_jax.data.dataset import Dataset, Feature, from_fetch
from gen_jax.errors import UserError

SUFFIXES = {'.png', '.jpg', '.jpeg', '.webp', '.bmp'}
SPLIT_FOLDERS = {'train': ('train',), 'validation': ('validation', 'val'), 'test': ('test',)}
GRAY = {'L', '1'}  # modes of PIL; all others become RGB


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` names a folder, unless TFDS has prepared it."""
  path = Path(data.name).expanduser()
  return path.is_dir() and not (path / 'dataset_info.json').exists()


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split of the images in the folder that the section names."""
  return load(data.name, split, data.size, data.resident_mib * 2**20)


def load(path: str | os.PathLike, split: str, size: int, budget_bytes: int) -> Dataset:
  """One split of the images below `path` (png, jpg, jpeg, webp, bmp; at any depth; hidden files left out).

  Splits are the subfolders train, validation (or val) and test; without any, the hash of each file's relative
  path sends 80 % to train, 10 % to validation, 10 % to test. Where every image lies in one of at least two
  subfolders (of its split), their sorted names are the classes. Images are gray if all are, otherwise RGB.
  Equal shapes stay as they are; others are cropped to their central square and resized to `size`, then not 0.
  Raises UserError: no such folder, no images, unequal shapes without `size`, a file that is no image.
  """
  root = Path(path).expanduser()
  files = find_images(root)
  classes = sorted({file.relative_to(base).parts[0] for base, file, _ in files if file.parent != base})
  labeled = len(classes) > 1 and all(file.parent != base for base, file, _ in files)
  shape, mode = common_shape([file for _, file, _ in files], size)
  chosen = [(base, file) for base, file, part in files if part == split]
  if not chosen:
    place = root / SPLIT_FOLDERS[split][0]
    raise UserError(f'{root} has no images for the {split} split: put some into {place}')

  names = [file.relative_to(base).parts[0] for base, file in chosen]
  labels = np.searchsorted(classes, names).astype(np.int32) if labeled else None

  def fetch(indices: np.ndarray) -> dict[str, np.ndarray]:
    images = np.stack([decode(chosen[i][1], mode, 0 if shape else size) for i in indices])
    return {'image': images, 'label': labels[indices]} if labeled else {'image': images}

  feature = Feature((*(shape or (size, size)), len(mode)))
  num_classes = len(classes) if labeled else 0
  return from_fetch(fetch, len(chosen), {'image': feature}, budget_bytes, num_classes=num_classes)


def find_images(root: Path) -> list[tuple[Path, Path, str]]:
  """All images of all splits as (folder of the split, file, split), sorted by path."""
  if not root.is_dir():
    raise UserError(f'there is no folder {root}')
  bases = {split: root / name for split, names in SPLIT_FOLDERS.items() for name in names if (root / name).is_dir()}
  if bases:
    files = [(base, file, split) for split, base in bases.items() for file in images_below(base)]
  else:
    files = [(root, file, hashed_split(file.relative_to(root))) for file in images_below(root)]
  if not files:
    raise UserError(f'no images ({", ".join(sorted(SUFFIXES))}) in {root}')
  return files


def images_below(folder: Path) -> list[Path]:
  """Sorted image files at any depth."""
  return sorted(
    file
    for file in folder.rglob('*')
    if file.suffix.lower() in SUFFIXES and not file.name.startswith('.') and file.is_file()
  )


def hashed_split(relative: Path) -> str:
  """A file's split by the first four bytes of its path's SHA-256, modulo 10: 8 is validation, 9 is test."""
  bucket = int.from_bytes(hashlib.sha256(relative.as_posix().encode()).digest()[:4]) % 10
  return {8: 'validation', 9: 'test'}.get(bucket, 'train')


def common_shape(files: list[Path], size: int) -> tuple[tuple[int, int] | None, str]:
  """(H, W) of all images, None where they differ, and 'L' or 'RGB'. Reads headers only."""
  with ThreadPoolExecutor(os.cpu_count()) as pool:
    headers = list(pool.map(header, files))
  mode = 'L' if all(mode in GRAY for _, mode in headers) else 'RGB'
  shape = headers[0][0]
  for file, (other, _) in zip(files, headers, strict=True):
    if other != shape:
      if not size:
        sizes = f'{files[0]} is {shape[0]}x{shape[1]} but {file} is {other[0]}x{other[1]}'
        raise UserError(f'{sizes}: set data.size, to which all are cropped and resized')
      return None, mode
  return shape, mode


@contextlib.contextmanager
def open_image(source: Path | BinaryIO, name: str | Path) -> Iterator[Image.Image]:
  """An image of 8 bits a channel; whatever goes wrong with it becomes a UserError that names it."""
  try:
    with Image.open(source) as image:
      if image.mode[0] in 'IF':  # PIL would clip these to white when it converts them
        raise ValueError(f'mode {image.mode} is not 8 bits a channel')
      yield image
  except Exception as error:  # damaged files raise OSError, SyntaxError, ValueError, struct.error and others
    raise UserError(f'{name} cannot be read as an image: {error}') from error


def orientation(image: Image.Image) -> int:
  """How a camera was held, 1 (upright) to 8; from 5 on, width and height are exchanged."""
  return image.getexif().get(ExifTags.Base.Orientation, 1) if image.format == 'JPEG' else 1


def header(file: Path) -> tuple[tuple[int, int], str]:
  """((H, W), mode) without decoding the pixels."""
  with open_image(file, file) as image:
    width, height = image.size
    return ((width, height) if orientation(image) >= 5 else (height, width)), image.mode


def decode(source: Path | BinaryIO, mode: str, size: int, name: str | Path = '') -> np.ndarray:
  """uint8 [H,W,C]; with `size` > 0 the central square, resized to size x size with antialiasing.

  `name` stands in the message where `source` is not a path.
  """
  with open_image(source, name or source) as image:
    if orientation(image) > 1:
      image = ImageOps.exif_transpose(image)
    if image.mode != mode:
      image = image.convert(mode)
    if size:
      side = min(image.size)
      left, top = (image.width - side) // 2, (image.height - side) // 2
      square = image.crop((left, top, left + side, top + side))
      image = square.resize((size, size), Image.Resampling.BICUBIC)
    # tobytes is faster than np.asarray, and counts for small images.
    return np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, len(mode))
