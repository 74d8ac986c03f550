"""How far samples are from the data, by the features of frozen networks; and whether they are training images."""

import functools
import hashlib
import io
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.data.preprocess import to_uint8
from gen_jax.errors import UserError, show
from gen_jax.evaluation.distances import frechet_from_moments, kernel_distance, moments, precision_recall
from gen_jax.evaluation.extractors import NETWORKS, Extractor, load
from gen_jax.evaluation.means import Batches, asked
from gen_jax.files import cache_folder, write_bytes

BATCH = 500
MOST, NEIGHBOURS = 5_000, 3  # rows of either side in precision and recall, and k
KEPT = 10_000  # rows of the reference's features that are cached
FORMAT = b'1'  # of what is cached
SOUGHT = 1_000  # samples whose nearest training images are sought
SPARE = 4  # candidates beyond the nearest, as float32 may misorder them
CHUNK_BYTES = 2**26
Values = Iterator[tuple[str, float | str]]


class Reference(NamedTuple):
  """What is kept of the features of the real images."""

  mean: np.ndarray  # [d]
  covariance: np.ndarray  # [d,d]
  features: np.ndarray  # [n,d], of KEPT of them at random, or of all
  shares: np.ndarray  # [classes], of those that the network names so, if it names any
  count: np.ndarray  # [], of all


def sample_distances(
  verbs,
  batches: Batches,
  *,
  train_batches: Batches,
  grey_batches: Batches,
  grey_train_batches: Batches,
  sample_count: int,
  value_range: Sequence[float],
  data_name: str,
  extractors: str,
) -> Values:
  """Distances of `sample_count` samples from the training split, by the features of two frozen networks.

  For X of 'cnn' and 'lenet', those of the data set `data_name` or where `extractors` says (`extractors.find`):

  frechet_X, frechet_over_trace_X: the Frechet distance, and by the trace of the real covariance.
  kernel_X, kernel_stderr_X: the kernel distance.
  precision_X, recall_X, density_X, coverage_X: of 5,000 samples and 5,000 real images, or of as many as there are,
      k = 3.
  ..._X_floor: the same of as many images of the split, or of all: what perfect samples would get.
  extractor_X: its name and hash.

  share_class_c: the share of the samples that the CNN names c; least_share_ratio, most_share_ratio: the least and the
      largest of these by that of the real images.
  sample_count, floor_count, reference_count, sample_protocol: how many images, which, and their size.

  Binary samples stand beside the images as the model sees them, others beside grey images. All are brought to [0, 1],
  and resized where the networks know another size. Distances compare at the same counts and hashes alone.
  """
  judges = {kind: load(kind, data_name, extractors) for kind in NETWORKS}
  samples = draw(verbs, sample_count, value_range)
  if not is_binary(samples):
    batches, train_batches = grey_batches, grey_train_batches
  references = references_of(judges, train_batches, value_range)
  real = some(images_of(batches, value_range), sample_count)
  for kind, reference in references.items():
    judge = judges[kind]
    logits, features = outputs(judge, samples)
    yield from ((f'{name}_{kind}', value) for name, value in apart(features, reference))
    yield from ((f'{name}_{kind}_floor', value) for name, value in apart(outputs(judge, real)[1], reference))
    if kind == 'cnn':
      yield from shares(logits, reference)
    yield f'extractor_{kind}', f'{judge.name} {judge.hash}'
  counts = len(samples), len(real), int(reference.count)
  yield from zip(('sample_count', 'floor_count', 'reference_count'), map(float, counts), strict=True)
  yield 'sample_protocol', protocol(samples, real, reference, judge)


def protocol(samples: np.ndarray, real: np.ndarray, reference: Reference, judge: Extractor) -> str:
  """Of which images the numbers of `sample_distances` are."""
  size, seen = ('x'.join(map(str, shape[:2])) for shape in (samples.shape[1:], judge.image_shape))
  kept = len(reference.features)
  return (
    f'{len(samples)} samples (rows from 0) and {len(real)} images of the split, beside all {reference.count} of train, '
    f'{kept} of them for the kernel distance; precision and the rest of at most {min(MOST, kept)} of each, '
    f'k = {NEIGHBOURS}; {"binary" if is_binary(samples) else "not binary"}, '
    f'{size if size == seen else f"{size} resized to {seen}"}; seed 0'
  )


def frechet(
  verbs,
  batches: Batches,
  *,
  train_batches: Batches,
  grey_train_batches: Batches,
  sample_count: int,
  value_range: Sequence[float],
  data_name: str,
  extractors: str,
) -> Values:
  """`frechet_over_trace_cnn` and `_lenet` of `sample_distances` alone, by which checkpoints are told apart."""
  del batches
  judges = {kind: load(kind, data_name, extractors) for kind in NETWORKS}
  samples = draw(verbs, sample_count, value_range)
  train_batches = train_batches if is_binary(samples) else grey_train_batches
  for kind, reference in references_of(judges, train_batches, value_range).items():
    found = dict(frechet_to(outputs(judges[kind], samples)[1], reference))
    yield f'frechet_over_trace_{kind}', found['frechet_over_trace']


