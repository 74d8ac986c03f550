"""Bayes' rule: a model of images of each class as a classifier, p(y|x) = p(x|y) p(y) / p(x)."""

import functools
from collections.abc import Callable, Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.likelihood import importance_weights
from gen_jax.evaluation.needs import conditional, labels, methods, needs
from gen_jax.evaluation.source import Source, collect
from gen_jax.metrics import Metric, measures
from gen_jax.networks import Bernoulli
from gen_jax.types import Batch

BINS = 15  # of the calibration error, of as many examples each
COVERAGES = (90, 80)  # percent of the examples that are kept
COLDEST, HOTTEST = 1e-3, 1e5  # temperatures


@functools.cache
def classifier(samples: int) -> Callable[[nn.Module, Batch], jax.Array]:
  """A cached function (model, batch) -> log p(x|y) [B] of the labels of the batch, compiled once for all classes.

  By `class_log_prob` where the model has it, which may lack a constant that all classes share; else exact with 0
  samples, and with more by `importance_weights`.
  """

  def log_prob(model, batch):
    if hasattr(model, 'class_log_prob'):
      return model.class_log_prob(batch)
    if not samples:
      return model.log_prob(batch)
    return importance_weights(model, batch, samples, model.make_rng('noise')).log_mean

  return log_prob


def log_probs_of_classes(model: BoundModel, batch: Batch, samples: int) -> jax.Array:
  """log p(x|y) of every class y, [B,classes], by the same noise for each, as it is keyed by the row alone.

  Of a model with `class_screening` first a coarse estimate of all classes, then the full one of the likeliest (Li et
  al., 2023, algorithm 2).
  """
  screened = getattr(model.module, 'class_screening', 0) and model.module.class_candidates < model.classes
  of = lambda label, method: model.compute(method, {**batch, 'label': label.astype(jnp.int32)})
  full, first = classifier(samples), 'screening_log_prob' if screened else classifier(samples)
  every = jnp.stack([of(jnp.full(batch['row'].shape, y), first) for y in range(model.classes)], axis=1)
  if not screened:
    return every
  candidates = jax.lax.top_k(every, model.module.class_candidates)[1]
  finer = jnp.stack([of(label, full) for label in candidates.T], axis=1)
  return refine(every, candidates, finer)


def refine(coarse: jax.Array, candidates: jax.Array, finer: jax.Array) -> jax.Array:
  """The coarse estimates of log p(x|y) [B,classes] with the finer ones of the candidates [B,K] in their places.

  The others are moved by what that adds to the candidates on average: most of what tells the two estimates apart is
  their noise, which all classes share.
  """
  shift = (finer - jnp.take_along_axis(coarse, candidates, axis=1)).mean(1, keepdims=True)
  return jnp.put_along_axis(coarse + shift, candidates, finer, axis=1, inplace=False)


@measures({
  'bayes_accuracy': Metric(
    "the share of images whose class the model tells by Bayes' rule; nearest neighbors tell .969 of MNIST's, .850 of "
    "Fashion-MNIST's",
    '', 'higher', headline=True,
  ),
  '{metric}_stderr': Metric('standard error over the examples'),
  'bayes_accuracy_at_{coverage}': Metric(
    'the share of images whose class is told, of the percentage of which the model is surest', better='higher'
  ),
  'bayes_nll': Metric("-log p(y|x), by Bayes' rule", 'nats', 'lower'),
  'bayes_calibration_error': Metric(
    f'by how much the probability of the class told is off, a mean over {BINS} bins of equally many images',
    better='lower',
  ),
  'bayes_temperature': Metric(
    'the T by which p(x|y)^(1/T) p(y) tells most of the labels of the validation split; above 1, p(y|x) is too sure'
  ),
  'bayes_nll_tempered': Metric('-log p(y|x) at that temperature', 'nats', 'lower'),
  'bayes_calibration_error_tempered': Metric('the calibration error at that temperature', better='lower'),
  'bayes_samples': Metric('how many z of each example estimate its log p(x|y); none where that is exact'),
})  # fmt: skip
@needs(labels, conditional, methods('class_log_prob', 'log_prob', 'log_weights'))
def generative_classifier(model: BoundModel, source: Source) -> Iterator[tuple[str, float | np.ndarray]]:
  """How well p(y|x) = p(x|y) p(y) / sum_y' p(x|y') p(y') tells the class y of an image, p(y) that of training.

  Densities of many pixels differ by many nats, so that p(y|x) is too sure. Beside it stands that of log p(x|y) / T,
  with the one T at which the labels of the validation split (at most `settings.validation_examples`) are likeliest; by
  its probability of the class that is told images are rejected. It makes no other decisions where classes are equally
  frequent.

  By importance weights a Bernoulli p(b|z) of binarized images b tells the class of the gray image x of which they are
  drawn, not of a single b: log p(x|z) = E_b[log p(b|z)] is its cross-entropy with x. As log sum e^f is convex in f, the
  weights of these stay below E_b[log p(b|y)].

  Also the arrays `bayes_confidence` [N] and `bayes_right` [N] of the examples, by that temperature.
  """
  with_density = 'class_log_prob' in model or 'log_prob' in model
  samples = 0 if with_density else source.settings.importance_samples
  if samples:
    yield 'bayes_samples', float(samples)
    if isinstance(getattr(model.module, 'likelihood', None), Bernoulli):
      source = source.unbinarized()
  log_prior = log_shares(source.class_counts())
  read = lambda batches: collect(batches, log_p=lambda x: log_probs_of_classes(model, x, samples), label='label')
  split = read(source.batches())
  held_out = read(source.of_split('validation').batches(source.settings.validation_examples))
  for rows in (split, held_out):
    if not np.isfinite(rows['log_p']).all():
      raise UserError('generative_classifier: log p(x|y) of some images is not finite')

  log_posterior = posterior_of(split['log_p'], log_prior)
  right = log_posterior.argmax(-1) == split['label']
  yield 'bayes_accuracy', float(right.mean())
  yield 'bayes_accuracy_stderr', float(np.sqrt(right.mean() * (1 - right.mean()) / len(right)))
  yield from calibration(log_posterior, split['label'], '')
  temperature = best_temperature(held_out['log_p'], log_prior, held_out['label'])
  tempered = posterior_of(split['log_p'], log_prior, temperature)
  yield 'bayes_temperature', temperature
  yield from calibration(tempered, split['label'], '_tempered')
  confidence, right = confidence_and_right(tempered, split['label'])
  for percent in COVERAGES:
    yield f'bayes_accuracy_at_{percent}', accuracy_at(percent / 100, confidence, right)
  yield from (('bayes_confidence', confidence), ('bayes_right', right))


