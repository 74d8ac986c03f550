"""Samples of a model in batches of one size, and images of the data in [0, 1] beside which they stand."""

from collections.abc import Iterator, Sequence

import jax
import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.source import Source, without_padding
from gen_jax.types import Batch

BATCH = 500  # samples at a time


def sampling_batch(rows: np.ndarray, classes: int = 0, label: int | np.ndarray | None = None) -> Batch:
  """The batch that `sample` takes: 'row' int32 [B], and where there are classes 'label': given, or each in turn."""
  if not classes:
    return {'row': rows}
  return {'row': rows, 'label': rows % classes if label is None else np.broadcast_to(np.int32(label), rows.shape)}


def draw_samples(
  model: BoundModel,
  count: int,
  batch_size: int = BATCH,
  label: int | np.ndarray | None = None,
  first_row: int = 0,
) -> np.ndarray:
  """The samples of `count` rows from `first_row` on, [count,...] in the model's range, `batch_size` at a time.

  Where the model is conditional, all are of class `label`, the i-th of class `label[i]`, or by default row r of class r
  modulo the number of classes. All batches are of one size, for which `sample` is compiled once; the noise of a row
  does not depend on it.
  """
  rows = first_row + np.arange(-(-count // batch_size) * batch_size, dtype=np.int32)
  # labels of the rows that fill the last batch are of no matter
  whole = sampling_batch(rows, model.classes, label if np.ndim(label) == 0 else np.resize(label, rows.shape))
  batches = ({name: x[i : i + batch_size] for name, x in whole.items()} for i in range(0, len(rows), batch_size))
  return np.concatenate([np.asarray(model.sample(batch)) for batch in batches])[:count]


def draw_images(model: BoundModel, source: Source, count: int, label: np.ndarray | None = None) -> np.ndarray:
  """`count` samples from `source.first_row` on, float32 [count,H,W,C] in [0, 1]. UserError where any are not finite.

  Where the model is conditional, the i-th is of class `label[i]`, by default that of `labels_like_data`.
  """
  label = labels_like_data(model, source, count) if label is None else label
  samples = draw_samples(model, count, min(BATCH, count), label, source.first_row).astype(np.float32)
  if not np.isfinite(samples).all():
    raise UserError(f'{np.sum(~np.isfinite(samples).all((1, 2, 3)))} of {count} samples are not finite')
  return to_unit_range(samples, source.value_range)


def labels_like_data(model: BoundModel, source: Source, count: int) -> np.ndarray | None:
  """Labels [count] of classes as frequent as in the training split; None where the model is not conditional.

  With other frequencies, the samples of a perfect model would be of another distribution than the data.
  """
  return proportional_labels(source.class_counts(), count) if model.classes else None


def proportional_labels(counts: np.ndarray, number: int) -> np.ndarray:
  """Labels [number] in an order that is always the same, each class within one of its share of `counts` [classes]."""
  ends = np.rint(number * np.cumsum(counts) / counts.sum()).astype(int)
  labels = np.repeat(np.arange(len(counts), dtype=np.int32), np.diff(ends, prepend=0))
  return np.random.default_rng(0).permutation(labels)


def to_unit_range(images: jax.Array, value_range: Sequence[float]) -> np.ndarray:
  """Images in `value_range` -> float32 in [0, 1], clipped to it."""
  low, high = value_range
  return np.clip((np.asarray(images, np.float32) - low) / (high - low), 0, 1)


def unit_images(batches: Iterator[Batch], value_range: Sequence[float]) -> Iterator[np.ndarray]:
  """The images [n,H,W,C] in [0, 1] of each batch, without the rows that pad it."""
  for part in without_padding(batches, images='image'):
    yield to_unit_range(part['images'], value_range)


def random_subset(parts: Iterator[np.ndarray], count: int) -> np.ndarray:
  """`count` rows of all parts [n,...] together, or all, in a random order that is always the same."""
  rows = np.concatenate(list(parts))
  return rows[np.random.default_rng(0).permutation(len(rows))[:count]]


def is_binary(images: np.ndarray) -> bool:
  """Whether they are of zeros and ones alone."""
  return bool(np.isin(images, (0, 1)).all())


def like_samples(samples: np.ndarray, source: Source) -> Source:
  """The data that samples in [0, 1] stand beside: binary ones beside what the model sees, others beside gray values.

  The noise of binarized images would hide what gray samples, such as means E[x|z], lack.
  """
  return source if is_binary(samples) else source.unbinarized()
