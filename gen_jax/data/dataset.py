"""One split of a data set: what an example consists of, how it is read, and the order in which training sees it."""

import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from gen_jax.data import order
from gen_jax.types import Batch

CHUNK = 512  # examples a thread decodes at a time
CONDITIONS = ('label', 'factors')  # arrays that say something about an example, and are none of its features


class Feature(NamedTuple):
  """One of the things that an example consists of, such as its image, as it is before `preprocess`.

  Attributes:
    shape: of one example, e.g. (28, 28, 1): rows, columns, channels.
    levels: the number of gray values of each channel: 256, stored as uint8 0..255, or 2, stored as uint8 0 and 1.
      0 where the numbers are no gray values; they are stored as float32.
    kind: what the numbers are. 'image': [H,W,C]; 'points': points of the plane, [1,1,2]. Only images are cropped,
      scaled and so on; numbers of another kind reach the model as they are stored.
  """

  shape: tuple[int, ...]
  levels: int = 256
  kind: str = 'image'


class Dataset(NamedTuple):
  """One split of a data set, such as its training examples.

  Of a split that fits in memory, all examples lie in `arrays`; a larger one is read with `fetch`, a batch at a time.
  What is read are *rows*: one number, or image, or name of an image to be drawn, for each example. Rows reach the
  compiled step, get the columns 'index', 'row' and 'mask' (see `types.Batch`), and `finish` makes a batch of them.

  Attributes:
    size: the number of examples, N.
    features: what an example consists of, by the names that it has in a batch: {'image': Feature((28, 28, 1))}; of
      pairs of images {'image_a': ..., 'image_b': ...}.
    num_classes: labels lie in 0..num_classes - 1; 0 where examples have none.
    factor_sizes: the number of values of each factor of variation, where the factors are known; otherwise ().
    arrays: {name: [N, ...]}, all rows; None where the split is streamed.
    fetch: reads rows on the host: indices int [n] -> {name: [n, ...]}. Threads call it side by side.
    finish: makes a batch of rows inside the compiled step: pure; leaves the further columns as they are.
    factor_names: the names of the factors, where they are known.
    target: the distribution that the examples were drawn from, where it is known (`planar.Target`).
    initial_state: what `TrainState.data` begins with: whatever `rows` needs to know about the course of training.
    rows: the order: which examples stand in a batch of training. (seed, state, batch, row [B], batch_size, size) ->
      indices int32 [B] in [0, size) of those at the rows `row` of batch number `batch`; `state` is TrainState.data.
      Pure, and compiled into the step; it may draw each row only from what it is given, so that the rows of a
      batch do not depend on how many devices share it.
  """

  size: int
  features: Mapping[str, Feature]
  num_classes: int
  factor_sizes: tuple[int, ...]
  arrays: Mapping[str, np.ndarray] | None
  fetch: Callable[[np.ndarray], Mapping[str, np.ndarray]]
  finish: Callable[[Mapping[str, jax.Array]], Batch]
  factor_names: tuple[str, ...] = ()
  target: Any = None
  initial_state: Any = ()
  rows: Callable[..., jax.Array] = order.shuffled_rows

  @property
  def main_feature(self) -> Feature:
    """The feature 'image', or where there is none of that name, the first."""
    return self.features.get('image', next(iter(self.features.values())))

  @property
  def image_shape(self) -> tuple[int, ...]:
    """The shape of the main feature, before `preprocess`."""
    return self.main_feature.shape

  @property
  def levels(self) -> int:
    """The number of gray values of the main feature; 0 where it is no image."""
    return self.main_feature.levels

  @property
  def kind(self) -> str:
    """The kind of the main feature: 'image' or 'points'."""
    return self.main_feature.kind


def identity(rows: Mapping[str, jax.Array]) -> Batch:
  """The `finish` of a set whose rows already hold their images."""
  return rows


def from_arrays(
  arrays: Mapping[str, np.ndarray],
  *,
  features: Mapping[str, Feature] | None = None,
  levels: int = 256,
  kind: str = 'image',
  num_classes: int = 0,
  factor_sizes: tuple[int, ...] = (),
) -> Dataset:
  """A resident split from {'image': uint8 [N,H,W,C], 'label': int32 [N], 'factors': int32 [N,K]}.

  Without `features`, every array is one but 'label' and 'factors', of these `levels` (of images) and this `kind`.
  """
  if kind == 'image' and not levels:
    raise ValueError("levels=0: images have gray values; say kind='points' for points")
  if features is None:
    names = [name for name in arrays if name not in CONDITIONS]
    features = {name: Feature(arrays[name].shape[1:], levels if kind == 'image' else 0, kind) for name in names}

  def fetch(indices: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[indices] for name, values in arrays.items()}

  size = len(arrays[next(iter(features))])
  return Dataset(size, features, num_classes, factor_sizes, arrays, fetch, identity)


def from_fetch(
  fetch: Callable[[np.ndarray], Mapping[str, np.ndarray]],
  size: int,
  features: Mapping[str, Feature],
  budget_bytes: int,
  *,
  num_classes: int = 0,
  factor_sizes: tuple[int, ...] = (),
) -> Dataset:
  """A split whose rows `fetch` decodes: resident where its features take at most `budget_bytes`, else streamed.

  A resident split is decoded here, by threads, so `fetch` must be safe to call from several.
  """
  bytes_each = sum(math.prod(feature.shape) * (1 if feature.levels else 4) for feature in features.values())
  if size * bytes_each > budget_bytes:
    return Dataset(size, features, num_classes, factor_sizes, None, fetch, identity)
  arrays = {name: np.empty((size, *rows.shape[1:]), rows.dtype) for name, rows in fetch(np.arange(1)).items()}

  def fill(start: int) -> None:
    indices = np.arange(start, min(start + CHUNK, size))
    for name, rows in fetch(indices).items():
      arrays[name][indices] = rows

  with ThreadPoolExecutor(os.cpu_count()) as pool:
    for _ in pool.map(fill, range(0, size, CHUNK)):
      pass  # raises what a thread raised
  return from_arrays(arrays, features=features, num_classes=num_classes, factor_sizes=factor_sizes)
