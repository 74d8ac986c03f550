"""Images of any size, translated by the model of a run."""

import itertools
import math
from collections.abc import Iterable, Iterator

import numpy as np

from gen_jax.data.side_format import OTHER, SideFormat
from gen_jax.evaluation.bound import BoundModel

MOST_PIXELS = 2**18  # of the images of a batch, where they are several


def pad_to_multiple(image: np.ndarray, multiple: int) -> tuple[np.ndarray, tuple[slice, slice]]:
  """(an image [H,W,C] mirrored at its borders, up to multiples in height and width; where it lies in that)."""
  rooms = [-length % multiple for length in image.shape[:2]]
  margins = [(room // 2, room - room // 2) for room in rooms]
  place = tuple(slice(low, low + n) for (low, _), n in zip(margins, image.shape[:2], strict=True))
  return np.pad(image, [*margins, (0, 0)], mode='reflect'), place


def translate_images(
  model: BoundModel,
  images: Iterable[np.ndarray],
  number: int,
  to: str,
  given: SideFormat,
  wanted: SideFormat,
  first: int = 0,
) -> Iterator[np.ndarray]:
  """Each of `number` images uint8 [H,W,C] translated to the side `to`, of its own height and width, in their order.

  Padded by reflection to the multiple that the networks need, and cropped back. Images of one padded size that follow
  each other share a batch. The noise of an image is that of its place among the images, from `first` on.
  """
  translate, multiple = getattr(model, f'translate_to_{to}'), model.module.multiple
  padded = (pad_to_multiple(given.to_model(image), multiple) for image in images)
  for shape, of_shape in itertools.groupby(enumerate(padded, first), key=lambda item: item[1][0].shape):
    size = max(1, min(number, MOST_PIXELS // (shape[0] * shape[1])))
    while part := list(itertools.islice(of_shape, size)):
      rows = np.array([row for row, _ in part], np.int32)
      x = np.stack([image for _, (image, _) in part])
      whole = 2 ** math.ceil(math.log2(len(part)))  # one of few sizes, so that few programs are compiled
      filled = np.resize(np.arange(len(part)), whole)
      made = np.asarray(translate({f'image_{OTHER[to]}': x[filled], 'row': rows[filled]}))
      for y, (_, (_, place)) in zip(made, part, strict=False):
        yield wanted.from_model(y[place])
