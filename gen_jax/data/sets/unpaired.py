"""Images of two sides without pairs, in a folder or a set of TFDS: 'image_a' and 'image_b', each in its own order."""

import functools
import hashlib
import math
import os
import re
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from gen_jax.data.dataset import About, Dataset, from_fetch, from_sides
from gen_jax.data.image_files import read_image
from gen_jax.data.listing import printable
from gen_jax.data.palettes import Palette
from gen_jax.data.sets import folder, tfds
from gen_jax.data.sides import SIDES, Side, list_sides, side_of
from gen_jax.errors import UserError

OF_FOLDERS = ('layout', 'swap', 'palette_a', 'palette_b', 'background')
OF_TFDS = ('layout', 'swap', 'dir', 'train_split', 'validation_split', 'test_split')
ALL_TAKES = (*OF_FOLDERS, *OF_TFDS)  # keys of config.data, see `takes`


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` asks for unpaired sides."""
  return data.layout == 'unpaired'


def takes(data: ConfigDict) -> tuple[str, ...]:
  """The keys of config.data that are for folders, or for sets of TFDS."""
  return OF_FOLDERS if folder.is_folder(data.name) else OF_TFDS


def path_of(data: ConfigDict) -> str:
  """The folder that the section names; '' where its name is no path."""
  return data.name if folder.is_folder(data.name) else tfds.path_of(data)


def in_files(data: ConfigDict) -> bool:
  """They may be moved, changed or lost."""
  del data
  return True


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split of the sides that the section names."""
  budget = data.resident_mib * 2**20
  if folder.is_folder(data.name):
    palettes = (data.palette_a, data.palette_b)
    return load(data.name, split, data.size, budget, palettes=palettes, background=data.background)
  expressions = tfds.split_expressions(data)
  opened = load_prepared(data.name, expressions[split], data.dir or None, budget, size=data.size)
  rule = ', '.join(of_side(expression, side) for expression in expressions.values() for side in SIDES)
  return opened._replace(about=opened.about._replace(split_rule=rule))


def load(
  path: str | os.PathLike,
  split: str,
  size: int,
  budget_bytes: int,
  *,
  palettes: tuple[Palette, Palette] = ((), ()),
  background: str = 'white',
) -> Dataset:
  """One split of the images in trainA/, trainB/, testA/ and so on below `path`, see `sides.list_sides`.

  Each side is gray if all its images are, otherwise RGB, or one channel a class where it has a palette. With `size`
  the central square of each image is resized to it; without, all images of a side must have one shape.
  Raises UserError: what `list_sides` does, a file that is no image, unequal shapes, more than `budget_bytes`.
  """
  root = Path(path).expanduser()
  splits, rule, notes = list_sides(root)
  what = f'the unpaired sides in the folder {printable(str(root))}'
  files = [[root / name for name in splits[side][split]] for side in SIDES]
  sides = []
  for name, palette in zip(SIDES, palettes, strict=True):
    every = [root / path for paths in splits[name].values() for path in paths]
    shape, mode, lines = folder.common_format(every, size, background)
    sides.append(side_of(mode, shape, size, palette))
    notes += [f'side {name}: {line}' for line in lines]
  features = {'image_a': sides[0].feature, 'image_b': sides[1].feature}
  numbers = zip(map(len, files), features.values(), strict=True)
  check_budget(what, sum(number * math.prod(feature.shape) for number, feature in numbers), budget_bytes)
  arrays = {}
  for name, paths, side in zip(features, files, sides, strict=True):
    fetch = functools.partial(read_side, name, paths, side, background)
    arrays |= from_fetch(fetch, len(paths), {name: side.feature}, budget_bytes, what=what).arrays
  names = [name for side in SIDES for name in splits[side][split]]
  about = About(
    what=what,
    split_rule=rule,
    notes=tuple(notes),
    names=hashlib.sha256(b'\0'.join(map(os.fsencode, names))).hexdigest(),
    content=functools.partial(folder.hash_files, files[0] + files[1]),
  )
  return from_sides(arrays, features)._replace(about=about)


def read_side(name: str, files: list[Path], side: Side, background: str, indices: np.ndarray) -> dict[str, np.ndarray]:
  """{name: uint8 [n,H,W,C]} of some of the files of a side."""
  images = [side.pixels(read_image(files[i], 'RGB', '', background)) for i in indices]
  for i, image in zip(indices, images, strict=True):
    folder.check_shape(files[i], image, side.shape)
  return {name: np.stack(images)}


def check_budget(what: str, size: int, budget_bytes: int) -> None:
  """UserError where the sides take more bytes than may be kept in memory, as they cannot be streamed."""
  needed = -(-size // 2**20)
  if size > budget_bytes:
    raise UserError(f'{what} take {needed} MiB, and unpaired sides are kept in memory: raise config.data.resident_mib')


def load_prepared(
  name: str, split: str, data_dir: str | os.PathLike | None, budget_bytes: int, *, size: int = 0
) -> Dataset:
  """One split of a prepared set of TFDS that has its sides as splits, such as 'cycle_gan/horse2zebra'.

  `split` is an expression to whose splits the side is added: 'train[:90%]' is trainA[:90%] and trainB[:90%]. Other
  arguments are those of `tfds.load`; labels, which would say the side, are left out.
  """
  what = f'the unpaired sides of {name}'
  opened = [tfds.load(name, of_side(split, side), data_dir, budget_bytes, size=size) for side in SIDES]
  check_budget(what, sum(side.size * math.prod(side.image_shape) for side in opened), budget_bytes)
  a, b = opened
  arrays = {'image_a': a.arrays['image'], 'image_b': b.arrays['image']}
  features = {'image_a': a.features['image'], 'image_b': b.features['image']}
  content = lambda: hashlib.sha256(''.join(side.hash_content() for side in opened).encode()).hexdigest()
  about = a.about._replace(what=f'the unpaired sides of {a.about.what}', content=content)
  return from_sides(arrays, features)._replace(about=about)


def of_side(split: str, side: str) -> str:
  """The expression of a side: 'train[:90%]+test' -> 'trainA[:90%]+testA'."""
  return '+'.join(re.sub(r'^\s*\w+', rf'\g<0>{side}', part) for part in split.split('+'))
