"""Regions of binary masks bool [N,H,W]: their outlines, and what they enclose. Neighbors share a side."""

import numpy as np
from scipy import ndimage

CROSS = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], bool)  # of one image, and none beside it


def outlines(masks: np.ndarray) -> np.ndarray:
  """The pixels of each mask that have a neighbor outside of it; all around the image is outside."""
  return masks & ~ndimage.binary_erosion(masks, CROSS)


def filled(masks: np.ndarray) -> np.ndarray:
  """Each mask with all pixels from which no path of neighbors leads out of the image but through it.

  filled(outlines(masks)) are the masks, where these enclose nothing: each path out of one crosses its outline.
  """
  return ndimage.binary_fill_holes(masks, CROSS)
