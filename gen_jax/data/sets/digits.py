"""scikit-learn's handwritten digits: 1,797 real gray images of 8x8, part of the package."""

import numpy as np
from ml_collections import ConfigDict

from gen_jax.data.dataset import About, Dataset, from_arrays

PER_CLASS = 20  # examples of each class in validation, and again in test


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` names these digits."""
  return data.name == 'digits'


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split of the digits."""
  del data
  return load(split)


def load(split: str) -> Dataset:
  """'train' (1,397 examples), 'validation' (200) or 'test' (200), with 17 of 256 gray values in use.

  Of each class, in stored order, 20 evenly spaced examples are validation and the fourth after each is test.
  Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), its test part.
  """
  from sklearn.datasets import load_digits  # slow to import

  images, labels = load_digits(return_X_y=True)
  part = np.full(len(labels), 'train', 'U10')
  for digit in range(10):
    rows = np.flatnonzero(labels == digit)
    spaced = np.arange(PER_CLASS) * len(rows) // PER_CLASS
    part[rows[spaced]] = 'validation'
    part[rows[spaced + 4]] = 'test'
  chosen = part == split
  images = np.rint(images[chosen] * (255 / 16)).astype(np.uint8)  # 0..16 -> 0..255
  arrays = {'image': images.reshape(-1, 8, 8, 1), 'label': labels[chosen].astype(np.int32)}
  about = About('the built-in set digits', f'{PER_CLASS} of each class validate, and {PER_CLASS} test')
  return from_arrays(arrays, num_classes=10)._replace(about=about)
