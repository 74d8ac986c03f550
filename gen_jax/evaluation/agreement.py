"""Whether a conditional model draws the class that it was asked for, and how varied its classes are."""

from collections.abc import Iterator, Sequence

import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation import extractors
from gen_jax.evaluation.samples import draw, is_binary, unit
from gen_jax.evaluation.terms import Batches

PER_CLASS = 1000


def class_agreement(
  verbs,
  batches: Batches,
  per_class: int = PER_CLASS,
  *,
  grey_batches: Batches,
  value_range: Sequence[float] = (0.0, 1.0),
) -> Iterator[tuple[str, float | str]]:
  """What the frozen classifier of digits says of `per_class` samples of each class, and their variety.

  named_right, named_right_class_c: the share of samples that are named as the class asked for.
  named_right_data: the same of the split itself, a ceiling.
  within_class_variance_ratio: `within_class_variance` of the samples by that of the split.
  classifier_hash: of the classifier's weights.

  A decoder's sample is E[x|z], so it stands beside the grey images, clipped to [0, 1]: the noise of binary pixels would
  hide what the means lack. Binary samples stand beside the images as the model sees them. Raises UserError for a
  model that is not conditional, or not on ten classes.
  """
  judge = extractors.load('cnn', 'mnist')
  if verbs.classes != judge.classes:
    kind = f'has {verbs.classes} classes' if verbs.classes else 'is not conditional'
    raise UserError(f'class_agreement needs a model conditional on the {judge.classes} digits: this one {kind}')
  samples = draw(verbs, per_class * judge.classes, value_range)
  asked = np.arange(len(samples)) % judge.classes
  images, labels = split(batches if is_binary(samples) else grey_batches, value_range)
  right = judge.named(samples) == asked
  yield 'named_right', float(right.mean())
  for c in range(judge.classes):
    yield f'named_right_class_{c}', float(right[asked == c].mean())
  yield 'named_right_data', float((judge.named(images) == labels).mean())
  yield 'within_class_variance_ratio', within_class_variance(samples, asked) / within_class_variance(images, labels)
  yield 'classifier_hash', judge.hash


def split(batches: Batches, value_range: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
  """Images [N,H,W,C] in [0, 1] and labels [N] of a split."""
  images, labels = [], []
  for batch in batches():
    there = np.asarray(batch['mask']) > 0
    images.append(unit(np.asarray(batch['image'])[there], value_range))
    labels.append(np.asarray(batch['label'])[there])
  return np.concatenate(images), np.concatenate(labels)


def within_class_variance(images: np.ndarray, labels: np.ndarray) -> float:
  """sum_pixels Var(x | class), averaged over the classes that there are."""
  variances = [images[labels == c].var(axis=0, dtype=np.float64).sum() for c in np.unique(labels)]
  return float(np.mean(variances))
