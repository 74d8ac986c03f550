"""One split of a data set, as the loop sees it."""
import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

from gen_jax.types import Batch

CHUNK = 512  # examples a thread decodes at a time


class Dataset(NamedTuple):
  """One split. Images are uint8 in {0, 1} (levels = 2) or 0..255 (levels = 256) until `preprocess`.

  With levels = 0 they hold no grey values but numbers, float32, such as points [N,1,1,2], and stay as they are.

  A set that fits in memory holds `arrays`; a larger one has None there and is streamed through `fetch`. Rows
  reach the compiled step, get 'index', 'row' and 'mask' beside them, and `finish` turns them into a batch.
  """

  size: int  # number of examples N
  image_shape: tuple[int, int, int]  # raw (H, W, C), before preprocessing
  levels: int  # number of grey values, 2 or 256; 0: numbers instead
  num_classes: int  # 0 without labels
  factor_sizes: tuple[int, ...]  # () without factors
  arrays: Mapping[str, np.ndarray] | None  # {name: [N, ...]}; None: streamed
  fetch: Callable[[np.ndarray], Mapping[str, np.ndarray]]  # host: indices int [n] -> rows {name: [n, ...]}
  finish: Callable[[Mapping[str, jax.Array]], Batch]  # pure, compiled: rows -> batch with 'image'
  factor_names: tuple[str, ...] = ()  # where they are known


def identity(rows: Mapping[str, jax.Array]) -> Batch:
  """The `finish` of a set whose rows already hold their images."""
  return rows


def from_arrays(arrays: Mapping[str, np.ndarray], *, levels: int = 256, num_classes: int = 0,
                factor_sizes: tuple[int, ...] = ()) -> Dataset:
  """A resident split from {'image': uint8 [N,H,W,C], 'label': int32 [N], 'factors': int32 [N,K]}.

  The image is float32 where levels = 0.
  """
  def fetch(indices: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[indices] for name, values in arrays.items()}

  size, *image_shape = arrays['image'].shape
  return Dataset(size, tuple(image_shape), levels, num_classes, factor_sizes, arrays, fetch, identity)


def from_fetch(fetch: Callable[[np.ndarray], Mapping[str, np.ndarray]], size: int,
               image_shape: tuple[int, int, int], budget_bytes: int, *, levels: int = 256,
               num_classes: int = 0, factor_sizes: tuple[int, ...] = ()) -> Dataset:
  """A split whose rows `fetch` decodes: resident where its images take at most `budget_bytes`, else streamed.

  A resident split is decoded here, by threads, so `fetch` must be safe to call from several.
  """
  if size * math.prod(image_shape) > budget_bytes:
    return Dataset(size, image_shape, levels, num_classes, factor_sizes, None, fetch, identity)
  arrays = {name: np.empty((size, *rows.shape[1:]), rows.dtype) for name, rows in fetch(np.arange(1)).items()}

  def fill(start: int) -> None:
    indices = np.arange(start, min(start + CHUNK, size))
    for name, rows in fetch(indices).items():
      arrays[name][indices] = rows

  with ThreadPoolExecutor(os.cpu_count()) as pool:
    for _ in pool.map(fill, range(0, size, CHUNK)):
      pass  # raises what a thread raised
  return from_arrays(arrays, levels=levels, num_classes=num_classes, factor_sizes=factor_sizes)
