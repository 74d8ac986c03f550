"""FID and KID, with a network that is known in the place of InceptionV3."""

import types

import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel
from sources import KnownSource, padded_batches

from gen_jax.evaluation import inception
from gen_jax.evaluation.distances import frechet_distance
from gen_jax.evaluation.fid import inception_distances


def pixels_of(seed, rows=300):
  return np.random.default_rng(seed).uniform(-1, 1, (rows, 2, 2, 1)).astype(np.float32)


class Samples:
  classes = 0

  def sample(self, batch):
    return pixels_of(1)[np.asarray(batch['row'])]


@pytest.fixture
def seen(monkeypatch, tmp_path):
  """The images that the network in the place of Inception has seen."""
  images = []

  def features(uint8):
    images.append(uint8)
    return uint8.reshape(len(uint8), -1)[:, :3].astype(np.float32) / 100

  monkeypatch.setattr(inception, 'load', lambda path: types.SimpleNamespace(features=features, hash='abc'))
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  return images


def distances():
  given = {'value_range': (-1.0, 1.0), 'inception_weights': 'weights.npz', 'sample_count': 300}
  gray = KnownSource(train=padded_batches(300, 9, 5.0, image=pixels_of(0)), **given)
  return dict(inception_distances(Samples(), KnownSource(unbinarized=gray, **given)))


def test_they_are_those_of_the_features_of_uint8_images(seen):
  results = distances()
  assert all(x.dtype == np.uint8 for x in seen) and [len(x) for x in seen] == [300, 300]
  fake, real = (np.round((pixels_of(seed) + 1) * 127.5).reshape(300, -1)[:, :3] / 100 for seed in (1, 0))
  assert results['fid_inception'] == pytest.approx(frechet_distance(fake, real), rel=1e-4)
  trace = np.trace(np.cov(real.T))
  assert results['fid_over_trace_inception'] == pytest.approx(results['fid_inception'] / trace, rel=1e-4)
  # as published, of features that are not scaled: here over all pairs, there the mean over subsets
  within = lambda x: (polynomial_kernel(x).sum() - np.diag(polynomial_kernel(x)).sum()) / (300 * 299)
  kernel = within(fake) + within(real) - 2 * polynomial_kernel(fake, real).mean()
  assert results['kid_inception'] == pytest.approx(kernel, abs=3 * results['kid_stderr_inception'])
  assert results['inception_protocol'] == (
    '300 samples (rows from 0), 300 training images at random, 2x2 enlarged to 299x299; '
    'the kernel distance of 300 of these; seed 0; weights abc'
  )


def test_what_real_images_look_like_is_asked_once(seen):
  first = distances()
  seen.clear()
  assert distances() == first and len(seen) == 1
