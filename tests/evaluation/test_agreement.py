import functools
import types

import numpy as np
import pytest

from gen_jax.data.preprocess import resize
from gen_jax.data.sets import digits
from gen_jax.errors import UserError
from gen_jax.evaluation import agreement, extractors

class_agreement = functools.partial(
  agreement.class_agreement, value_range=(0.0, 1.0), data_name='mnist', extractors=''
)


def examples():
  """200 digits as MNIST lays them out, 20 of each class, and their labels."""
  arrays = digits.load('test').arrays
  images = np.asarray(resize(arrays['image'].astype(np.float32), 20, 256)) / 255
  return np.pad(images, [(0, 0), (4, 4), (4, 4), (0, 0)]), arrays['label']


def batches_of(images, labels):
  def batches():
    for start in range(0, len(labels), 100):
      mask = np.ones(110, np.float32)
      mask[100:] = 0  # rows that only pad, and would spoil every number
      part = np.concatenate([images[start : start + 100], np.ones((10, *images.shape[1:]), np.float32)])
      yield {'image': part, 'label': np.pad(labels[start : start + 100], (0, 10)), 'mask': mask}

  return batches


class Repeats:
  """Samples that are the data of the class, the i-th of its rows the i-th example, moved by `shift` classes."""

  classes = 10

  def __init__(self, images, labels, shift=0):
    self._classes = np.stack([images[labels == c] for c in range(10)])
    self._shift = shift

  def sample(self, batch):
    return self._classes[(batch['label'] + self._shift) % 10, batch['row'] // 10 % self._classes.shape[1]]


def test_the_data_themselves_agree_as_the_data_do_and_vary_as_they_do():
  images, labels = examples()
  found = dict(class_agreement(Repeats(images, labels), None, per_class=60, grey_batches=batches_of(images, labels)))
  assert found['named_right'] == pytest.approx(found['named_right_data']) and found['named_right'] > 0.85
  assert found['within_class_variance_ratio'] == pytest.approx(1.0)
  assert found['within_class_precision'] == found['within_class_recall'] == 1
  assert found['classifier_hash'] == extractors.load().hash
  named = np.argmax(extractors.load().logits(images), -1)
  for c in range(10):
    assert found[f'named_right_class_{c}'] == pytest.approx((named[labels == c] == c).mean())


def test_a_model_that_ignores_its_class_and_one_that_draws_one_image():
  images, labels = examples()
  data = batches_of(images, labels)
  other = dict(class_agreement(Repeats(images, labels, shift=1), None, per_class=20, grey_batches=data))
  assert other['named_right'] < 0.05 and other['named_right_data'] > 0.85
  assert other['within_class_recall'] < 0.2 and other['within_class_precision'] < 0.2
  one = types.SimpleNamespace(classes=10, sample=lambda batch: images[np.zeros(len(batch['row']), int)])
  found = dict(class_agreement(one, None, per_class=4, grey_batches=data))
  assert found['named_right'] == pytest.approx(0.1) and found['within_class_variance_ratio'] == 0
  assert found['within_class_recall'] < 0.01
  few = dict(class_agreement(one, None, per_class=3, grey_batches=data))
  assert 'named_right' in few and 'within_class_recall' not in few


def test_the_variance_within_classes_is_that_of_a_class_and_not_between_them():
  labels = np.array([0, 0, 1, 1])
  images = np.array([[0.0, 1], [0, 1], [5, 7], [7, 7]]).reshape(4, 2, 1, 1)
  assert agreement.within_class_variance(images, labels) == 0.5  # (0 + 1) / 2


@pytest.mark.parametrize(('classes', 'said'), [(0, 'this one is not conditional'), (26, 'this one has 26 classes')])
def test_other_models_are_refused(classes, said):
  with pytest.raises(UserError, match=f'the 10 classes of mnist-cnn: {said}'):
    list(class_agreement(types.SimpleNamespace(classes=classes), None, grey_batches=lambda: iter(())))


def test_samples_and_images_of_another_range_are_brought_to_that_of_the_classifier():
  images, labels = examples()
  wide, data = Repeats(2 * images - 1, labels), batches_of(2 * images - 1, labels)
  found = dict(class_agreement(wide, None, per_class=20, grey_batches=data, value_range=(-1.0, 1.0)))
  expected = dict(class_agreement(Repeats(images, labels), None, per_class=20, grey_batches=batches_of(images, labels)))
  for name in ('named_right', 'named_right_data'):
    assert found[name] == expected[name]
  assert found['within_class_variance_ratio'] == pytest.approx(expected['within_class_variance_ratio'], rel=1e-4)


def test_the_classifier_is_that_of_the_data_and_sees_them_in_its_own_size():
  images, labels = examples()
  small = np.asarray(resize(images * 255, 14, 256)) / 255
  found = {
    name: dict(class_agreement(Repeats(x, labels), None, per_class=20, grey_batches=batches_of(x, labels), **changes))
    for name, x, changes in (
      ('small', small, {'data_name': 'digits', 'extractors': 'mnist'}),
      ('clothes', images, {'data_name': 'fashion_mnist'}),
    )
  }
  assert found['small']['classifier_hash'] == extractors.load().hash and found['small']['named_right'] > 0.8
  assert found['clothes']['classifier_hash'] == extractors.load('cnn', 'fashion_mnist').hash
  assert found['clothes']['named_right_data'] < 0.5
