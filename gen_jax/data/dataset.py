"""One split of a data set: what an example consists of, how it is read, and the order in which training sees it."""

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from gen_jax.data import order
from gen_jax.errors import UserError
from gen_jax.progress import with_progress
from gen_jax.types import Batch

CHUNK = 512  # examples a thread decodes at a time
HASHED_BYTES, HASHED_ROWS = 2**26, 64  # all rows are hashed up to so many bytes, else so many rows
CONDITIONS = ('label', 'factors')  # arrays that say something about an example, and are none of its features


class Feature(NamedTuple):
  """One of the things that an example consists of, such as its image, as it is before `preprocess`.

  Attributes:
    shape: of one example, e.g. (28, 28, 1): rows, columns, channels.
    levels: the number of gray values of each channel: 256, stored as uint8 0..255, or 2, stored as uint8 0 and 1.
      0 where the numbers are no gray values; they are stored as float32.
    kind: what the numbers are. 'image': [H,W,C]; 'points': points of the plane, [1,1,2]; 'sound': frames of a voice,
      [frames,bands,1], see `sounds`. Only images are cropped, scaled and so on; numbers of another kind reach the model
      as they are stored.
  """

  shape: tuple[int, ...]
  levels: int = 256
  kind: str = 'image'


class Units(NamedTuple):
  """The units in which a user measured points of the plane: a point x of the data is offset + scale * x there."""

  offset: tuple[float, float]
  scale: tuple[float, float]
  names: tuple[str, str]  # of the axes

  def restore(self, points: np.ndarray) -> np.ndarray:
    """Points of the data [...,2] in the user's units, float32."""
    return (np.asarray(self.offset) + np.asarray(self.scale) * np.asarray(points, np.float64)).astype(np.float32)

  def standardize(self, points: np.ndarray) -> np.ndarray:
    """The inverse: points in the user's units [...,2] as they are in the data, float32."""
    return ((np.asarray(points, np.float64) - self.offset) / self.scale).astype(np.float32)


class About(NamedTuple):
  """What is said of a split to its user, and by what it is known again.

  Attributes:
    what: 'the folder /home/me/photos'.
    split_rule: how examples are divided into splits.
    notes: a line for whatever was left out, or done to the examples.
    names: a hash of the names of its examples, such as files; '' where they have none.
    content: a hash of what the examples are, where that is told otherwise than by the rows; None: `hash_rows`.
  """

  what: str = ''
  split_rule: str = ''
  notes: tuple[str, ...] = ()
  names: str = ''
  content: Callable[[], str] | None = None


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
    class_names: those of the classes, in the order of the labels; () where there are none but their numbers.
    class_counts: the number of examples of each class, where they are known without reading these; else None.
    units: of points that are not in the units of their user; else None.
    sound: of sounds, the voices and their recordings (`sounds.Sound`); else None.
    about: what is said of it to its user.
    attributes: {name: its values} of what is known of some examples and is not their class, such as {'turn': ('common',
      'rare')}: a column int32 [N] of that name, -1 where an example has none.
    target: the distribution that the examples were drawn from, where it is known (`planar.Target`).
    own_order: {name: its number of examples} of the features that stand in an order of their own, such as the two sides
      of unpaired images, {'image_a': 1231, 'image_b': 962}; `size` is the largest. Training draws each of them by
      `order.own_rows`; `fetch` gives of each the row modulo its number, so that the first rows show every example.
      Such features are kept in `arrays`, under their names.
    true_maps: what a translation should be, where it is known: {'b': images of side A uint8 [N,H,W,C] -> those of side
      B, 'a': the inverse, where there is one}.
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
  class_names: tuple[str, ...] = ()
  class_counts: tuple[int, ...] | None = None
  units: Units | None = None
  sound: Any = None
  about: About = About()
  attributes: Mapping[str, tuple[str, ...]] = MappingProxyType({})
  target: Any = None
  own_order: Mapping[str, int] = MappingProxyType({})
  true_maps: Mapping[str, Callable[[np.ndarray], np.ndarray]] = MappingProxyType({})
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
    """The kind of the main feature: 'image', 'points' or 'sound'."""
    return self.main_feature.kind

  @property
  def names_of_classes(self) -> tuple[str, ...]:
    """The name of each class: '0', '1', ... where they have no others."""
    return self.class_names or tuple(map(str, range(self.num_classes)))

  @property
  def has_named_classes(self) -> bool:
    """Whether the classes have other names than their numbers."""
    return self.names_of_classes != tuple(map(str, range(self.num_classes)))

  def hash_content(self) -> str:
    """What tells these examples from others."""
    return self.about.content() if self.about.content else hash_rows(self)

  def in_units(self, points: np.ndarray) -> np.ndarray:
    """Points of the data [...,2] in the units of their user."""
    return self.units.restore(points) if self.units else points

  def from_units(self, points: np.ndarray) -> np.ndarray:
    """Points [...,2] in the units of their user as they are in the data."""
    return self.units.standardize(points) if self.units else points


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
  data = Dataset(size, features, num_classes, factor_sizes, arrays, fetch, identity)
  return data._replace(class_counts=count_classes(arrays['label'], num_classes)) if 'label' in arrays else data


