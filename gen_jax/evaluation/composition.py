"""Bayes' rule in samples: a diffusion model without labels, guided by a classifier of noisy images of another run."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.evaluation.agreement import within_class_precision_recall
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.extractors import NETWORKS, of_source
from gen_jax.evaluation.reference import extractor_outputs, references_of
from gen_jax.evaluation.sample_distances import frechet_to
from gen_jax.evaluation.samples import draw_images, labels_like_data, like_samples, to_unit_range
from gen_jax.evaluation.source import Source, collect
from gen_jax.types import Batch

FARTHEST = 2.0  # times the distance of samples without guidance that a chosen strength may have


@functools.cache
def guided_by(classifier: nn.Module) -> Callable[..., jax.Array]:
  """A cached function (diffusion model, batch, variables of the classifier, strength, interval [2]) -> guided samples.

  Cached, so that it is compiled once for all strengths and intervals. The batch says the class, 'label' [B], or several
  whose scores are added, 'labels' [B,K].
  """

  def sample(model: nn.Module, batch: Batch, variables: Any, strength: jax.Array, interval: jax.Array) -> jax.Array:
    """Samples [B,H,W,C] of the classes of the batch."""
    labels = batch['labels'] if 'labels' in batch else batch['label'][:, None]

    def log_prob(x: jax.Array, sigma: jax.Array) -> jax.Array:
      arguments = x, jnp.full(len(x), sigma), batch['row']
      log_p = classifier.apply(variables, *arguments, method='log_posterior')
      return jnp.take_along_axis(log_p, labels, axis=1).sum(1)

    return model.sample_guided(batch, log_prob, strength, (interval[0], interval[1]))

  return sample


@dataclasses.dataclass(frozen=True)
class Guided:
  """A diffusion model without labels and a classifier, which together draw samples of a class: about p(x) p(y|x)^w."""

  model: BoundModel  # which has `sample_guided`
  classifier: nn.Module  # which has `log_posterior`
  variables: Any  # of the classifier
  classes: int
  strength: float  # w
  interval: tuple[float, float] = (0.0, 1e6)  # guided where low < sigma <= high

  def sample(self, batch: Batch) -> jax.Array:
    """Samples of the classes of the batch, [B,H,W,C]."""
    how = jnp.float32(self.strength), jnp.asarray(self.interval)
    return self.model.compute(guided_by(self.classifier), batch, self.variables, *how)


class Measured(NamedTuple):
  """What the frozen networks of the data set say of samples of one strength."""

  strength: float
  accuracy: float  # the share that the CNN takes for the class asked for
  distance: float  # the Frechet distance by the trace of the real covariance, by the CNN
  distance_lenet: float  # the same by the LeNet
  precision: float  # within classes, by the features of the CNN
  recall: float


def measure(model: Guided, source: Source) -> tuple[Measured, np.ndarray, np.ndarray]:
  """(what is measured of N = `settings.sample_count` samples; these, [N,H,W,C] in [0, 1]; the classes asked for [N]).

  Classes are as frequent as in training.

  The CNN is that of `class_agreement`, which has seen no image of the model or of its classifier. Recall and precision
  are of the split beside which the samples stand. Numbers of other counts do not compare.
  """
  wanted = labels_like_data(model, source, source.settings.sample_count)
  samples = draw_images(model, source, len(wanted), wanted)
  source, extractors = like_samples(samples, source), {kind: of_source(kind, source) for kind in NETWORKS}
  references = references_of(extractors, source.train, source.value_range)
  outputs = {kind: extractor_outputs(x, samples) for kind, x in extractors.items()}
  distance = {kind: dict(frechet_to(outputs[kind][1], references[kind]))['frechet_over_trace'] for kind in NETWORKS}
  order = extractors['cnn'].in_order_of(source.data.names_of_classes)
  logits, fake = outputs['cnn']
  split = collect(source.batches(), images='image', labels='label')
  real = extractor_outputs(extractors['cnn'], to_unit_range(split['images'], source.value_range))[1]
  within = within_class_precision_recall(fake, wanted, real, split['labels'])
  accuracy = float((logits[:, order].argmax(-1) == wanted).mean())
  both = (within.get(name, float('nan')) for name in ('precision', 'recall'))  # none of too few samples
  return Measured(model.strength, accuracy, distance['cnn'], distance['lenet'], *both), samples, wanted


def choose(curve: Sequence[Measured], unguided: Measured) -> Measured:
  """The most accurate of those at most FARTHEST times as far from the data as samples without guidance are.

  The nearest of all where there is none.
  """
  near = [x for x in curve if x.distance <= FARTHEST * unguided.distance]
  return max(near, key=lambda x: x.accuracy) if near else min(curve, key=lambda x: x.distance)