def memorisation(
  verbs,
  batches: Batches,
  *,
  train_batches: Batches,
  grey_batches: Batches,
  grey_train_batches: Batches,
  sample_count: int,
  value_range: Sequence[float],
) -> Values:
  """How near samples are to training images, beside images of the split that the model has not seen.

  nearest_samples, nearest_real: the median Euclidean distance of 1,000 of either to the nearest training image, pixels
      in 0, 1/255 ... 1.
  memorisation_ratio: the first by the second, near 0 for copies. Smooth images are near to every image: blurred
      samples are below 1 without being copies.
  memorisation_protocol: how many images, and which.
  """
  samples = draw(verbs, min(sample_count, SOUGHT), value_range)
  if not is_binary(samples):
    batches, train_batches = grey_batches, grey_train_batches
  real = some(images_of(batches, value_range), SOUGHT)
  training = np.concatenate([np.asarray(to_uint8(x)) for x in images_of(train_batches, value_range)])
  found = {}
  for name, images in (('samples', samples), ('real', real)):
    _, distances = nearest_neighbours(np.asarray(to_uint8(images)), training)
    found[name] = float(np.median(distances)) / 255
    yield f'nearest_{name}', found[name]
  if found['real'] > 0:
    yield 'memorisation_ratio', found['samples'] / found['real']
  yield (
    'memorisation_protocol',
    f'{len(samples)} samples (rows from 0) and {len(real)} images of the split, beside all {len(training)} of train, '
    f'{"binary" if is_binary(samples) else "not binary"}; seed 0',
  )


def draw(verbs, count: int, value_range: Sequence[float] = (0.0, 1.0)) -> np.ndarray:
  """`count` samples [N,H,W,C] in [0, 1], of each class in turn where the model is conditional."""
  size, samples = min(BATCH, count), []
  for start in range(0, count, size):
    rows = np.arange(start, start + size, dtype=np.int32)  # all of one size, for which `sample` is compiled
    samples.append(np.asarray(verbs.sample(asked(rows, verbs.classes)), np.float32))
  samples = np.concatenate(samples)[:count]
  if not np.isfinite(samples).all():
    raise UserError(f'{np.sum(~np.isfinite(samples).all((1, 2, 3)))} of {count} samples are not finite')
  return unit(samples, value_range)


def unit(images: jax.Array, value_range: Sequence[float]) -> np.ndarray:
  """Images in `value_range` -> float32 in [0, 1], clipped to it."""
  low, high = value_range
  return np.clip((np.asarray(images, np.float32) - low) / (high - low), 0, 1)


def images_of(batches: Batches, value_range: Sequence[float]) -> Iterator[np.ndarray]:
  """The images [n,H,W,C] in [0, 1] of each batch, without the rows that pad it."""
  for batch in batches():
    yield unit(np.asarray(batch['image'])[np.asarray(batch['mask']) > 0], value_range)


def some(parts: Iterator[np.ndarray], count: int) -> np.ndarray:
  """`count` rows in a fixed random order, or all."""
  rows = np.concatenate(list(parts))
  return rows[np.random.default_rng(0).permutation(len(rows))[:count]]


def is_binary(images: np.ndarray) -> bool:
  """Whether they are of zeros and ones alone."""
  return bool(np.isin(images, (0, 1)).all())


