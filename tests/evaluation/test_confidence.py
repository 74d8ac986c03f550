import numpy as np
import pytest
import scipy.special
from sources import KnownSource, Repeats, digits_like_mnist, gray_source, padded_batches

from gen_jax.evaluation import extractors
from gen_jax.evaluation.confidence import confidence, confident_share, largest_probability

IMAGES = digits_like_mnist('test')[0]


def test_the_largest_probability_is_that_of_scipy():
  logits = np.random.default_rng(0).normal(0, 5, (1_000, 7)).astype(np.float32)
  logits[0] = 1e30 * np.arange(7)
  np.testing.assert_allclose(largest_probability(logits), scipy.special.softmax(logits, -1).max(-1), rtol=1e-5)
  for gap, sure in ((0.01, True), (-0.01, False)):  # of two classes, p = .9 where logits differ by log 9
    assert (largest_probability(np.float32([[0, np.log(9) + gap]])) >= 0.9) == sure


def sure_of(logits):
  """The share of rows with a probability of .9."""
  return (scipy.special.softmax(logits, -1).max(-1) >= 0.9).mean()


def scaled(scale):
  """The CNN of MNIST with its logits times `scale`."""
  known = extractors.load()
  head = {name: scale * x for name, x in known.params['Dense_1'].items()}
  return known._replace(params={**known.params, 'Dense_1': head})


def test_the_share_is_of_the_images_whose_class_is_beyond_doubt():
  logits = extractors.load().logits(IMAGES)
  shares = []
  for scale in (0, 0.1, 0.3, 1, 100):
    shares.append(confident_share(scaled(scale), IMAGES))
    assert shares[-1] == pytest.approx(sure_of(scale * logits), abs=0.006)  # one image on the brink
  assert shares == sorted(shares) and shares[0] == 0 and 0 < shares[2] < shares[3] < 1 and shares[-1] > 0.98


def test_samples_stand_beside_the_split():
  blurred = 0.4 * IMAGES + 0.6 * IMAGES[::-1]
  source = gray_source(IMAGES, IMAGES[:90])
  results = dict(confidence(Repeats(blurred), source))
  assert list(results) == ['confident_share', 'confident_share_data', 'confident_share_count', 'classifier_hash']
  sure = [sure_of(extractors.load().logits(x)) for x in (blurred, IMAGES[:90])]
  assert [results['confident_share'], results['confident_share_data']] == pytest.approx(sure)
  assert results['confident_share'] < results['confident_share_data'] - 0.2
  assert results['confident_share_count'] == 400 and results['classifier_hash'] == extractors.load().hash
  in_range = dict(confidence(Repeats(blurred, (-1.0, 1.0)), gray_source(IMAGES, IMAGES[:90], value_range=(-1.0, 1.0))))
  assert in_range == results


def test_binary_samples_stand_beside_the_images_as_the_model_sees_them():
  binary = (IMAGES > 0.5).astype(np.float32)
  results = dict(confidence(Repeats(binary), KnownSource(padded_batches(image=binary))))  # its gray ones are refused
  assert results['confident_share'] == results['confident_share_data'] == confident_share(extractors.load(), binary)
