"""The two sides of a data set as arrays, and what a model makes of them."""

from typing import NamedTuple

import flax.linen as nn
import numpy as np

from gen_jax.data.side_format import OTHER
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.source import Source, collect

FEATURES = 'image_a', 'image_b'


class Sides(NamedTuple):
  """Images of each side, uint8 [N,H,W,C] of 0 to 255; pairs have one row."""

  a: np.ndarray
  b: np.ndarray


def sides_of(source: Source, split: str = '') -> Sides:
  """All images of the split of the source, or of another one, as the model sees them; of a map of labels, one-hot."""
  of_split = source.of_split(split) if split else source
  columns = {side: lambda batch, name=f'image_{side}': of_split.gray_values(batch[name]) for side in OTHER}
  found = collect(of_split.batches(), index='index', **columns)
  return Sides(*(found[side][is_own(of_split, side, found['index'])] for side in ('a', 'b')))


def is_own(source: Source, side: str, index: np.ndarray) -> np.ndarray:
  """Which rows show an image of a side for the first time, and do not only fill up the rows of a larger side: bool."""
  return index < source.data.own_order.get(f'image_{side}', source.data.size)


def translations(model: BoundModel, source: Source, to: str) -> np.ndarray:
  """The images of the other side translated to the side `to`, uint8 [N,H,W,C]."""
  translate = getattr(model, f'translate_to_{to}')
  found = collect(source.batches(), index='index', made=lambda batch: source.gray_values(translate(batch)))
  return found['made'][is_own(source, OTHER[to], found['index'])]


def is_map(source: Source, side: str) -> bool:
  """Whether a side is a map of labels, with one channel of 0 and 1 for each class."""
  return bool(source.side(side).palette)


# Needs


def pairs(model: nn.Module, source: Source) -> str | None:
  """Images of two sides in pairs."""
  del model
  features, own_order = source.data.features, source.data.own_order
  if set(FEATURES) <= set(features) and not own_order:
    return None
  return f'needs pairs of images; {source.name} holds {"unpaired" if own_order else "single"} ones'
