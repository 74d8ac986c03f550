"""FID, KID, precision and recall by the features of small frozen networks: how far samples are from the data.

The networks are `extractors` of the data set, not Inception, whose distances are in fid.py.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.distances import frechet_from_moments, kernel_distance, moments, precision_recall
from gen_jax.evaluation.extractors import NETWORKS, Extractor, of_source
from gen_jax.evaluation.needs import examples, extractors_of_data, images, methods, needs, renamed
from gen_jax.evaluation.reference import Reference, extractor_outputs, references_of, shares_of_classes
from gen_jax.evaluation.samples import draw_images, is_binary, like_samples, random_subset, unit_images
from gen_jax.evaluation.source import Source
from gen_jax.metrics import Metric, measures

MOST, NEIGHBORS = 5_000, 3  # rows of either side in precision and recall, and k
DISTANCES = ('frechet', 'frechet_over_trace', 'kernel', 'kernel_stderr', 'precision', 'recall', 'density', 'coverage')
Values = Iterator[tuple[str, float | str]]


@renamed(
  metrics={
    'floor_count': 'unseen_count',
    **{f'{name}_{kind}_floor': f'{name}_{kind}_unseen' for name in DISTANCES for kind in NETWORKS},
  }
)
@measures({
  'frechet_{network}': Metric(
    'the Frechet distance of samples and training images, by the features of a small network; 0 where their means and '
    'covariances agree', better='lower',
  ),
  'frechet_over_trace_{network}': Metric(
    'the Frechet distance by the trace of the real covariance, so that networks compare', '', 'lower', headline=True
  ),
  'kernel_{network}': Metric('the kernel distance, 0 for two samples of one distribution', better='lower'),
  'kernel_stderr_{network}': Metric('the standard error of the kernel distance'),
  'precision_{network}': Metric('the share of samples that lie among the real images', better='higher'),
  'recall_{network}': Metric('the share of real images that samples reach', better='higher'),
  'density_{network}': Metric('how densely real images lie around samples; 1 of the data themselves', better='higher'),
  'coverage_{network}': Metric('the share of real images that have a sample near them', better='higher'),
  '{metric}_unseen': Metric('unseen images'),
  'share_class_{class}': Metric('the share of samples that the network takes for each class'),
  'least_share_ratio': Metric('the share of the rarest class by its share of the data', better='higher'),
  'most_share_ratio': Metric('the share of the commonest class by its share of the data', better='lower'),
  'extractor_{network}': Metric('the network whose features were compared, and the hash of its weights'),
  'sample_count': Metric('how many samples were measured; distances compare at the same count alone'),
  'unseen_count': Metric('how many unseen images were measured'),
  'reference_count': Metric('how many training images were measured'),
  'sample_protocol': Metric('how many images were measured, and which'),
})  # fmt: skip
@needs(images, methods('sample'), extractors_of_data, examples(NEIGHBORS + 1))
def sample_distances(model: BoundModel, source: Source) -> Values:
  """Distances of `settings.sample_count` samples from the training split, by the features of two frozen networks.

  Those are 'cnn' and 'lenet' of the data set, or where `settings.extractors` says (`extractors.find`). Precision and
  the rest are of 5,000 samples and 5,000 real images, or of as many as there are, k = 3; `_unseen` of as many images of
  the split, or of all, as if they were samples, which is no bound: samples may lie nearer to the training split than
  another split does. The shares of classes are by the CNN.

  A conditional model is asked for classes as frequent as in the training split. Binary samples stand beside the images
  as the model sees them, others beside gray images. All are brought to [0, 1], and resized where the networks know
  another size. Distances compare at the same counts and hashes alone.
  """
  extractors = {kind: of_source(kind, source) for kind in NETWORKS}
  samples = draw_images(model, source, source.settings.sample_count)
  source = like_samples(samples, source)
  references = references_of(extractors, source.train, source.value_range)
  unseen = random_subset(unit_images(source.batches(), source.value_range), source.settings.sample_count)
  for kind, reference in references.items():
    extractor = extractors[kind]
    logits, features = extractor_outputs(extractor, samples)
    yield from ((f'{name}_{kind}', value) for name, value in all_distances(features, reference))
    of_unseen = all_distances(extractor_outputs(extractor, unseen)[1], reference)
    yield from ((f'{name}_{kind}_unseen', value) for name, value in of_unseen)
    if kind == 'cnn':
      yield from class_shares(logits, reference, extractor.class_words)
    yield f'extractor_{kind}', f'{extractor.name} {extractor.hash}'
  counts = len(samples), len(unseen), int(reference.count)
  yield from zip(('sample_count', 'unseen_count', 'reference_count'), map(float, counts), strict=True)
  yield 'sample_protocol', protocol(samples, source.first_row, unseen, reference, extractor)


@measures({name: metric for name, metric in sample_distances.metrics.items() if name.startswith('frechet_over_trace')})
@needs(images, methods('sample'), extractors_of_data, examples(2, 'train'))
def frechet(model: BoundModel, source: Source) -> Values:
  """`frechet_over_trace_cnn` and `_lenet` of `sample_distances` alone, by which checkpoints are told apart."""
  extractors = {kind: of_source(kind, source) for kind in NETWORKS}
  samples = draw_images(model, source, source.settings.sample_count)
  references = references_of(extractors, like_samples(samples, source).train, source.value_range)
  for kind, reference in references.items():
    distances = dict(frechet_to(extractor_outputs(extractors[kind], samples)[1], reference))
    yield f'frechet_over_trace_{kind}', distances['frechet_over_trace']


def protocol(
  samples: np.ndarray, first_row: int, unseen: np.ndarray, reference: Reference, extractor: Extractor
) -> str:
  """The protocol of `sample_distances` in words: the data, how many images of each, the network."""
  size, seen = ('x'.join(map(str, shape[:2])) for shape in (samples.shape[1:], extractor.image_shape))
  kept = len(reference.features)
  return (
    f'{len(samples)} samples (rows from {first_row}) and {len(unseen)} images of the split, beside all '
    f'{reference.count} of train, {kept} of them for the kernel distance; precision and the rest of at most '
    f'{min(MOST, kept)} of each, k = {NEIGHBORS}; {"binary" if is_binary(samples) else "not binary"}, '
    f'{size if size == seen else f"{size} resized to {seen}"}; seed 0'
  )


def all_distances(features: np.ndarray, reference: Reference) -> Values:
  """All distances of features [N,d] from the reference."""
  yield from frechet_to(features, reference)
  kernel = kernel_distance(features, reference.features)
  yield from ((name.replace('_distance', ''), value) for name, value in kernel.items())
  most = min(MOST, len(features), len(reference.features))
  yield from precision_recall(reference.features[:most], features[:most], NEIGHBORS).items()


def frechet_to(features: np.ndarray, reference: Reference) -> Values:
  """The Frechet distance of features [N,d] from the reference, and the same by the trace of its covariance."""
  distance = frechet_from_moments(*moments(features), reference.mean, reference.covariance)
  yield 'frechet', distance
  yield 'frechet_over_trace', distance / float(np.trace(reference.covariance))


def class_shares(logits: np.ndarray, reference: Reference, words: Sequence[str]) -> Values:
  """The share of each class by logits [N,classes], and the extremes of their ratios to those of the reference."""
  shares = shares_of_classes(logits)
  yield from ((f'share_class_{word}', float(share)) for word, share in zip(words, shares, strict=True))
  mask = reference.shares > 0
  ratios = shares[mask] / reference.shares[mask]
  yield 'least_share_ratio', float(ratios.min())
  yield 'most_share_ratio', float(ratios.max())
