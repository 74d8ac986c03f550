"""Class accuracy: whether a conditional model draws the class that it was asked for, and how varied its classes are."""

from collections.abc import Iterator

import flax.linen as nn
import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.distances import precision_recall
from gen_jax.evaluation.extractors import of_source
from gen_jax.evaluation.needs import conditional, extractors_of_data, labels, needs, renamed
from gen_jax.evaluation.reference import extractor_outputs
from gen_jax.evaluation.sample_distances import NEIGHBORS
from gen_jax.evaluation.samples import draw_images, like_samples, to_unit_range
from gen_jax.evaluation.source import Source, collect
from gen_jax.metrics import Metric, measures

PER_CLASS = 1000


def extractor_of_the_classes(model: nn.Module, source: Source) -> str | None:
  """The frozen CNN tells as many classes apart as the data have."""
  del model
  extractor, classes = of_source('cnn', source), source.data.num_classes
  if extractor.classes == classes:
    return None
  return (
    f'needs an extractor of the {classes} classes of {source.name}, and {extractor.name} knows {extractor.classes}; '
    'name another in config.extractors'
  )


@renamed(metrics={'named_right*': 'class_accuracy*'})
@measures({
  'class_accuracy': Metric(
    'the share of samples that a frozen classifier takes for the class asked for', better='higher', headline=True
  ),
  'class_accuracy_class_{class}': Metric(
    'the share of samples of each class that a frozen classifier takes for it', better='higher'
  ),
  'class_accuracy_count': Metric('number of samples', beside='class_accuracy'),
  'class_accuracy_data': Metric('images of the split, a ceiling', beside='class_accuracy'),
  'within_class_variance_ratio': Metric(
    'the variance of samples within a class, by that of the images; below 1 they are too alike'
  ),
  'within_class_precision': Metric(
    'the share of samples that lie among the real images of their class', better='higher'
  ),
  'within_class_recall': Metric('the share of real images that samples of their class reach', better='higher'),
  'classifier_hash': Metric('the hash of the weights of the classifier'),
})
@needs(labels, conditional, extractors_of_data, extractor_of_the_classes)
def class_agreement(
  model: BoundModel, source: Source, per_class: int = PER_CLASS
) -> Iterator[tuple[str, float | str]]:
  """What the frozen CNN of the data set says of `per_class` samples of each class, and their variety.

  It is that of the data set, or where `settings.extractors` says (`extractors.find`).

  `class_accuracy_class_c` is that of the class that the CNN calls c, by its number where it has no name.
  `within_class_variance_ratio` is `within_class_variance` of the samples by that of the split. Precision and recall are
  by the classifier's features, of `per_class` samples of a class and the split's images of it, k = 3, averaged over the
  classes that have at least four of both; none without such. They depend on the counts: compare at the same ones.

  A decoder's sample is E[x|z], so it stands beside the gray images, clipped to [0, 1]: the noise of binary pixels would
  hide what the means lack. Binary samples stand beside the images as the model sees them. All are resized where the
  classifier knows another size. Raises UserError for a model that is not conditional on the classifier's classes.
  """
  extractor = of_source('cnn', source)
  if model.classes != extractor.classes:
    kind = f'has {model.classes} classes' if model.classes else 'is not conditional'
    raise UserError(
      f'class_agreement needs a model conditional on the {extractor.classes} classes of {extractor.name}: '
      f'this one {kind}'
    )
  wanted = np.arange(per_class * extractor.classes) % extractor.classes
  samples = draw_images(model, source, len(wanted), wanted)
  split = collect(like_samples(samples, source).batches(), images='image', labels='label')
  images, labels = to_unit_range(split['images'], source.value_range), split['labels']
  (logits, fake), (logits_of_images, real) = (extractor_outputs(extractor, x) for x in (samples, images))
  order = extractor.in_order_of(source.data.names_of_classes)
  right = logits[:, order].argmax(-1) == wanted
  yield 'class_accuracy', float(right.mean())
  yield 'class_accuracy_count', float(len(wanted))
  for c, place in enumerate(order):
    yield f'class_accuracy_class_{extractor.class_words[place]}', float(right[wanted == c].mean())
  yield 'class_accuracy_data', float((logits_of_images[:, order].argmax(-1) == labels).mean())
  if (variance := within_class_variance(images, labels)) > 0:  # none of one image a class
    yield 'within_class_variance_ratio', within_class_variance(samples, wanted) / variance
  for name, value in within_class_precision_recall(fake, wanted, real, labels).items():
    yield f'within_class_{name}', value
  yield 'classifier_hash', extractor.hash


def within_class_precision_recall(
  fake: np.ndarray, wanted: np.ndarray, real: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
  """Precision and recall of samples [N,d] of a class among real images [M,d] of it, averaged over the classes."""
  pairs = [(real[labels == c], fake[wanted == c]) for c in np.unique(labels)]
  of_classes = [precision_recall(*pair, NEIGHBORS) for pair in pairs if min(map(len, pair)) > NEIGHBORS]
  return {name: float(np.mean([x[name] for x in of_classes])) for name in ('precision', 'recall') if of_classes}


def within_class_variance(images: np.ndarray, labels: np.ndarray) -> float:
  """sum_pixels Var(x | class), averaged over the classes that there are."""
  variances = [images[labels == c].var(axis=0, dtype=np.float64).sum() for c in np.unique(labels)]
  return float(np.mean(variances))
