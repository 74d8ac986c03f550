"""What figures are made of: test images, rows to sample, and what a model makes of them, as pixels."""

from collections.abc import Iterator

import jax
import numpy as np

from gen_jax.data.preprocess import to_uint8
from gen_jax.runs import Run
from gen_jax.types import Batch

TEST_IMAGES = 256  # of which a figure shows some
BATCH = 64  # codes and samples that are decoded at a time: one size, compiled once


def test_batches(run: Run, examples: int) -> Iterator[Batch]:
  """Preprocessed batches of `examples` test images in a fixed random order, or of all where there are fewer."""
  return run.source.batches(examples)


def test_batch(run: Run) -> Batch:
  """The first of `test_batches`, always the same test images."""
  return next(test_batches(run, TEST_IMAGES))


def is_planar(run: Run) -> bool:
  """Whether the data are points of the plane, not images."""
  return run.source.data.kind == 'points'


def to_pixels(run: Run, images: jax.Array) -> np.ndarray:
  """Images [N,H,W,C] in the model's range as uint8."""
  return np.asarray(to_uint8(images, run.source.value_range))


def sees_binarized(run: Run) -> bool:
  """Whether the model sees gray images binarized, and figures show them so."""
  return run.config.data.binarize != 'none' and run.source.data.levels > 2


def name_of_originals(run: Run) -> str:
  """What images of the data, as the model sees them, are called in a figure."""
  return 'original, binarized' if sees_binarized(run) else 'original'


def decode_pixels(run: Run, z: np.ndarray, label: int | np.ndarray = 0) -> np.ndarray:
  """Codes [N,D] as images uint8 [N,H,W,C]; of class `label`, or `label[i]`, where the model is conditional.

  Noise of the decoder's own, such as that of some samplers, is the same for all: images differ by their codes alone.
  """
  fill = -len(z) % BATCH
  codes = np.pad(np.asarray(z, np.float32), ((0, fill), (0, 0))).reshape(-1, BATCH, z.shape[1])
  labels = np.pad(np.broadcast_to(np.int32(label), len(z)), (0, fill)).reshape(-1, BATCH)
  row = np.zeros(BATCH, np.int32)
  parts = zip(codes, labels, strict=True)
  pixels = [to_pixels(run, run.model.decode(code, {'row': row, 'label': label})) for code, label in parts]
  return np.concatenate(pixels)[: len(z)]


def rows_to_sample(number: int, classes: int, label: int | None = None) -> Iterator[Batch]:
  """Batches of which a model makes `number` samples: rows 0, 1, ..., whose noise depends on the row alone.

  All are of one size, rows beyond `number` masked, as a generator that normalizes by its batch sees them too: so the
  first samples are the same however many there are. Of each class in turn, or all of class `label`, where the model is
  conditional on so many `classes`.
  """
  for start in range(0, number, BATCH):
    rows = np.arange(start, start + BATCH, dtype=np.int32)
    batch = {'row': rows, 'mask': (rows < number).astype(np.float32)}
    labels = rows % max(classes, 1) if label is None else np.full(BATCH, label, np.int32)
    yield batch | ({'label': labels} if classes else {})
