"""The standard distance, with a network that is known in the place of InceptionV3."""

import types

import numpy as np
import pytest

from gen_jax.errors import UserError
from gen_jax.evaluation import inception, inception_distances
from gen_jax.evaluation.distances import frechet_distance


def pixels_of(seed, rows=300):
  return np.random.default_rng(seed).uniform(-1, 1, (rows, 2, 2, 1)).astype(np.float32)


class Samples:
  classes = 0

  def sample(self, batch):
    return pixels_of(1)[np.asarray(batch['row'])]


def batches():
  yield {'image': np.concatenate([pixels_of(0), np.full((9, 2, 2, 1), 5.0)]), 'mask': np.arange(309) < 300}


def test_it_is_the_distance_of_the_features_of_uint8_images(monkeypatch):
  seen = []

  def features(images):
    seen.append(images)
    return images.reshape(len(images), -1)[:, :3].astype(np.float32)

  monkeypatch.setattr(inception, 'load', lambda path: types.SimpleNamespace(features=features, hash='abc'))
  monkeypatch.setattr(inception, 'WIDTH', 3)
  options = {'value_range': (-1.0, 1.0), 'inception_weights': 'weights.npz'}
  found = dict(inception_distances(Samples(), None, grey_train_batches=batches, sample_count=300, **options))
  assert all(x.dtype == np.uint8 for x in seen) and [len(x) for x in seen] == [300, 300]
  expected = [np.round((pixels_of(seed) + 1) * 127.5).reshape(300, -1)[:, :3] for seed in (1, 0)]
  np.testing.assert_allclose(found['frechet_inception'], frechet_distance(*expected), rtol=1e-4)
  assert set(found) == {'frechet_inception', 'kernel_inception', 'kernel_stderr_inception', 'inception_protocol'}
  assert 'abc' in found['inception_protocol'] and '300 samples' in found['inception_protocol']
  with pytest.raises(UserError, match='sample_count=3: 3 images have no covariance of 3 features'):
    dict(inception_distances(Samples(), None, grey_train_batches=batches, sample_count=3, **options))
