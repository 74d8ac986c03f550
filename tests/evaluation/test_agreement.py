import types

import numpy as np
import pytest
from sources import KnownSource, digits_like_mnist, padded_batches

from gen_jax.data.dataset import from_arrays
from gen_jax.data.preprocess import resize
from gen_jax.errors import UserError
from gen_jax.evaluation import agreement, extractors


def examples():
  """200 digits as MNIST lays them out, 20 of each class, and their labels."""
  return digits_like_mnist('test')


def class_agreement(model, images, labels, per_class, **given):
  """What the evaluator says where these images are the split, not binarized."""
  gray = KnownSource(padded_batches(image=images, label=labels), **given)
  return dict(agreement.class_agreement(model, KnownSource(unbinarized=gray, **given), per_class))


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
  results = class_agreement(Repeats(images, labels), images, labels, 60)
  assert results['class_accuracy'] == pytest.approx(results['class_accuracy_data']) and results['class_accuracy'] > 0.85
  assert results['within_class_variance_ratio'] == pytest.approx(1.0)
  assert results['within_class_precision'] == results['within_class_recall'] == 1
  assert results['classifier_hash'] == extractors.load().hash
  classes = np.argmax(extractors.load().logits(images), -1)
  for c in range(10):
    assert results[f'class_accuracy_class_{c}'] == pytest.approx((classes[labels == c] == c).mean())


def test_classes_that_the_classifier_has_in_another_order_are_told_by_their_names(monkeypatch):
  images, labels = examples()
  order = np.array([3, 1, 2, 0, 4, 5, 6, 7, 8, 9])  # the classifier's class 0 is the digit 3
  names = [f'digit {c}' for c in range(10)]
  known = extractors.load()
  head = known.params['Dense_1']
  head = {'kernel': head['kernel'][:, order], 'bias': head['bias'][order]}
  other = known._replace(params={**known.params, 'Dense_1': head}, class_names=tuple(names[c] for c in order))
  monkeypatch.setattr(extractors, 'load', lambda *_, **__: other)
  data = from_arrays({'image': np.zeros((1, 1, 1, 1), np.uint8)}, num_classes=10)._replace(class_names=tuple(names))
  results = class_agreement(Repeats(images, labels), images, labels, 20, data=data)
  assert results['class_accuracy'] == results['class_accuracy_data'] > 0.85
  assert {name for name in results if name.startswith('class_accuracy_class_')} == {
    f'class_accuracy_class_digit-{c}' for c in range(10)
  }


def test_a_model_that_ignores_its_class_and_one_that_draws_one_image():
  images, labels = examples()
  other = class_agreement(Repeats(images, labels, shift=1), images, labels, 20)
  assert other['class_accuracy'] < 0.05 and other['class_accuracy_data'] > 0.85
  assert other['within_class_recall'] < 0.2 and other['within_class_precision'] < 0.2
  one = types.SimpleNamespace(classes=10, sample=lambda batch: images[np.zeros(len(batch['row']), int)])
  results = class_agreement(one, images, labels, 4)
  assert results['class_accuracy'] == pytest.approx(0.1) and results['within_class_variance_ratio'] == 0
  assert results['within_class_recall'] < 0.01
  few = class_agreement(one, images, labels, 3)
  assert 'class_accuracy' in few and 'within_class_recall' not in few


def test_the_variance_within_classes_is_that_of_a_class_and_not_between_them():
  labels = np.array([0, 0, 1, 1])
  images = np.array([[0.0, 1], [0, 1], [5, 7], [7, 7]]).reshape(4, 2, 1, 1)
  assert agreement.within_class_variance(images, labels) == 0.5  # (0 + 1) / 2


@pytest.mark.parametrize(('classes', 'message'), [(0, 'this one is not conditional'), (26, 'this one has 26 classes')])
def test_other_models_are_refused(classes, message):
  with pytest.raises(UserError, match=f'the 10 classes of mnist-cnn: {message}'):
    list(agreement.class_agreement(types.SimpleNamespace(classes=classes), KnownSource()))


def test_samples_and_images_of_another_range_are_brought_to_that_of_the_classifier():
  images, labels = examples()
  wide = 2 * images - 1
  results = class_agreement(Repeats(wide, labels), wide, labels, 20, value_range=(-1.0, 1.0))
  expected = class_agreement(Repeats(images, labels), images, labels, 20)
  for name in ('class_accuracy', 'class_accuracy_data'):
    assert results[name] == expected[name]
  assert results['within_class_variance_ratio'] == pytest.approx(expected['within_class_variance_ratio'], rel=1e-4)


def test_the_classifier_is_that_of_the_data_and_sees_them_in_its_own_size():
  images, labels = examples()
  small = np.asarray(resize(images * 255, 14, 256)) / 255
  results = {
    name: class_agreement(Repeats(x, labels), x, labels, 20, **changes)
    for name, x, changes in (
      ('small', small, {'name': 'digits', 'extractors': 'mnist'}),
      ('clothes', images, {'name': 'fashion_mnist'}),
    )
  }
  assert results['small']['classifier_hash'] == extractors.load().hash and results['small']['class_accuracy'] > 0.8
  assert results['clothes']['classifier_hash'] == extractors.load('cnn', 'fashion_mnist').hash
  assert results['clothes']['class_accuracy_data'] < 0.5
