"""Outliers beside the examples of a data set, for models that are trained to tell the two apart."""

from collections.abc import Callable

import numpy as np

from gen_jax.data.dataset import Dataset
from gen_jax.data.image_files import conform
from gen_jax.errors import UserError


def beside(data: Dataset, name: str, open_others: Callable[[], Dataset]) -> Dataset:
  """A split with an image of another set in each row, 'outlier', in the shape and the levels of its own images.

  A row always has the same one, drawn at random; a smaller set is repeated. UserError where one is not in memory.
  """
  key = f'config.data.outliers={name}'
  if 'image' not in data.features:
    raise UserError(f'{key}: needs a set of single images, and this has {" and ".join(data.features)}')
  if data.kind != 'image' or 'image' not in (data.arrays or {}):
    raise UserError(f'{key}: needs images that are kept in memory, not drawn; raise data.resident_mib')
  try:
    others = open_others()
  except UserError as error:
    raise UserError(f'{key}: {error}') from None
  if others.kind != 'image' or 'image' not in (others.arrays or {}):
    raise UserError(f'{key}: needs images that are kept, not {"drawn" if others.kind == "image" else others.kind}')
  feature = data.features['image']
  gray = others.arrays['image'] * np.uint8(255 if others.levels == 2 else 1)
  images = conform(gray, feature.shape)
  images = (images > 127).astype(np.uint8) if feature.levels == 2 else images
  images = images[np.resize(np.random.default_rng(0).permutation(others.size), data.size)]
  return data._replace(
    features={**data.features, 'outlier': feature},
    arrays={**data.arrays, 'outlier': images},
    fetch=lambda indices: {**data.fetch(indices), 'outlier': images[indices]},
  )
