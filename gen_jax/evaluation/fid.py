"""FID and KID: the standard Frechet and kernel distances, by InceptionV3, for those who have its weights."""

import hashlib
from collections.abc import Iterator

import flax.linen as nn
import numpy as np

from gen_jax.data.preprocess import to_uint8
from gen_jax.errors import UserError
from gen_jax.evaluation import inception
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.distances import kernel_distance, moments
from gen_jax.evaluation.needs import examples, images, methods, needs, renamed
from gen_jax.evaluation.reference import KEPT, Reference, read, reference_path, write
from gen_jax.evaluation.sample_distances import frechet_to
from gen_jax.evaluation.samples import draw_images, random_subset, unit_images
from gen_jax.evaluation.source import Source
from gen_jax.files import expanded
from gen_jax.metrics import Metric, measures


def weights(model: nn.Module, source: Source) -> str | None:
  """The file of Inception's weights is whole, and there are more images than features, which a covariance needs."""
  del model
  path, count = source.settings.inception_weights, source.settings.sample_count
  if not expanded(path).is_file():
    return (
      f'config.inception_weights={path!r} is no file: inception_distances needs weights, which '
      'gen_jax/evaluation/inception.py says how to make'
    )
  if (fewest := min(count, source.split('train').size)) <= inception.WIDTH:
    return (
      f'config.sample_count={count}: {fewest} images have no covariance of {inception.WIDTH} features; use more'
    )
  try:
    inception.load(path)
  except UserError as error:
    return str(error)
  return None


@renamed(
  metrics={
    'frechet_inception': 'fid_inception',
    'frechet_over_trace_inception': 'fid_over_trace_inception',
    'kernel_inception': 'kid_inception',
    'kernel_stderr_inception': 'kid_stderr_inception',
  }
)
@measures({
  'fid_inception': Metric(
    'the FID (Heusel et al., 2017); published ones are of 50,000 samples, and those of other counts do not compare',
    better='lower', headline=True,
  ),
  'fid_over_trace_inception': Metric('the FID by the trace of the real covariance', better='lower'),
  'kid_inception': Metric('the KID (Binkowski et al., 2018), 0 for two samples of one distribution', better='lower'),
  'kid_stderr_inception': Metric('standard error', beside='kid_inception'),
  'inception_protocol': Metric('how many images were measured, which, and by which weights'),
})  # fmt: skip
@needs(images, weights, methods('sample'), examples(4, 'train'))
def inception_distances(model: BoundModel, source: Source) -> Iterator[tuple[str, float | str]]:
  """The FID and the KID of `settings.sample_count` samples and as many training images, by the features of pool_3.

  Features are not scaled. `inception_protocol` says how many images and which, their size, the hash of the weights.
  """
  count, value_range = source.settings.sample_count, source.value_range
  network = inception.load(source.settings.inception_weights)
  samples = draw_images(model, source, count)
  training = random_subset(unit_images(source.unbinarized().train(), value_range), count)
  real = np.asarray(to_uint8(training))
  features, reference = network.features(np.asarray(to_uint8(samples))), reference_of(network, real)
  yield from ((f'{name}_inception'.replace('frechet', 'fid'), value) for name, value in frechet_to(features, reference))
  kernel = kernel_distance(features, reference.features, scaled=False)
  yield from ((f'{name}_inception'.replace('kernel_distance', 'kid'), value) for name, value in kernel.items())
  height, width = real.shape[1:3]
  yield (
    'inception_protocol',
    f'{len(samples)} samples (rows from {source.first_row}), {len(real)} training images at random, {height}x{width} '
    f'enlarged to {inception.SIZE}x{inception.SIZE}; the kernel distance of {len(reference.features)} of these; '
    f'seed 0; weights {network.hash}',
  )


def reference_of(network: inception.Inception, real: np.ndarray) -> Reference:
  """The reference of uint8 images [N,H,W,C]; read from the disk where it is there already."""
  path = reference_path('inception', network.hash, hashlib.sha256(str(real.shape).encode() + real.tobytes()).digest())
  if (reference := read(path)) is None:
    features = network.features(real)
    reference = Reference(*moments(features), random_subset([features], KEPT), np.zeros(0), np.array(len(features)))
    write(path, reference)
  return reference
