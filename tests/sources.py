"""Sources and batches that are known, for the tests of evaluators."""

import numpy as np
from ml_collections import FrozenConfigDict

from gen_jax.data.dataset import from_arrays
from gen_jax.data.preprocess import resize
from gen_jax.data.sets import digits

SETTINGS = {'sample_count': 400, 'importance_samples': 5_000, 'extractors': '', 'inception_weights': ''}


def padded_batches(size=100, padding=10, fill=1.0, **arrays):
  """A function `(examples=0)` that begins anew: batches of the arrays' rows, each with rows that only pad.

  What pads is `fill`, which should spoil every number that counts it.
  """

  def batches(examples=0):
    del examples
    number = len(next(iter(arrays.values())))
    for start in range(0, number, size):
      part = {name: np.asarray(x)[start : start + size] for name, x in arrays.items()}
      rows = min(size, number - start)
      batch = {name: np.concatenate([x, np.full((padding, *x.shape[1:]), fill, x.dtype)]) for name, x in part.items()}
      yield batch | {
        'row': np.arange(start, start + rows + padding, dtype=np.int32),
        'mask': (np.arange(rows + padding) < rows).astype(np.float32),
      }

  return batches


def refuse(*_):
  """Batches that are not to be asked for."""
  raise AssertionError('these batches are not for such an evaluator')


class KnownSource:
  """A `Source` whose batches are given; whatever is not given must not be asked for."""

  def __init__(
    self, split=refuse, train=refuse, *, everything=refuse, unbinarized=None, name='mnist', data=None,
    value_range=(0.0, 1.0), first_row=0, class_counts=refuse, **settings,
  ):  # fmt: skip
    self.batches, self.train, self.everything = split, train, everything
    self.name, self.value_range = name, value_range
    self.first_row, self.class_counts = first_row, class_counts
    self.data = data or from_arrays({'image': np.zeros((1, 1, 1, 1), np.uint8)})
    self.settings = FrozenConfigDict(SETTINGS | settings)
    self._unbinarized = unbinarized

  own_key = ''  # it is none of a user's folder

  def unbinarized(self):
    """The source given as such."""
    return self._unbinarized or refuse()


def digits_like_mnist(split):
  """scikit-learn's digits laid out as MNIST's, 20x20 in the middle of 28x28, float32 in [0, 1]; and their labels."""
  arrays = digits.load(split).arrays
  images = np.asarray(resize(arrays['image'].astype(np.float32), 20, 256)) / 255
  return np.pad(images, [(0, 0), (4, 4), (4, 4), (0, 0)]), arrays['label']


class Repeats:
  """A model whose sample of row i is the i-th of the images, beginning again after the last."""

  def __init__(self, images, value_range=(0.0, 1.0), classes=0):
    self.classes, self.batches = classes, []
    self._images, self._range = images, value_range

  def sample(self, batch):
    """Images in the range of the model; the batch is kept."""
    low, high = self._range
    self.batches.append(batch)
    return low + (high - low) * self._images[batch['row'] % len(self._images)]


def in_range(images, value_range):
  """Images in [0, 1] as a model of another range sees them."""
  low, high = value_range
  return low + (high - low) * images


def gray_source(train, test, *, value_range=(0.0, 1.0), **given):
  """That of training and test images in [0, 1], of which only the unbinarized ones may be asked for."""
  test, train = (padded_batches(image=in_range(images, value_range)) for images in (test, train))
  gray = KnownSource(test, train, value_range=value_range, **given)
  return KnownSource(unbinarized=gray, value_range=value_range, **given)
