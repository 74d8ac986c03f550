"""Whether a conditional model draws the class that it was asked for, and how varied its classes are."""

from collections.abc import Iterator, Sequence

import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.distances import precision_recall
from gen_jax.evaluation.extractors import load
from gen_jax.evaluation.means import Batches
from gen_jax.evaluation.samples import NEIGHBOURS, draw, is_binary, outputs, unit

PER_CLASS = 1000


def class_agreement(
  verbs,
  batches: Batches,
  per_class: int = PER_CLASS,
  *,
  grey_batches: Batches,
  value_range: Sequence[float],
  data_name: str,
  extractors: str,
) -> Iterator[tuple[str, float | str]]:
  """What the frozen CNN of the data set says of `per_class` samples of each class, and their variety.

  It is that of the data set `data_name`, or where `extractors` says (`extractors.find`).

  named_right, named_right_class_c: the share of samples that are named as the class asked for.
  named_right_data: the same of the split itself, a ceiling.
  within_class_variance_ratio: `within_class_variance` of the samples by that of the split.
  within_class_precision, within_class_recall: by the classifier's features, of `per_class` samples of a class and the
      split's images of it, k = 3, averaged over the classes that have at least four of both; none without such.
      They depend on the counts: compare at the same ones.
  classifier_hash: of the classifier's weights.

  A decoder's sample is E[x|z], so it stands beside the grey images, clipped to [0, 1]: the noise of binary pixels would
  hide what the means lack. Binary samples stand beside the images as the model sees them. All are resized where the
  classifier knows another size. Raises UserError for a model that is not conditional on the classifier's classes.
  """
  judge = load('cnn', data_name, extractors)
  if verbs.classes != judge.classes:
    kind = f'has {verbs.classes} classes' if verbs.classes else 'is not conditional'
    raise UserError(
      f'class_agreement needs a model conditional on the {judge.classes} classes of {judge.name}: this one {kind}'
    )
  samples = draw(verbs, per_class * judge.classes, value_range)
  asked = np.arange(len(samples)) % judge.classes
  images, labels = split(batches if is_binary(samples) else grey_batches, value_range)
  (said, fake), (said_of_images, real) = outputs(judge, samples), outputs(judge, images)
  right = said.argmax(-1) == asked
  yield 'named_right', float(right.mean())
  for c in range(judge.classes):
    yield f'named_right_class_{c}', float(right[asked == c].mean())
  yield 'named_right_data', float((said_of_images.argmax(-1) == labels).mean())
  yield 'within_class_variance_ratio', within_class_variance(samples, asked) / within_class_variance(images, labels)
  for name, value in within_class_precision_recall(fake, asked, real, labels).items():
    yield f'within_class_{name}', value
  yield 'classifier_hash', judge.hash


def split(batches: Batches, value_range: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
  """Images [N,H,W,C] in [0, 1] and labels [N] of a split."""
  images, labels = [], []
  for batch in batches():
    there = np.asarray(batch['mask']) > 0
    images.append(unit(np.asarray(batch['image'])[there], value_range))
    labels.append(np.asarray(batch['label'])[there])
  return np.concatenate(images), np.concatenate(labels)


def within_class_precision_recall(
  fake: np.ndarray, asked: np.ndarray, real: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
  """Of features of samples [N,d] of a class among those of real images [M,d] of it, averaged over the classes."""
  pairs = [(real[labels == c], fake[asked == c]) for c in np.unique(labels)]
  found = [precision_recall(*pair, NEIGHBOURS) for pair in pairs if min(map(len, pair)) > NEIGHBOURS]
  return {name: float(np.mean([of_class[name] for of_class in found])) for name in ('precision', 'recall') if found}


def within_class_variance(images: np.ndarray, labels: np.ndarray) -> float:
  """sum_pixels Var(x | class), averaged over the classes that there are."""
  variances = [images[labels == c].var(axis=0, dtype=np.float64).sum() for c in np.unique(labels)]
  return float(np.mean(variances))
