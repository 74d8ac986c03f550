"""Unpaired digits in two looks, of scikit-learn's, enlarged: white on black, and thicker in other colors."""

import numpy as np
from ml_collections import ConfigDict
from scipy import ndimage

from gen_jax.data.dataset import Dataset, Feature, from_sides
from gen_jax.data.sets.digit_pairs import SIZE, enlarged, size_of

TAKES = ('swap',)  # the keys of config.data
THICKER = (1, 3, 3)  # the pixels around one, of its image, whose largest gray value it takes
GROUND, STROKE = (16, 24, 88), (255, 216, 40)  # dark blue, yellow


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` names these digits."""
  return data.name == 'digit_twins'


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split, at the size of the section."""
  return load(split, size_of(data))


def load(split: str, size: int = SIZE) -> Dataset:
  """'image_a' digits as they are, 'image_b' `twins` of others, RGB uint8 [N,size,size,3], each in its own order.

  Of each class, in stored order, every second digit is of side B. `true_maps['b']` is `twins`; it cannot be undone.
  """
  images, data = enlarged(split, size)
  labels = data.arrays['label']
  rank = np.array([(labels[:i] == label).sum() for i, label in enumerate(labels)])  # within the class
  gray = np.repeat(images[..., None], 3, axis=-1)
  arrays = {'image_a': gray[rank % 2 == 0], 'image_b': twins(gray[rank % 2 == 1])}
  opened = from_sides(arrays, dict.fromkeys(arrays, Feature((size, size, 3))))
  rule = f'{data.about.split_rule}; of each class in turn one is of side A and one of side B'
  return opened._replace(true_maps={'b': twins}, about=data.about._replace(what='', split_rule=rule))


def twins(images: np.ndarray) -> np.ndarray:
  """Images of side A uint8 [N,H,W,3] -> their twins on side B: thicker, and from GROUND to STROKE by the gray value."""
  gray = ndimage.grey_dilation(images[..., 0], THICKER)[..., None] / 255
  ground, stroke = np.array(GROUND), np.array(STROKE)
  return np.round(ground + (stroke - ground) * gray).astype(np.uint8)
