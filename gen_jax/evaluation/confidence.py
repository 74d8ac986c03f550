"""Confidence: how many samples a frozen classifier takes for one of its classes without doubt."""

from collections.abc import Iterator

import numpy as np

from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.extractors import Extractor, of_source
from gen_jax.evaluation.needs import examples, extractors_of_data, images, methods, needs
from gen_jax.evaluation.reference import extractor_outputs
from gen_jax.evaluation.samples import draw_images, like_samples, unit_images
from gen_jax.evaluation.source import Source
from gen_jax.metrics import Metric, measures

SURE = 0.9  # from which probability on


@measures({
  'confident_share': Metric(
    'the share of samples to whose likeliest class a frozen classifier gives a probability of at least .9; it says '
    'nothing of how varied they are', better='higher', headline=True,
  ),
  'confident_share_data': Metric('images of the split', beside='confident_share'),
  'confident_share_count': Metric('number of samples', beside='confident_share'),
  'classifier_hash': Metric('the hash of the weights of the classifier'),
})  # fmt: skip
@needs(images, methods('sample'), extractors_of_data, examples(1))
def confidence(model: BoundModel, source: Source) -> Iterator[tuple[str, float | str]]:
  """The share of `settings.sample_count` samples that the frozen CNN names with p >= .9, and of images of the split.

  The CNN is that of the data set, or where `settings.extractors` says (`extractors.find`). A conditional model is asked
  for classes as frequent as in the training split. Binary samples stand beside the images as the model sees them,
  others beside gray images. All are brought to [0, 1], and resized where the CNN knows another size.
  """
  extractor = of_source('cnn', source)
  samples = draw_images(model, source, source.settings.sample_count)
  source = like_samples(samples, source)
  split = np.concatenate(list(unit_images(source.batches(), source.value_range)))
  yield 'confident_share', confident_share(extractor, samples)
  yield 'confident_share_data', confident_share(extractor, split)
  yield 'confident_share_count', float(len(samples))
  yield 'classifier_hash', extractor.hash


def confident_share(extractor: Extractor, images: np.ndarray) -> float:
  """The share of images [N,H,W,C] in [0, 1] whose likeliest class has a probability of at least .9."""
  logits, _ = extractor_outputs(extractor, images)
  return float((largest_probability(logits) >= SURE).mean())


def largest_probability(logits: np.ndarray) -> np.ndarray:
  """max_c softmax(logits)_c [N], of logits [N,classes]."""
  return 1 / np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)