def calibration(log_posterior: np.ndarray, label: np.ndarray, suffix: str) -> Iterator[tuple[str, float]]:
  """The mean of -log p(y|x), and the calibration error, of log p(y|x) [N,classes]."""
  yield f'bayes_nll{suffix}', mean_nll(log_posterior, label)
  yield f'bayes_calibration_error{suffix}', calibration_error(*confidence_and_right(log_posterior, label))


def log_shares(counts: np.ndarray) -> np.ndarray:
  """The logarithm of each class's share of the examples, -inf of one without."""
  with np.errstate(divide='ignore'):
    return np.log(counts / counts.sum())


def posterior_of(log_p: np.ndarray, log_prior: np.ndarray, temperature: float = 1.0) -> np.ndarray:
  """log p(y|x) [N,classes] of log p(x|y) / T + log p(y), float64."""
  from scipy.special import log_softmax  # slow to import

  return log_softmax(log_p.astype(np.float64) / temperature + log_prior, axis=1)


def mean_nll(log_posterior: np.ndarray, label: np.ndarray) -> float:
  """The mean of -log p(y|x)."""
  return -float(log_posterior[np.arange(len(label)), label].mean())


def best_temperature(log_p: np.ndarray, log_prior: np.ndarray, label: np.ndarray) -> float:
  """The T in [COLDEST, HOTTEST] at which the labels are likeliest (Guo et al., 2017), each trusted N / (N + 1).

  With 1 / (N + 1) it is of any class, as by Platt (1999): where all N examples are told rightly, T would else fall to
  its lowest, and one mistake elsewhere would cost without bound. Their log likelihood is concave in 1/T, so that there
  is one.
  """
  from scipy.optimize import minimize_scalar

  classes = np.isfinite(log_prior)  # one without training examples is told at no temperature
  known = classes[label]
  if not known.any():
    return 1.0
  share = 1 / (known.sum() + 1)

  def nll(log_t):
    log_posterior = posterior_of(log_p[known], log_prior, float(np.exp(log_t)))
    return (1 - share) * mean_nll(log_posterior, label[known]) - share * log_posterior[:, classes].mean()

  bounds = np.log(COLDEST), np.log(HOTTEST)
  return float(np.exp(minimize_scalar(nll, bounds=bounds, method='bounded', options={'xatol': 1e-4}).x))


def confidence_and_right(log_posterior: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """(max_y p(y|x) [N], whether that y is the label [N])."""
  return np.exp(log_posterior.max(-1)), log_posterior.argmax(-1) == label


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
  """sum_b n_b / N |accuracy_b - mean confidence_b| of bins of equally many examples (Nguyen & O'Connor, 2015)."""
  parts = np.array_split(np.argsort(confidence, kind='stable'), min(bins, len(confidence)))
  return float(sum(abs(right[rows].sum() - confidence[rows].sum()) for rows in parts) / len(confidence))


def rejection_curve(confidence: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """(shares kept k / N [N], the accuracy of the k of which the confidence is highest [N]), k = 1..N."""
  order = np.argsort(-confidence, kind='stable')
  kept = np.arange(1, len(order) + 1)
  return kept / len(order), np.cumsum(right[order]) / kept


def accuracy_at(share: float, confidence: np.ndarray, right: np.ndarray) -> float:
  """The accuracy of this share of the examples, of which the confidence is highest."""
  return float(rejection_curve(confidence, right)[1][max(1, round(share * len(right))) - 1])