def outputs(judge: Extractor, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Logits [N,classes] and features [N,d] of images in [0, 1], resized to the size that the network knows."""
  height, width, _ = judge.image_shape
  if images.shape[1:3] != (height, width):
    parts = np.array_split(images, max(1, len(images) // BATCH))
    images = np.concatenate([resized(part, height, width) for part in parts])
  return judge.outputs(images)


@functools.partial(jax.jit, static_argnums=(1, 2))
def resized(images: jax.Array, height: int, width: int) -> jax.Array:
  """Bilinear with antialiasing."""
  batch, _, _, channels = images.shape
  return jnp.clip(jax.image.resize(images, (batch, height, width, channels), 'linear', antialias=True), 0, 1)


def apart(features: np.ndarray, reference: Reference) -> Values:
  """All distances of features [N,d] from the reference."""
  yield from frechet_to(features, reference)
  kernel = kernel_distance(features, reference.features)
  yield from ((name.replace('_distance', ''), value) for name, value in kernel.items())
  most = min(MOST, len(features), len(reference.features))
  yield from precision_recall(reference.features[:most], features[:most], NEIGHBOURS).items()


def frechet_to(features: np.ndarray, reference: Reference) -> Values:
  """The Frechet distance of features [N,d] from the reference, and the same by the trace of its covariance."""
  distance = frechet_from_moments(*moments(features), reference.mean, reference.covariance)
  yield 'frechet', distance
  yield 'frechet_over_trace', distance / float(np.trace(reference.covariance))


def shares(logits: np.ndarray, reference: Reference) -> Values:
  """The share of each class by logits [N,classes], and the extremes of their ratios to those of the reference."""
  found = shares_of(logits)
  yield from ((f'share_class_{c}', float(share)) for c, share in enumerate(found))
  there = reference.shares > 0
  ratios = found[there] / reference.shares[there]
  yield 'least_share_ratio', float(ratios.min())
  yield 'most_share_ratio', float(ratios.max())


def shares_of(logits: np.ndarray) -> np.ndarray:
  """The share [classes] of rows whose largest logit is that of the class."""
  return np.bincount(logits.argmax(-1), minlength=logits.shape[1]) / len(logits)


def references_of(
  judges: Mapping[str, Extractor], batches: Batches, value_range: Sequence[float]
) -> dict[str, Reference]:
  """What each network says of all images, from the disk where it has said so before of the same images."""
  data = hashlib.sha256()
  for images in images_of(batches, value_range):
    data.update(str(images.shape[1:]).encode() + images.tobytes())
  paths = {kind: reference_path(judge.name, judge.hash, data.digest()) for kind, judge in judges.items()}
  found = {kind: cached(path) for kind, path in paths.items()}
  parts = {kind: [] for kind, reference in found.items() if reference is None}
  for images in images_of(batches, value_range) if parts else ():
    for kind, said in parts.items():
      said.append(outputs(judges[kind], images))
  for kind, said in parts.items():
    logits, features = (np.concatenate(x) for x in zip(*said, strict=True))
    found[kind] = Reference(*moments(features), some([features], KEPT), shares_of(logits), np.array(len(features)))
    keep(paths[kind], found[kind])
  return found


def reference_path(name: str, weights: str, data: bytes) -> pathlib.Path:
  """Where what a network said of images is kept, by its name and the hashes of its weights and of the images."""
  digest = hashlib.sha256(FORMAT + weights.encode() + data).hexdigest()
  return cache_folder('references') / f'{name}-{digest[:24]}.npz'


def cached(path: pathlib.Path) -> Reference | None:
  """What `keep` wrote there, if it did, and it is whole."""
  try:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
      return Reference(**arrays)
  except Exception:  # whatever NumPy raises at damaged files
    return None


def keep(path: pathlib.Path, reference: Reference) -> None:
  """Writes a reference; a line says where that cannot be."""
  file = io.BytesIO()
  np.savez(file, **reference._asdict())
  try:
    write_bytes(path, file.getvalue())
  except OSError as error:
    show(f'the statistics of the real images are not kept: {error}')


def nearest_neighbours(images: np.ndarray, training: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
  """The k nearest in L2 of training images [M,H,W,C] to each image [N,H,W,C]: indices [N,k], distances [N,k].

  Candidates by |t|^2 - 2 x.t in float32, which orders as the distance does; their distances in float64.
  """
  if images.shape[1:] != training.shape[1:] or not 1 <= k <= len(training):
    raise UserError(f'no {k} nearest of {list(training.shape)} to images {list(images.shape)}')
  x, kept = flat(images, np.float32), min(k + SPARE, len(training))
  orders, candidates = [], []
  rows = max(1, CHUNK_BYTES // (4 * max(x.shape)))
  for start in range(0, len(training), rows):
    part = flat(training[start : start + rows], np.float32)
    order = np.sum(part**2, axis=1) - 2 * x @ part.T
    order, near = least(order, kept)
    orders.append(order)
    candidates.append(start + near)
  _, near = least(np.hstack(orders), kept)
  candidates = np.take_along_axis(np.hstack(candidates), near, axis=1)
  pairs = zip(flat(images, np.float64), candidates, strict=True)
  distances = np.stack([np.linalg.norm(flat(training[rows], np.float64) - image, axis=1) for image, rows in pairs])
  best = np.argsort(distances, axis=1, kind='stable')[:, :k]
  return np.take_along_axis(candidates, best, axis=1), np.take_along_axis(distances, best, axis=1)


def least(values: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
  """The `number` least of each row of values [N,M], or all, in any order, and their columns."""
  if number >= values.shape[1]:
    return values, np.broadcast_to(np.arange(values.shape[1]), values.shape)
  columns = np.argpartition(values, number - 1, axis=1)[:, :number]
  return np.take_along_axis(values, columns, axis=1), columns


def flat(images: np.ndarray, dtype: type) -> np.ndarray:
  """[N,H,W,C] -> [N,H W C]."""
  return images.reshape(len(images), -1).astype(dtype)
