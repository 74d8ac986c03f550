"""Maps of labels as images: a color for each class."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

Palette = Sequence[tuple[int, int, int]]  # (red, green, blue) of each class


def one_hot(images: np.ndarray, palette: Palette) -> np.ndarray:
  """RGB uint8 [...,3] -> uint8 [...,K]: 1 for the class whose color is nearest, of equals the first; else 0."""
  distances = [((images.astype(np.int32) - np.array(color)) ** 2).sum(-1) for color in palette]
  nearest = np.argmin(distances, axis=0)
  return (nearest[..., None] == np.arange(len(palette))).astype(np.uint8)


def resize_labels(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
  """A map of labels uint8 [H,W,K], one-hot, at another height and width: the class of the largest area in each pixel.

  Resized colors would pass through those of other classes.
  """
  if labels.shape[:2] == shape:
    return labels
  masks = [Image.fromarray(mask.astype(np.float32)) for mask in np.moveaxis(labels, -1, 0)]
  areas = [np.asarray(mask.resize(shape[::-1], Image.Resampling.BOX)) for mask in masks]
  return (np.argmax(areas, axis=0)[..., None] == np.arange(len(areas))).astype(np.uint8)


def colored(classes: np.ndarray, palette: Palette) -> np.ndarray:
  """Classes int [...], or bool of two, -> their colors, RGB uint8 [...,3]."""
  return np.array(palette, np.uint8)[classes.astype(np.int32)]
