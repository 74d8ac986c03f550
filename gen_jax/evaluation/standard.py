"""The standard Frechet distance, by InceptionV3, for those who have its weights."""

from collections.abc import Iterator, Sequence

import numpy as np

from gen_jax.data.preprocess import to_uint8
from gen_jax.errors import UserError
from gen_jax.evaluation import inception
from gen_jax.evaluation.distances import frechet_distance, kernel_distance
from gen_jax.evaluation.samples import draw, images_of, some
from gen_jax.evaluation.terms import Batches


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

  frechet_inception: the 'FID'; kernel_inception, kernel_stderr_inception; inception_protocol: how many images, the
      hash of the weights. Published numbers are of 50,000 samples; those of other counts do not compare with them.

  UserError for no more images than there are features.
  """
  del batches
  judge = inception.load(inception_weights)
  samples = draw(verbs, sample_count, value_range)
  real = some(images_of(grey_train_batches, value_range), sample_count)
  if min(len(samples), len(real)) <= inception.WIDTH:
    raise UserError(
      f'config.sample_count={sample_count}: {min(len(samples), len(real))} images have no covariance of '
      f'{inception.WIDTH} features; use more'
    )
  found, reference = (judge.features(np.asarray(to_uint8(images))) for images in (samples, real))
  yield 'frechet_inception', frechet_distance(found, reference)
  kernel = kernel_distance(found, reference)
  yield from ((f'{name.replace("_distance", "")}_inception', value) for name, value in kernel.items())
  yield 'inception_protocol', f'{len(samples)} samples, {len(real)} training images, weights {judge.hash}'
