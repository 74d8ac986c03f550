"""Gaussian classes, whose posterior is known; calibration and rejection by hand."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from sources import KnownSource, padded_batches

from gen_jax.errors import UserError
from gen_jax.evaluation import generative_classifier as bayes
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import first_problem
from gen_jax.networks import Bernoulli

MEANS = np.array([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])
SHARES = np.array([0.6, 0.3, 0.1])
LOGITS = np.array([[[3, -1], [-2, -2], [1, 2]], [[0, 2], [-2, -2], [-1, 0]]], np.float32)  # [z,y,pixel]


def log_density(images, label, sharpness=1.0):
  """sharpness log N(x; mean of the label, I)."""
  x = images.reshape(len(images), 2)
  return -0.5 * sharpness * ((x - jnp.asarray(MEANS, jnp.float32)[label]) ** 2).sum(-1)


class Exact(nn.Module):
  conditional: bool = True
  num_classes: int = 3
  sharpness: float = 1.0

  def log_prob(self, batch):
    return log_density(batch['image'], batch['label'], self.sharpness)


class ByWeights(nn.Module):
  conditional: bool = True
  num_classes: int = 3

  def log_weights(self, batch, key, samples):
    return jnp.broadcast_to(log_density(batch['image'], batch['label'])[None], (samples, len(batch['label'])))


class UpToAConstant(Exact):
  def class_log_prob(self, batch):
    return self.log_prob(batch) + 100 * batch['image'].sum((1, 2, 3))


class Screened(UpToAConstant):
  class_screening: int = 1
  class_candidates: int = 2

  def screening_log_prob(self, batch):
    return self.class_log_prob(batch) + rough(batch['image'], batch['label'])


def rough(images, label):
  """What a coarse estimate is off by."""
  return 3 * jnp.sin(50 * images.sum((1, 2, 3)) + label)


class OfBinaryImages(nn.Module):
  """p(b|y) = mean_z prod_i p(b_i|z, y) of two pixels; its two samples are z = 0 and z = 1."""

  conditional: bool = True
  num_classes: int = 3
  likelihood: nn.Module = Bernoulli(binary=True)

  def log_weights(self, batch, key, samples):
    p_b = self.likelihood(jnp.asarray(LOGITS)[:, batch['label']])
    return p_b.log_prob(batch['image'].reshape(1, -1, 2)).sum(-1)


class Broken(Exact):
  def log_prob(self, batch):
    return jnp.full(len(batch['label']), jnp.nan)


def drawn(number, seed):
  """x [N,1,1,2] of the mixture, and classes."""
  rng = np.random.default_rng(seed)
  label = rng.choice(3, number, p=SHARES).astype(np.int32)
  return (MEANS[label] + rng.standard_normal((number, 2))).astype(np.float32).reshape(-1, 1, 1, 2), label


class TwoSplits(KnownSource):
  def of_split(self, name):
    assert name == 'validation'
    x, label = drawn(4000, 1)
    return KnownSource(padded_batches(1000, 24, image=x, label=label))


def measured(module, number=3000):
  x, label = drawn(number, 0)
  split = padded_batches(1000, 24, image=x, label=label)
  source = TwoSplits(split, class_counts=lambda: 1000 * SHARES, importance_samples=7, validation_examples=4000)
  return dict(bayes.generative_classifier(BoundModel(module, {}), source))


def exact_posterior(number=3000):
  x, label = drawn(number, 0)
  log_p = np.stack([scipy.stats.norm.logpdf(x.reshape(-1, 2), mean).sum(-1) for mean in MEANS], 1)
  return scipy.special.softmax(log_p + np.log(SHARES), axis=1), label


def test_the_posterior_is_that_of_bayes_rule():
  posterior, label = exact_posterior()
  results = measured(Exact())
  right = posterior.argmax(1) == label
  assert results['bayes_accuracy'] == pytest.approx(right.mean(), abs=1e-3)
  assert results['bayes_accuracy_stderr'] == pytest.approx(right.std() / np.sqrt(3000), rel=0.01)
  assert results['bayes_nll'] == pytest.approx(-np.log(posterior[np.arange(3000), label]).mean(), rel=1e-4)
  assert results['bayes_calibration_error'] < 0.04  # it is the truth, told by 15 bins of 200
  assert results['bayes_temperature'] == pytest.approx(1, abs=0.08)
  assert 'bayes_samples' not in results and results['bayes_right'].mean() > 0.7
  assert results['bayes_accuracy'] < results['bayes_accuracy_at_90'] < results['bayes_accuracy_at_80']


def test_a_density_that_is_too_sharp_is_too_sure_until_it_is_tempered():
  exact, sharp = measured(Exact()), measured(Exact(sharpness=8.0))
  assert sharp['bayes_temperature'] == pytest.approx(8 * exact['bayes_temperature'], rel=1e-2)
  assert sharp['bayes_calibration_error'] > 3 * exact['bayes_calibration_error']
  assert sharp['bayes_nll_tempered'] == pytest.approx(exact['bayes_nll_tempered'], rel=1e-3)
  np.testing.assert_allclose(sharp['bayes_confidence'], exact['bayes_confidence'], atol=1e-3)


def test_a_temperature_of_labels_that_are_all_told_rightly_trusts_them_as_far_as_their_number():
  log_p, label, even = 5 * np.eye(2)[[0, 1] * 50], np.array([0, 1] * 50), np.log([0.5, 0.5])
  # the logistic function of 5 / T is what a label is trusted: N / (N + 1), and half of the rest
  expected = 5 / np.log((100 + 0.5) / 0.5)
  assert bayes.best_temperature(log_p, even, label) == pytest.approx(expected, rel=1e-3)


def test_importance_weights_and_densities_but_for_a_constant_say_the_same():
  exact = measured(Exact())
  weighted, shifted = measured(ByWeights()), measured(UpToAConstant())
  assert weighted.pop('bayes_samples') == 7
  for other in (weighted, shifted):
    assert other.keys() == exact.keys()
    assert other['bayes_nll'] == pytest.approx(exact['bayes_nll'], rel=1e-3)


def log_probs_of_classes(module, x, samples=0):
  batch = {'image': jnp.asarray(x), 'row': jnp.arange(len(x), dtype=jnp.int32)}
  return np.asarray(bayes.log_probs_of_classes(BoundModel(module, {}), batch, samples))


def test_the_likeliest_by_the_coarse_estimates_get_the_full_ones():
  x, _ = drawn(200, 0)
  full, found = log_probs_of_classes(UpToAConstant(), x), log_probs_of_classes(Screened(), x)
  coarse = full + np.stack([rough(x, label) for label in range(3)], 1)
  order = np.argsort(-coarse, 1)
  of = lambda values, columns: np.take_along_axis(values, columns, 1)
  two, other = order[:, :2], order[:, 2:]
  np.testing.assert_allclose(of(found, two), of(full, two), atol=2e-3)
  shift = (of(full, two) - of(coarse, two)).mean(1, keepdims=True)
  np.testing.assert_allclose(of(found, other), of(coarse, other) + shift, atol=5e-3)


def test_where_all_classes_are_candidates_none_is_screened():
  x, _ = drawn(20, 0)
  np.testing.assert_array_equal(
    log_probs_of_classes(Screened(class_candidates=3), x), log_probs_of_classes(UpToAConstant(), x)
  )


def test_refined_estimates_by_hand():
  coarse, candidates = jnp.array([[1.0, 2.0, 3.0, 0.0]]), jnp.array([[2, 1]])
  np.testing.assert_allclose(bayes.refine(coarse, candidates, jnp.array([[14.0, 11.0]])), [[11, 11, 14, 10]])


def test_gray_images_are_told_by_a_bound_on_the_mean_over_the_binary_ones_drawn_of_them():
  gray = np.array([[0.5, 0.5], [0.1, 0.9], [1.0, 0.0], [0.7, 0.2]], np.float32)
  binary = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
  drawn = scipy.stats.bernoulli.pmf(binary, gray[:, None]).prod(-1)  # P(b|x), [N,b]
  p_1 = scipy.special.expit(LOGITS)[:, :, None]
  log_p_b = np.log(scipy.stats.bernoulli.pmf(binary, p_1).prod(-1).mean(0))  # [y,b]
  found = log_probs_of_classes(OfBinaryImages(), gray.reshape(-1, 1, 1, 2), samples=2)
  gap = drawn @ log_p_b.T - found
  assert (gap[:, [0, 2]] > -1e-5).all() and gap[0, 0] > 0.1
  np.testing.assert_allclose(gap[:, 1], 0, atol=1e-5)  # of a class whose z tells nothing
  np.testing.assert_allclose(gap[2], 0, atol=1e-5)  # of an image without gray


def test_a_bernoulli_sees_the_images_before_they_are_binarized():
  x = np.array([[0.9, 0.3], [0.2, 0.1], [0.6, 0.9]], np.float32).reshape(-1, 1, 1, 2)
  settings = {'class_counts': lambda: np.ones(3), 'importance_samples': 2, 'validation_examples': 3}
  gray = KnownSource(padded_batches(2, 1, image=x, label=np.arange(3, dtype=np.int32)), **settings)
  gray.of_split = lambda name: gray
  source = KnownSource(unbinarized=gray, **settings)
  results = dict(bayes.generative_classifier(BoundModel(OfBinaryImages(), {}), source))
  log_p = log_probs_of_classes(OfBinaryImages(), x, samples=2)
  assert results['bayes_accuracy'] == 1
  assert results['bayes_nll'] == pytest.approx(-np.diag(scipy.special.log_softmax(log_p, 1)).mean(), rel=1e-5)


def test_the_calibration_error_by_hand():
  confidence, right = np.array([0.9, 0.6, 0.6, 0.9]), np.array([True, False, True, True])
  # bins of .6, .6 (half right) and .9, .9 (all right)
  assert bayes.calibration_error(confidence, right, bins=2) == pytest.approx((0.1 + 0.1) / 2)
  assert bayes.calibration_error(confidence, right, bins=1) == pytest.approx(0)
  assert bayes.calibration_error(np.ones(4), np.zeros(4, bool), bins=15) == 1


def test_the_rejection_curve_by_hand():
  confidence, right = np.array([0.5, 0.9, 0.7, 0.8]), np.array([False, True, False, True])
  shares, accuracies = bayes.rejection_curve(confidence, right)
  np.testing.assert_allclose(shares, [0.25, 0.5, 0.75, 1])
  np.testing.assert_allclose(accuracies, [1, 1, 2 / 3, 1 / 2])
  assert bayes.accuracy_at(0.75, confidence, right) == pytest.approx(2 / 3)
  assert bayes.accuracy_at(0.01, confidence, right) == 1


def test_a_class_without_training_examples_is_never_told():
  log_prior = bayes.log_shares(np.array([3, 0, 1]))
  log_posterior = bayes.posterior_of(np.array([[0.0, 1000.0, 0.0]]), log_prior)
  np.testing.assert_allclose(np.exp(log_posterior), [[0.75, 0, 0.25]])


def test_what_cannot_be_told_is_one_line():
  with pytest.raises(UserError, match=r'log p\(x\|y\) of some images is not finite'):
    measured(Broken())
  source = KnownSource()
  condition = bayes.generative_classifier.needs
  assert first_problem(condition[1:], Exact(conditional=False), source) == 'needs a conditional model'
