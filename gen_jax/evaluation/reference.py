"""Reference: the statistics of a frozen network's features of the real images, cached on the disk."""

import functools
import hashlib
import io
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.errors import show
from gen_jax.evaluation.distances import moments
from gen_jax.evaluation.extractors import Extractor
from gen_jax.evaluation.samples import BATCH, random_subset, unit_images
from gen_jax.files import cache_folder, write_bytes
from gen_jax.types import Batch

KEPT = 10_000  # rows of the features that are cached
FORMAT = b'1'  # of what is cached


class Reference(NamedTuple):
  """What is kept of the features of the real images."""

  mean: np.ndarray  # [d]
  covariance: np.ndarray  # [d,d]
  features: np.ndarray  # [n,d], of KEPT of them at random, or of all
  shares: np.ndarray  # [classes], of those that the network names so, if it names any
  count: np.ndarray  # [], of all


def references_of(
  extractors: Mapping[str, Extractor], batches: Callable[[], Iterator[Batch]], value_range: Sequence[float]
) -> dict[str, Reference]:
  """The reference of each network, by all images of the batches; read from the disk where it is there already.

  A file is found by the hashes of the weights and of the images [N,H,W,C] themselves, in [0, 1].
  """
  data = hashlib.sha256()
  for images in unit_images(batches(), value_range):
    data.update(str(images.shape[1:]).encode() + images.tobytes())
  paths = {kind: reference_path(x.name, x.hash, data.digest()) for kind, x in extractors.items()}
  results = {kind: read(path) for kind, path in paths.items()}
  parts = {kind: [] for kind, reference in results.items() if reference is None}
  for images in unit_images(batches(), value_range) if parts else ():
    for kind, outputs in parts.items():
      outputs.append(extractor_outputs(extractors[kind], images))
  for kind, outputs in parts.items():
    logits, features = (np.concatenate(x) for x in zip(*outputs, strict=True))
    shares, count = shares_of_classes(logits), np.array(len(features))
    results[kind] = Reference(*moments(features), random_subset([features], KEPT), shares, count)
    write(paths[kind], results[kind])
  return results


def extractor_outputs(extractor: Extractor, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Logits [N,classes] and features [N,d] of images in [0, 1], resized to the size that the network knows."""
  height, width, _ = extractor.image_shape
  if images.shape[1:3] != (height, width):
    parts = np.array_split(images, max(1, len(images) // BATCH))
    images = np.concatenate([resize(part, height, width) for part in parts])
  return extractor.outputs(images)


@functools.partial(jax.jit, static_argnums=(1, 2))
def resize(images: jax.Array, height: int, width: int) -> jax.Array:
  """[B,H,W,C] in [0, 1] -> [B,height,width,C], bilinear with antialiasing."""
  batch, _, _, channels = images.shape
  return jnp.clip(jax.image.resize(images, (batch, height, width, channels), 'linear', antialias=True), 0, 1)


def shares_of_classes(logits: np.ndarray) -> np.ndarray:
  """The share [classes] of rows whose largest logit is that of the class."""
  return np.bincount(logits.argmax(-1), minlength=logits.shape[1]) / len(logits)


def reference_path(name: str, weights: str, data: bytes) -> pathlib.Path:
  """The file of a reference, by the name of the network and the hashes of its weights and of the images."""
  digest = hashlib.sha256(FORMAT + weights.encode() + data).hexdigest()
  return cache_folder('references') / f'{name}-{digest[:24]}.npz'


def read(path: pathlib.Path) -> Reference | None:
  """The reference in a file; None where there is none, or it is damaged."""
  try:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
      return Reference(**arrays)
  except Exception:  # whatever NumPy raises at damaged files
    return None


def write(path: pathlib.Path, reference: Reference) -> None:
  """Writes a reference; a line says where that cannot be."""
  file = io.BytesIO()
  np.savez(file, **reference._asdict())
  try:
    write_bytes(path, file.getvalue())
  except OSError as error:
    show(f'the statistics of the real images are not kept: {error}')
