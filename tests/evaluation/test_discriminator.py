"""What the diagnostics of a GAN say of players that are known."""

import numpy as np
import pytest
from sources import KnownSource, padded_batches

from gen_jax.data.dataset import from_arrays
from gen_jax.evaluation.discriminator import discriminator, fixed_noise, mean_pair_distance, roc_auc


class Players:
  """A discriminator whose logit is the mean, and samples that are given."""

  classes = 0

  def __init__(self, samples):
    self._samples = samples

  def sample(self, batch):
    return self._samples[np.asarray(batch['row']) % len(self._samples)]

  def logits(self, batch):
    return np.asarray(batch['image']).mean((1, 2, 3))

  def fake_logits(self, batch):
    return self.logits({'image': self.sample(batch)})


def batches_of(images):
  return padded_batches(150, 5, 1e6, image=images)


def noise(seed, mean=0.0, rows=200):
  return (mean + np.random.default_rng(seed).standard_normal((rows, 3, 3, 1))).astype(np.float32)


def test_a_discriminator_that_remembers_tells_training_images_from_others(capsys):
  results = dict(discriminator(Players(noise(2, -5)), KnownSource(batches_of(noise(1)), batches_of(noise(0, 5)))))
  assert results['auc_train_vs_held_out'] == results['auc_train_vs_fake'] == results['auc_held_out_vs_fake'] == 1
  assert results['logit_train'] == pytest.approx(5, abs=0.2) and results['logit_fake'] == pytest.approx(-5, abs=0.2)
  assert results['pair_distance_ratio'] == pytest.approx(1, abs=0.1) and 'collapsed' not in capsys.readouterr().err


def test_one_that_knows_nothing_and_a_generator_that_has_collapsed(capsys):
  one = np.broadcast_to(noise(2, rows=1), (50, 3, 3, 1)) + 0.01 * noise(3, rows=50)
  results = dict(discriminator(Players(one), KnownSource(batches_of(noise(1)), batches_of(noise(0)))))
  assert results['auc_train_vs_held_out'] == pytest.approx(0.5, abs=0.08)
  assert results['pair_distance_ratio'] < 0.02 and 'the generator has collapsed' in capsys.readouterr().err


def test_distances_and_ranks_against_loops():
  x, a, b = noise(0, rows=7), np.array([1.0, 2.0, 2.0]), np.array([0.0, 2.0])
  pairs = [np.linalg.norm(x[i] - x[j]) for i in range(7) for j in range(i)]
  np.testing.assert_allclose(mean_pair_distance(x), np.mean(pairs), rtol=1e-5)
  np.testing.assert_allclose(roc_auc(a, b), np.mean([(i > j) + (i == j) / 2 for i in a for j in b]))


def test_fixed_noise_is_images_or_points():
  images = dict(fixed_noise(Players(noise(0)), KnownSource(value_range=(-1.0, 1.0))))['fixed_noise']
  assert images.dtype == np.uint8 and images.shape == (100, 3, 3, 1)
  plane = noise(0, rows=20).reshape(-1)[:40].reshape(20, 1, 1, 2)
  source = KnownSource(data=from_arrays({'image': plane}, kind='points'))
  points = dict(fixed_noise(Players(plane), source))['fixed_noise']
  assert points.shape == (2000, 2)
  np.testing.assert_array_equal(points[:20], plane.reshape(-1, 2))
