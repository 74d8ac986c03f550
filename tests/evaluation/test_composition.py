"""Classes of which all is known: a mixture of Gaussians, its denoiser without labels, and its classifier of noisy x."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sources import KnownSource, digits_like_mnist, padded_batches

from gen_jax.diffusion.guidance import classifier_guided
from gen_jax.diffusion.settings import sampler_variables
from gen_jax.evaluation import composition
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.composition import Guided, Measured, choose, guided_by, measure
from gen_jax.models import Diffusion

MEANS, DEVIATION = jnp.array([-1.0, 0.0, 1.5]), 0.2
SAMPLER = {'steps': 40, 'guidance': 1.0, 'interval': (0.0, 1e6), 'churn': 0.0}
ALWAYS = (0.0, 1e6)
STATISTICS = {'mean': jnp.zeros(1), 'deviation': jnp.float32(1.0)}
traced = []


def log_posterior(x, sigma):
  """log p(y | x; sigma) [B,3] of scalars x [B], equally many of each class."""
  variance = DEVIATION**2 + sigma**2
  return jax.nn.log_softmax(-0.5 * (x[:, None] - MEANS[None]) ** 2 / variance[:, None])


def denoise_class(x, sigma, mean):
  """E[x0 | x, y] of scalars x [B]."""
  return mean + DEVIATION**2 / (DEVIATION**2 + sigma**2) * (x - mean)


class ExactDenoiser(nn.Module):
  """F of EDM, with sigma_data = 1, whose D is that of the mixture."""

  def __call__(self, x, noise, labels, rows, train):
    sigma = jnp.exp(4 * noise)
    root = jnp.sqrt(1 + sigma**2)
    noisy = x[:, 0, 0, 0] * root
    estimates = denoise_class(noisy[:, None], sigma[:, None], MEANS[None])
    d = (jnp.exp(log_posterior(noisy, sigma)) * estimates).sum(1)
    return ((d - noisy / root**2) * root / sigma)[:, None, None, None]


class ExactClassifier(nn.Module):
  def log_posterior(self, x, sigma, rows):
    traced.append(x.shape)
    return log_posterior(x[:, 0, 0, 0], sigma)


DIFFUSION = Diffusion(ExactDenoiser(), (1, 1, 1), None)


def guided(strength, interval=ALWAYS):
  variables = {'statistics': STATISTICS, **sampler_variables(SAMPLER)}
  return Guided(BoundModel(DIFFUSION, variables), ExactClassifier(), {}, 3, strength, interval)


def batch_of(label, rows=2000):
  return {'row': jnp.arange(rows, dtype=jnp.int32), 'label': jnp.full(rows, label, jnp.int32)}


def test_the_gradient_of_the_classifier_makes_the_denoiser_that_of_the_class():
  variables = {'statistics': STATISTICS}
  x = jnp.linspace(-3, 3, 30)[:, None, None, None]
  rows = jnp.arange(30)
  plain = lambda x, sigma: DIFFUSION.apply(variables, x, jnp.full(30, sigma), None, rows, method='denoise')
  for sigma in (0.05, 0.5, 4.0):
    log_prob = lambda x, sigma: log_posterior(x[:, 0, 0, 0], jnp.full(len(x), sigma))[:, 2]
    found = classifier_guided(plain, log_prob, 1.0, ALWAYS)(x, jnp.float32(sigma))
    exact = denoise_class(x[:, 0, 0, 0], sigma, MEANS[2])
    np.testing.assert_allclose(found[:, 0, 0, 0], exact, atol=2e-3)


@pytest.mark.parametrize('label', [0, 2])
def test_guided_samples_are_of_the_class(label):
  samples = np.asarray(guided(1.0).sample(batch_of(label)))
  assert samples.mean() == pytest.approx(float(MEANS[label]), abs=0.03)
  assert samples.std() == pytest.approx(DEVIATION, rel=0.1)


def test_without_strength_or_outside_of_the_interval_they_are_those_of_the_model():
  batch = batch_of(2)
  own = guided(0.0).model.sample({'row': batch['row']})
  for model in (guided(0.0), guided(1.0, interval=(200.0, 300.0))):
    np.testing.assert_allclose(model.sample(batch), own, atol=1e-4)
  shares = [(abs(np.asarray(own) - mean) < 0.5).mean() for mean in MEANS]
  np.testing.assert_allclose(shares, [1 / 3] * 3, atol=0.05)


def test_two_conditions_add_their_scores():
  batch = {'row': jnp.arange(500, dtype=jnp.int32), 'labels': jnp.tile(jnp.array([[2, 2]]), (500, 1))}
  twice = guided(1.0).sample(batch)
  np.testing.assert_allclose(twice, guided(2.0).sample(batch_of(2, 500)), atol=1e-3)


def test_another_strength_compiles_nothing():
  rows = 7  # a size that no other test compiles
  guided(0.5).sample(batch_of(1, rows))
  before = len(traced)
  guided(3.0, interval=(0.5, 2.0)).sample(batch_of(1, rows))
  assert before == len(traced) > 0 and guided_by(ExactClassifier()) is guided_by(ExactClassifier())


class Repeats:
  """Instead of `Guided`: images of the class asked for, of the share `right`, else of the next class."""

  classes = 10

  def __init__(self, right):
    images, labels = digits_like_mnist('train')
    self.strength, self._right = 1.0, right
    self._images = [images[labels == c] for c in range(10)]

  def sample(self, batch):
    moved = (batch['row'] % 10 >= 10 * self._right).astype(int)
    of = lambda row, label: self._images[label % 10][row % len(self._images[label % 10])]
    return np.stack([of(*pair) for pair in zip(batch['row'], batch['label'] + moved, strict=True)])


def test_what_is_measured_of_known_samples():
  images, labels = digits_like_mnist('test')
  gray = KnownSource(padded_batches(image=images, label=labels), padded_batches(image=images))
  source = KnownSource(unbinarized=gray, class_counts=lambda: np.ones(10), sample_count=200)
  results = {right: measure(Repeats(right), source) for right in (1.0, 0.5)}
  right, half = (results[right][0] for right in (1.0, 0.5))
  assert right.accuracy > 0.85 and half.accuracy == pytest.approx(right.accuracy / 2, abs=0.06)
  assert right.precision > 0.8 and half.precision == pytest.approx(right.precision / 2, abs=0.06)
  assert right.recall > half.recall + 0.03  # by half as many samples of each class
  assert half.distance == pytest.approx(right.distance, rel=0.5)  # the classes are as frequent
  assert results[1.0][1].shape == (200, 28, 28, 1) and np.bincount(results[1.0][2]).tolist() == 10 * [20]


def point(strength, accuracy, distance):
  return Measured(strength, accuracy, distance, distance, 0.5, 0.5)


def test_the_most_accurate_of_the_near_ones_is_chosen():
  curve = [point(1, 0.9, 1.0), point(2, 0.98, 1.9), point(4, 0.99, 2.1)]
  assert choose(curve, point(0, 0.1, 1.0)).strength == 2
  assert choose(curve, point(0, 0.1, 0.2)).strength == 1
  assert composition.FARTHEST == 2
