"""Memorization: whether samples are training images, by the distance in pixels to the nearest of them."""

from collections.abc import Iterator

import numpy as np

from gen_jax.data.preprocess import to_uint8
from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import images, methods, needs, renamed
from gen_jax.evaluation.samples import draw_images, is_binary, like_samples, random_subset, unit_images
from gen_jax.evaluation.source import Source
from gen_jax.metrics import Metric, measures

SOUGHT = 1_000  # samples whose nearest training images are sought
SPARE = 4  # candidates beyond the nearest, as float32 may misorder them
CHUNK_BYTES = 2**26


@renamed('memorisation', {'memorisation_*': 'memorization_*'})
@measures({
  'nearest_samples': Metric('the median distance of 1,000 samples to the nearest training image; pixels from 0 to 1'),
  'nearest_real': Metric('unseen images', beside='nearest_samples'),
  'memorization_ratio': Metric(
    'how near samples are to training images, by how near unseen images are: near 0 samples are copies; blurred ones '
    'are below 1 without being copies'
  ),
  'memorization_protocol': Metric('how many images were measured, and which'),
})
@needs(images, methods('sample'))
def memorization(model: BoundModel, source: Source) -> Iterator[tuple[str, float | str]]:
  """How near samples are to training images, beside images of the split that the model has not seen.

  Of 1,000 of either, the median Euclidean distance of pixels in 0, 1/255 ... 1.
  """
  samples = draw_images(model, source, min(source.settings.sample_count, SOUGHT))
  source = like_samples(samples, source)
  real = random_subset(unit_images(source.batches(), source.value_range), SOUGHT)
  training = np.concatenate([np.asarray(to_uint8(x)) for x in unit_images(source.train(), source.value_range)])
  nearest = {}
  for name, queries in (('samples', samples), ('real', real)):
    _, distances = nearest_neighbors(np.asarray(to_uint8(queries)), training)
    nearest[name] = float(np.median(distances)) / 255
    yield f'nearest_{name}', nearest[name]
  if nearest['real'] > 0:
    yield 'memorization_ratio', nearest['samples'] / nearest['real']
  yield (
    'memorization_protocol',
    f'{len(samples)} samples (rows from {source.first_row}) and {len(real)} images of the split, beside all '
    f'{len(training)} of train, {"binary" if is_binary(samples) else "not binary"}; seed 0',
  )


def nearest_neighbors(images: np.ndarray, training: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
  """The k nearest in L2 of training images [M,H,W,C] to each image [N,H,W,C]: indices [N,k], distances [N,k].

  Candidates by |t|^2 - 2 x.t in float32, which orders as the distance does; their distances in float64.
  """
  if images.shape[1:] != training.shape[1:] or not 1 <= k <= len(training):
    raise UserError(f'no {k} nearest of {list(training.shape)} to images {list(images.shape)}')
  x, kept = flatten(images, np.float32), min(k + SPARE, len(training))
  orders, candidates = [], []
  rows = max(1, CHUNK_BYTES // (4 * max(x.shape)))
  for start in range(0, len(training), rows):
    part = flatten(training[start : start + rows], np.float32)
    order = np.sum(part**2, axis=1) - 2 * x @ part.T
    order, near = k_smallest(order, kept)
    orders.append(order)
    candidates.append(start + near)
  _, near = k_smallest(np.hstack(orders), kept)
  candidates = np.take_along_axis(np.hstack(candidates), near, axis=1)
  pairs = zip(flatten(images, np.float64), candidates, strict=True)
  distances = np.stack([np.linalg.norm(flatten(training[rows], np.float64) - image, axis=1) for image, rows in pairs])
  best = np.argsort(distances, axis=1, kind='stable')[:, :k]
  return np.take_along_axis(candidates, best, axis=1), np.take_along_axis(distances, best, axis=1)


def k_smallest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
  """The k smallest of each row of values [N,M], or all, in any order, and their columns, both [N,k]."""
  if k >= values.shape[1]:
    return values, np.broadcast_to(np.arange(values.shape[1]), values.shape)
  columns = np.argpartition(values, k - 1, axis=1)[:, :k]
  return np.take_along_axis(values, columns, axis=1), columns


def flatten(images: np.ndarray, dtype: type) -> np.ndarray:
  """[N,H,W,C] -> [N,H W C]."""
  return images.reshape(len(images), -1).astype(dtype)
