import hashlib

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax import randomness
from gen_jax.data import digits, tfds_sets
from gen_jax.data.dataset import from_arrays
from gen_jax.data.preprocess import bernoulli, resize
from gen_jax.errors import UserError
from gen_jax.evaluation import classifier


def digits_like_mnist():
  """scikit-learn's digits laid out as MNIST's: 20x20 in the middle of 28x28."""
  arrays = digits.load('train').arrays
  images = resize(jnp.asarray(arrays['image'], jnp.float32), 20, 256) / 255
  return jnp.pad(images, [(0, 0), (4, 4), (4, 4), (0, 0)]), arrays['label']


def test_the_hash_is_that_of_the_weights_which_are_small():
  data = classifier.WEIGHTS.read_bytes()
  assert classifier.load().hash == hashlib.sha256(data).hexdigest()[:12] and len(data) < 10**6


def test_digits_it_has_never_seen_are_named_right():
  images, labels = digits_like_mnist()
  judge = classifier.load()
  named = np.argmax(judge.logits(images), -1)
  assert (named == labels).mean() > 0.92  # measured: .943, chance .1
  binary = np.argmax(judge.logits(bernoulli(randomness.key(0), images)), -1)
  assert (binary == labels).mean() > 0.66  # measured: .713, as most of their pixels are grey
  # each digit, so that none of the logits stands in another's place
  assert min((named[labels == c] == c).mean() for c in range(10)) > 0.6


def test_shapes_and_that_an_image_is_judged_alone():
  images, _ = digits_like_mnist()
  judge = classifier.load()
  logits, features = judge.logits(images[:6]), judge.features(images[:6])
  assert logits.shape == (6, 10) and features.shape == (6, 128)
  assert np.isfinite(logits).all() and features.min() >= 0 and features.max() > 0
  np.testing.assert_allclose(judge.features(images[4:5]), features[4:5], rtol=1e-4, atol=1e-4)
  dense = judge.params['Dense_1']
  np.testing.assert_allclose(logits, features @ dense['kernel'] + dense['bias'].reshape(1, -1), rtol=1e-4, atol=1e-4)


def test_other_images_are_refused():
  judge = classifier.load()
  for images, said in (
    (np.zeros((2, 32, 32, 3)), '28x28x1, not 32x32x3'),
    (np.zeros((28, 28, 1)), '28x28x1'),
    (np.full((2, 28, 28, 1), -1.0), r'in \[0, 1\]'),
    (np.full((2, 28, 28, 1), 255.0), r'in \[0, 1\]'),
    (np.full((2, 28, 28, 1), np.nan), r'in \[0, 1\]'),
  ):
    with pytest.raises(UserError, match=said):
      judge.features(images)


def test_half_of_a_batch_is_binarised_and_all_of_it_moves_a_little():
  images = np.zeros((40, 28, 28, 1), np.uint8)
  images[:, 14, 14] = 255
  images[:, 10:12] = 128
  seen = np.asarray(classifier.as_trained(images, randomness.key(0)))
  binary = np.isin(seen, (0, 1)).all((1, 2, 3))
  assert binary[:20].all() and not binary[20:].any()
  places = {tuple(np.argwhere(image[..., 0] == 1)[0]) for image in seen[20:]}
  assert len(places) > 5 and all(12 <= row <= 16 and 12 <= column <= 16 for row, column in places)


def test_without_the_prepared_set_there_is_one_line(capsys, tmp_path):
  assert classifier.main(['classifier', str(tmp_path)]) == 2
  said = capsys.readouterr().err
  assert said.startswith('error: mnist is not prepared') and said.count('\n') == 1


def test_weights_are_learned(monkeypatch):
  monkeypatch.setattr(classifier, 'EPOCHS', 8)
  noise = np.random.default_rng(0)
  labels = noise.integers(0, 2, 256)
  images = np.zeros((256, 28, 28, 1), np.uint8)
  for image, label in zip(images, labels, strict=True):
    image[4 + 12 * label : 12 + 12 * label] = noise.integers(100, 256)
  assert classifier.accuracy(classifier.fit(images, labels), images / np.float32(255), labels) == 1.0


def test_only_good_weights_are_kept(capsys, tmp_path, monkeypatch):
  good = classifier.load()
  images, labels = digits_like_mnist()
  arrays = {'image': np.asarray(images * 255).astype(np.uint8)[:200], 'label': labels[:200]}
  monkeypatch.setattr(tfds_sets, 'load', lambda *_: from_arrays(arrays, num_classes=10))
  monkeypatch.setattr(classifier, 'fit', lambda *_: good.params)
  monkeypatch.setattr(classifier, 'WEIGHTS', tmp_path / 'classifier.npz')
  assert classifier.main(['classifier']) == 2
  assert 'below 0.985, so nothing is written' in capsys.readouterr().err and not list(tmp_path.iterdir())
  monkeypatch.setattr(classifier, 'LEAST_ACCURACY', 0.5)
  assert classifier.main(['classifier']) == 0
  written = classifier.load()
  classifier.load.cache_clear()  # or the tests that follow would be given these
  chex.assert_trees_all_equal(written.params, good.params)
  assert f'hash {written.hash}' in capsys.readouterr().out


@pytest.mark.data
def test_accuracy_on_mnist():
  try:
    test = tfds_sets.load('mnist', 'test', None, 2**30).arrays
  except UserError as error:
    pytest.skip(str(error))
  grey = test['image'].astype(np.float32) / 255
  params = classifier.load().params
  assert classifier.accuracy(params, grey, test['label']) >= 0.985  # measured: .9937
  binary = np.asarray(bernoulli(randomness.key(1), grey))
  assert classifier.accuracy(params, binary, test['label']) >= 0.985  # measured: .9911
