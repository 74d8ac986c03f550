"""Images to be judged as outliers: those of other data sets, and a data set's own, altered.

All are uint8 [N,H,W,C] in the shape of the model's data, in gray values, and then take the one way into the model.
"""

from collections.abc import Callable

import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.source import Source, collect

PATCHES = 4  # along each side, of an image whose patches are shuffled


def images_of(source: Source, examples: int = 0) -> np.ndarray:
  """The first `examples` images of a source in its fixed random order, or all."""
  return source.gray_values(collect(source.unbinarized().batches(examples), images='image')['images'])


def flip_horizontally(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Left and right exchanged."""
  del rng
  return images[:, :, ::-1]


def flip_vertically(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Top and bottom exchanged."""
  del rng
  return images[:, ::-1]


def rotate(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """A quarter turned, to the left."""
  del rng
  if images.shape[1] != images.shape[2]:
    raise UserError(f'--against=rotated: needs square images, not {images.shape[1]}x{images.shape[2]}')
  return np.rot90(images, axes=(1, 2))


def shuffle_patches(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """The 4x4 patches of each image in a random order, what is left over at the lower and right borders where it was."""
  number, height, width, channels = images.shape
  h, w = height // PATCHES, width // PATCHES
  inner = images[:, : PATCHES * h, : PATCHES * w].reshape(number, PATCHES, h, PATCHES, w, channels)
  patches = inner.swapaxes(2, 3).reshape(number, PATCHES**2, h, w, channels)
  order = rng.permuted(np.tile(np.arange(PATCHES**2), (number, 1)), axis=1)
  shuffled = np.take_along_axis(patches, order[:, :, None, None, None], axis=1)
  shuffled = shuffled.reshape(number, PATCHES, PATCHES, h, w, channels).swapaxes(2, 3)
  result = images.copy()
  result[:, : PATCHES * h, : PATCHES * w] = shuffled.reshape(number, PATCHES * h, PATCHES * w, channels)
  return result


def draw_noise(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Every value uniform in 0 to 255."""
  return rng.integers(0, 256, images.shape).astype(np.uint8)


def draw_constants(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Every channel of an image of one value, uniform in 0 to 255."""
  values = rng.integers(0, 256, (len(images), 1, 1, images.shape[-1])).astype(np.uint8)
  return np.broadcast_to(values, images.shape)


ALTERED: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
  'flipped_horizontally': flip_horizontally,
  'flipped_vertically': flip_vertically,
  'rotated': rotate,
  'shuffled_patches': shuffle_patches,
  'noise': draw_noise,
  'constants': draw_constants,
}
