"""The standard Frechet distance, by InceptionV3, for those who have its weights."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from gen_jax.data.preprocess import to_uint8
from gen_jax.evaluation import inception
from gen_jax.evaluation.distances import kernel_distance, moments
from gen_jax.evaluation.means import Batches
from gen_jax.evaluation.samples import KEPT, Reference, cached, draw, frechet_to, images_of, keep, reference_path, some


def inception_distances(
  verbs,
  batches: Batches,
  *,
  grey_train_batches: Batches,
  sample_count: int,
  value_range: Sequence[float],
  inception_weights: str,
) -> Iterator[tuple[str, float | str]]:
  """Distances of `sample_count` samples from as many training images, by the features of pool_3 (Heusel et al., 2017).

  frechet_inception: the 'FID'; frechet_over_trace_inception: by the trace of the real covariance.
  kernel_inception, kernel_stderr_inception: the 'KID', its features not scaled (Binkowski et al., 2018).
  inception_protocol: how many images and which, their size, the hash of the weights. Published numbers are of 50,000
      samples; those of other counts do not compare with them.
  """
  del batches
  judge = inception.load(inception_weights)
  samples = draw(verbs, sample_count, value_range)
  real = np.asarray(to_uint8(some(images_of(grey_train_batches, value_range), sample_count)))
  found, reference = judge.features(np.asarray(to_uint8(samples))), reference_of(judge, real)
  yield from ((f'{name}_inception', value) for name, value in frechet_to(found, reference))
  kernel = kernel_distance(found, reference.features, scaled=False)
  yield from ((f'{name.replace("_distance", "")}_inception', value) for name, value in kernel.items())
  height, width = real.shape[1:3]
  yield (
    'inception_protocol',
    f'{len(samples)} samples (rows from 0), {len(real)} training images at random, {height}x{width} enlarged to '
    f'{inception.SIZE}x{inception.SIZE}; the kernel distance of {len(reference.features)} of these; seed 0; '
    f'weights {judge.hash}',
  )


def reference_of(judge: inception.Inception, real: np.ndarray) -> Reference:
  """What the network says of uint8 images, from the disk where it has said so before of the same ones."""
  path = reference_path('inception', judge.hash, hashlib.sha256(str(real.shape).encode() + real.tobytes()).digest())
  if (found := cached(path)) is None:
    features = judge.features(real)
    found = Reference(*moments(features), some([features], KEPT), np.zeros(0), np.array(len(features)))
    keep(path, found)
  return found
