import numpy as np
import pytest
from sources import KnownSource, Repeats, digits_like_mnist, gray_source, padded_batches

from gen_jax.errors import UserError
from gen_jax.evaluation import memorization
from gen_jax.evaluation.memorization import nearest_neighbors

TRAIN, TEST = (digits_like_mnist(split)[0][:400] for split in ('train', 'validation'))


def memorization_of(model, **given):
  return dict(memorization.memorization(model, gray_source(TRAIN, TEST, **given)))


def test_copies_of_training_images_are_seen():
  copies = memorization_of(Repeats(TRAIN))
  assert copies['nearest_samples'] == copies['memorization_ratio'] == 0
  honest = memorization_of(Repeats(TEST))
  assert honest['memorization_ratio'] == pytest.approx(1) and honest['nearest_samples'] > 1
  slightly = np.clip(TRAIN + 0.01 * np.random.default_rng(0).standard_normal(TRAIN.shape), 0, 1)
  assert 0 < memorization_of(Repeats(slightly))['memorization_ratio'] < 0.15
  in_range = memorization_of(Repeats(TEST, (-1.0, 1.0)), value_range=(-1.0, 1.0))
  assert in_range.pop('memorization_protocol') == honest.pop('memorization_protocol')
  assert in_range == pytest.approx(honest, rel=1e-3)
  nothing = np.zeros((5, 4, 4, 1), np.float32)  # nothing to compare with
  source = KnownSource(*[padded_batches(image=nothing)] * 2)  # black is binary
  results = dict(memorization.memorization(Repeats(nothing), source))
  protocol = '400 samples (rows from 0) and 5 images of the split, beside all 5 of train, binary; seed 0'
  assert results == {'nearest_samples': 0, 'nearest_real': 0, 'memorization_protocol': protocol}


def test_nearest_neighbors_are_those_of_a_loop(monkeypatch):
  noise = np.random.default_rng(0)
  images, training = noise.random((6, 3, 3, 2)), noise.random((50, 3, 3, 2))
  training[17] = images[2]
  wanted = np.array([[np.sqrt(((x - t) ** 2).sum()) for t in training] for x in images])
  monkeypatch.setattr(memorization, 'CHUNK_BYTES', 4 * 18 * 7)  # 7 training images at a time
  for k in (1, 4, 50):
    indices, results = nearest_neighbors(images, training, k)
    np.testing.assert_array_equal(indices, np.argsort(wanted, axis=1)[:, :k])
    np.testing.assert_allclose(results, np.sort(wanted, axis=1)[:, :k])
  assert results[2, 0] == 0
  with pytest.raises(UserError, match='no 51 nearest'):
    nearest_neighbors(images, training, 51)
  with pytest.raises(UserError, match='no 1 nearest'):
    nearest_neighbors(images[:, :2], training)


def test_nearest_neighbors_of_whole_numbers_far_from_zero_are_exact():
  training = np.random.default_rng(0).integers(200, 256, (300, 28, 28, 1)).astype(np.uint8)
  images = training[::10].copy()
  images[:, 0, 0] -= 1
  indices, results = nearest_neighbors(images, training)
  np.testing.assert_array_equal(indices[:, 0], np.arange(0, 300, 10))
  assert (results == 1).all()