def from_sides(arrays: Mapping[str, np.ndarray], features: Mapping[str, Feature]) -> Dataset:
  """A resident split of features that each stand in an order of their own.

  {'image_a': [N_a, ...], 'image_b': [N_b, ...]}; its size is the largest of their numbers.
  """

  def fetch(indices: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[np.asarray(indices) % len(values)] for name, values in arrays.items()}

  numbers = {name: len(arrays[name]) for name in features}
  return Dataset(max(numbers.values()), features, 0, (), arrays, fetch, identity, own_order=numbers)


def exchange_sides(data: Dataset) -> Dataset:
  """The split with 'image_a' in the place of 'image_b', and the other way round."""
  names = {'image_a': 'image_b', 'image_b': 'image_a'}

  def exchange(columns: Mapping[str, Any]) -> dict[str, Any]:
    first = {name: columns[names[name]] for name in names if names[name] in columns}
    return first | {name: column for name, column in columns.items() if name not in names}

  sides = {'a': 'b', 'b': 'a'}
  return data._replace(
    features=exchange(data.features),
    arrays=data.arrays and exchange(data.arrays),
    fetch=lambda indices: exchange(data.fetch(indices)),
    finish=lambda rows: exchange(data.finish(exchange(rows))),
    own_order=exchange(data.own_order),
    true_maps={sides[to]: function for to, function in data.true_maps.items()},
    sound=data.sound and data.sound.exchange_sides(),
    about=data.about._replace(notes=(*data.about.notes, 'the sides A and B are exchanged')),
  )


def leave_out(data: Dataset, classes: Sequence[int]) -> Dataset:
  """The split without the examples of some classes, which it still counts, with none. UserError where it cannot be."""
  if not data.num_classes:
    raise UserError(f'config.data.without={tuple(classes)}: the data have no labels')
  if wrong := [c for c in classes if c not in range(data.num_classes)]:
    last = data.num_classes - 1
    raise UserError(f'config.data.without={tuple(classes)}: {wrong[0]} is none of the classes 0 to {last}')
  labels = labels_of(data)
  kept = np.flatnonzero(~np.isin(labels, classes))
  if not len(kept):
    raise UserError(f'config.data.without={tuple(classes)}: no example is left')
  names = ', '.join(data.names_of_classes[c] for c in classes)
  return data._replace(
    size=len(kept),
    arrays=data.arrays and {name: values[kept] for name, values in data.arrays.items()},
    fetch=lambda indices: data.fetch(kept[indices]),
    class_counts=count_classes(labels[kept], data.num_classes),
    about=data.about._replace(notes=(*data.about.notes, f'left out: {names}')),
  )


def labels_of(data: Dataset) -> np.ndarray:
  """The class of each example, [N]; of a set that is not in memory a part at a time, as its images come with them."""
  if data.arrays is not None:
    return data.arrays['label']
  parts = np.array_split(np.arange(data.size), max(1, data.size // 1_000))
  return np.concatenate([data.fetch(part)['label'] for part in parts])


def count_classes(labels: np.ndarray, num_classes: int) -> tuple[int, ...]:
  """The number of examples of each class."""
  return tuple(np.bincount(labels, minlength=num_classes).tolist())


def hash_rows(data: Dataset) -> str:
  """The SHA-256 of the rows of a split, of all where they are small, else of some of equal distance."""
  chosen = np.arange(data.size)
  first = data.fetch(chosen[:1])
  if data.size * sum(rows.nbytes for rows in first.values()) > HASHED_BYTES:
    chosen = np.linspace(0, data.size - 1, min(data.size, HASHED_ROWS)).astype(int)
  digest = hashlib.sha256()
  for start in range(0, len(chosen), CHUNK):
    for name, rows in sorted(data.fetch(chosen[start : start + CHUNK]).items()):
      digest.update(name.encode() + np.ascontiguousarray(rows).tobytes())
  return digest.hexdigest()


def from_fetch(
  fetch: Callable[[np.ndarray], Mapping[str, np.ndarray]],
  size: int,
  features: Mapping[str, Feature],
  budget_bytes: int,
  *,
  num_classes: int = 0,
  factor_sizes: tuple[int, ...] = (),
  what: str = 'a data set',
) -> Dataset:
  """A split whose rows `fetch` decodes: resident where its features take at most `budget_bytes`, else streamed.

  A resident split is decoded here, by threads, so `fetch` must be safe to call from several. Where that takes long, a
  line says how far it is with `what`.
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
    for _ in with_progress(pool.map(fill, range(0, size, CHUNK)), size, f'{what}: examples read', CHUNK):
      pass  # raises what a thread raised
  return from_arrays(arrays, features=features, num_classes=num_classes, factor_sizes=factor_sizes)
