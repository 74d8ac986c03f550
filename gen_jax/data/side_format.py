"""How images of a side, A or B, are shown, and how a model sees them."""

import numpy as np
from ml_collections import ConfigDict

from gen_jax.data.dataset import Feature
from gen_jax.data.palettes import Palette, colored, one_hot

OTHER = {'b': 'a', 'a': 'b'}  # {side: the one from which images are translated to it}


class SideFormat:
  """How images of a side are shown, uint8 [H,W,C] of 0 to 255, and how the model sees them.

  A map of labels is shown in the colors of its palette, and seen with one channel for each class.
  """

  def __init__(self, data: ConfigDict, side: str, feature: Feature):
    self.feature, self.palette = feature, palette_of(data, side)
    self.low, self.high = data.value_range

  @property
  def channels(self) -> int:
    """Of images as they are shown."""
    return 3 if self.palette else self.feature.shape[-1]

  def to_model(self, image: np.ndarray) -> np.ndarray:
    """float32 [H,W,C] of an image as it is shown."""
    x = one_hot(image, self.palette) if self.palette else image.astype(np.float32) / 255
    return (self.low + (self.high - self.low) * x).astype(np.float32)

  def from_model(self, x: np.ndarray) -> np.ndarray:
    """Images as they are shown, of what a model makes [...,H,W,C]."""
    if self.palette:
      return colored(np.argmax(x, -1), self.palette)
    return np.clip(np.round((x - self.low) * (255 / (self.high - self.low))), 0, 255).astype(np.uint8)


def palette_of(data: ConfigDict, side: str) -> Palette:
  """The palette of a side, () where it is no map of labels; of exchanged sides, that of the other one in the files."""
  stored = OTHER[side] if data.swap else side
  return data[f'palette_{stored}']
