"""Detection: the images of one set, the positives, among crops of others; with groups, of stated shares in training.

A set whose groups are known, such as faces, trains a detector on few of some of them, and tests it on equally many.
All images, of whatever set, take one way: a square of them, resized with antialiasing, of less contrast, and covered in
part. What is drawn at random is drawn once and for all.
"""

from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from gen_jax.data.dataset import About, Dataset, from_arrays
from gen_jax.data.sets import folder, tfds
from gen_jax.errors import UserError

TAKES = (  # the keys of config.data
  'dir', 'train_split', 'validation_split', 'test_split', 'background', 'positives', 'negatives', 'attributes',
  'shares', 'examples', 'near_positives', 'contrast_loss', 'cover',
)  # fmt: skip
NO_GROUP = -1  # of a negative
GRAY = 127.5
NEAR = 0.55  # the side of a part of a positive, as a share of the image's


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` names it."""
  return data.name == 'detection'


def in_files(data: ConfigDict) -> bool:
  """It may be moved, changed or lost."""
  del data
  return True


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split: in training `examples`, positives and negatives; elsewhere balanced groups and as many negatives."""
  size = data.size
  if not size:
    raise UserError('config.data.size=0: say to which size the images of all sets are brought')
  if not (data.positives and data.negatives):
    raise UserError('config.data.positives and .negatives: name a set, and one or more sets without what it shows')
  rng = np.random.default_rng({'train': 0, 'validation': 1, 'test': 2}[split])
  faces = open_part(data, data.positives, split, data.attributes)
  chosen = choose_positives(data, faces, split, rng)
  number = data.examples[1] if split == 'train' else len(chosen)
  near = round(data.near_positives * number)
  parts = [open_part(data, name, split) for name in data.negatives]
  share = np.diff(np.linspace(0, number - near, len(parts) + 1).astype(int))
  images = [
    *(square(faces.arrays['image'][i], size) for i in chosen),
    *(crop_corner(faces.arrays['image'][i], size, rng) for i in np.resize(rng.permutation(faces.size), near)),
    *(crop for part, n in zip(parts, share, strict=True) for crop in crop_anywhere(part.arrays['image'], n, size, rng)),
  ]
  images = degrade(np.stack(images), data.contrast_loss, data.cover, rng)
  label = np.repeat(np.array([1, 0], np.int32), (len(chosen), number))
  groups = {
    key: np.concatenate([faces.arrays[key][chosen], np.full(number, NO_GROUP, np.int32)]) for key in data.attributes
  }
  order = rng.permutation(len(label))  # what is evaluated may be the first ones
  opened = from_arrays(
    {'image': images[order], 'label': label[order], **{key: values[order] for key, values in groups.items()}},
    features={'image': faces.features['image']._replace(shape=(size, size, 3))},
    num_classes=2,
  )
  what = f'{data.positives} among {", ".join(data.negatives)}'
  rule = f'{faces.about.split_rule} of {data.positives}; groups balanced in validation and test'
  return opened._replace(
    class_names=('other', 'positive'), attributes=faces.attributes, about=About(what=what, split_rule=rule)
  )


def open_part(data: ConfigDict, name: str, split: str, attributes: Sequence[str] = ()) -> Dataset:
  """A split of one of the sets, in memory, of RGB images. Where they differ in shape: of twice the size asked for."""
  section = ConfigDict({**data, 'name': name, 'size': 2 * data.size, 'resident_mib': 2**20})
  if not folder.owns(section):
    part = tfds.load(name, data[f'{split}_split'], data.dir or None, 2**40, size=section.size, attributes=attributes)
  elif attributes:
    raise UserError(f'config.data.attributes={tuple(attributes)}: the images of the folder {name} have none')
  else:
    part = folder.open_split(section, split)
  image = part.arrays['image'][..., :3]
  return part._replace(arrays={**part.arrays, 'image': np.broadcast_to(image, (*image.shape[:-1], 3))})


def choose_positives(data: ConfigDict, faces: Dataset, split: str, rng: np.random.Generator) -> np.ndarray:
  """Which examples of the set are positives: in training of `shares` of the groups, else equally many of each group."""
  wanted = data.examples[0]
  if not data.attributes:
    if split == 'train' and faces.size < wanted:
      raise UserError(f'config.data.examples: {data.positives} has {faces.size} images to train with, not {wanted}')
    return rng.permutation(faces.size)[: wanted if split == 'train' else None]
  group, names = faces.arrays[data.attributes[0]], faces.attributes[data.attributes[0]]
  counts = np.bincount(group, minlength=len(names))
  if split != 'train' or not data.shares:
    most = counts.min() if split != 'train' else min(counts.min(), wanted // len(names))
    numbers = np.full(len(names), most)
  elif len(data.shares) != len(names) or min(data.shares) < 0 or not np.isclose(sum(data.shares), 1):
    raise UserError(f'config.data.shares={tuple(data.shares)}: one share of each of {", ".join(names)}, together 1')
  else:
    numbers = np.round(wanted * np.array(data.shares)).astype(int)
  for name, count, number in zip(names, counts, numbers, strict=True):
    if not count:
      raise UserError(f'config.data.attributes: {data.positives} has no images of {name} in its split {split}')
    if number > count:
      raise UserError(f'{data.positives} has {count} images of {name} to train with, not {number}: lower data.examples')
  return np.concatenate([rng.choice(np.flatnonzero(group == i), n, replace=False) for i, n in enumerate(numbers)])


def square(image: np.ndarray, size: int, left: int | None = None, top: int = 0, side: int = 0) -> np.ndarray:
  """A square of an image [H,W,3], by default the central one, resized to size x size with antialiasing."""
  if left is None:
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
  part = Image.fromarray(image).crop((left, top, left + side, top + side))
  return np.asarray(part.resize((size, size), Image.Resampling.BICUBIC))


def crop_corner(image: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
  """A part of a positive that shows no whole one: a square in a corner, `NEAR` as wide."""
  side = round(NEAR * min(image.shape[:2]))
  top, left = (int(rng.integers(2)) * (length - side) for length in image.shape[:2])
  return square(image, size, left, top, side)


def crop_anywhere(images: np.ndarray, number: int, size: int, rng: np.random.Generator) -> list[np.ndarray]:
  """So many squares of images [N,H,W,3], which are as wide as `size` or wider, each image as often as the others."""
  shortest = min(images.shape[1:3])
  made = []
  for i in np.resize(rng.permutation(len(images)), number):
    side = int(rng.integers(min(size, shortest), shortest + 1))
    top, left = (int(rng.integers(length - side + 1)) for length in images.shape[1:3])
    made.append(square(images[i], size, left, top, side))
  return made


def degrade(images: np.ndarray, contrast_loss: float, cover: float, rng: np.random.Generator) -> np.ndarray:
  """uint8 [N,H,W,3]: each has lost some contrast, up to this share, and bears a gray square of `cover` of its side."""
  number, size = images.shape[:2]
  factor = 1 - rng.uniform(0, contrast_loss, (number, 1, 1, 1))
  images = GRAY + factor * (images - GRAY)
  side = round(cover * size)
  for image, (top, left) in zip(images, rng.integers(0, size - side + 1, (number, 2)), strict=True):
    image[top : top + side, left : left + side] = GRAY
  return np.round(images).astype(np.uint8)
