import types

import numpy as np
import pytest
from small import small_config
from sources import KnownSource

from gen_jax.data.dataset import from_arrays
from gen_jax.data.sets import planar
from gen_jax.evaluation import extractors, needs
from gen_jax.evaluation.needs import first_problem, methods
from gen_jax.evaluation.source import Source

IMAGE = np.zeros((3, 8, 8, 1), np.uint8)


class Model(types.SimpleNamespace):
  """A module with one method."""

  def encode(self, batch):
    return batch


PLAIN, CONDITIONAL = Model(conditional=False), Model(conditional=True)
DROPPED = Model(conditional=True, label_dropout=0.1)
DIGITS = KnownSource(data=from_arrays({'image': IMAGE}, num_classes=10), name='digits')
SPRITES = KnownSource(data=from_arrays({'image': IMAGE}, factor_sizes=(3, 4)), name='sprites')
PLANE = types.SimpleNamespace(levels=0, kind='points', num_classes=0, factor_sizes=(), target=planar.TARGETS['ring'])
RING = KnownSource(data=PLANE, name='ring')
CASES = {  # condition: (what it holds for, what not, the answer)
  'labels': ((PLAIN, DIGITS), (PLAIN, SPRITES), 'needs a data set with labels, such as digits'),
  'factors': ((PLAIN, SPRITES), (PLAIN, DIGITS), 'needs a data set with factors, such as sprites'),
  'images': ((PLAIN, DIGITS), (PLAIN, RING), 'needs images; ring holds points'),
  'points_target': ((PLAIN, RING), (PLAIN, DIGITS), 'needs points of a known distribution, such as ring'),
  'conditional': ((CONDITIONAL, DIGITS), (PLAIN, DIGITS), 'needs a conditional model'),
  'unconditional': (
    (PLAIN, DIGITS),
    (CONDITIONAL, DIGITS),
    'needs codes that have not seen the label; this model is conditional',
  ),
  'unlabeled': (
    (DROPPED, DIGITS),
    (CONDITIONAL, DIGITS),
    'needs codes that have not seen the label; this model is conditional',
  ),
}


@pytest.mark.parametrize('name', CASES)
def test_a_condition_says_what_is_missing(name):
  holds, fails, answer = CASES[name]
  condition = getattr(needs, name)
  assert condition(*holds) is None and condition(*fails) == answer


def test_a_model_without_a_field_is_not_conditional():
  assert needs.unconditional(types.SimpleNamespace(), DIGITS) is None
  assert needs.unlabeled(types.SimpleNamespace(), DIGITS) is None


def test_labels_that_were_never_hidden_are_no_labels_that_can_be_left_out():
  assert needs.unlabeled(Model(conditional=True, label_dropout=0.0), DIGITS) and needs.unlabeled(PLAIN, DIGITS) is None


def test_one_of_the_methods_is_enough():
  assert methods('encode')(PLAIN, DIGITS) is methods('sample', 'encode')(PLAIN, DIGITS) is None
  assert methods('log_prob', 'sample')(PLAIN, DIGITS) == 'needs a model that has log_prob or sample; Model has not'


def test_the_frozen_networks_are_there_and_see_such_images(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  message = needs.extractors_of_data(PLAIN, DIGITS)
  assert 'digits-cnn.npz cannot be read' in message and not message.startswith('needs')  # a line of its own
  assert needs.extractors_of_data(PLAIN, KnownSource(data=DIGITS.data, name='digits', extractors='mnist')) is None
  monkeypatch.setattr(extractors, 'load', lambda *_, **__: types.SimpleNamespace(name='x-cnn', image_shape=(8, 8, 3)))
  assert needs.extractors_of_data(PLAIN, DIGITS) == (
    'needs an extractor of images of 1 channels, and x-cnn sees 3; name another in config.extractors'
  )


def test_examples_are_counted_as_evaluations_see_them():
  counts = {'train': 1397, 'validation': 3, 'test': 200}
  source = KnownSource(data=DIGITS.data, name='digits', sample_count=100)
  source.counts = lambda: counts
  assert needs.examples(3)(PLAIN, source) is None is needs.examples(4, 'train', 'test')(PLAIN, source)
  assert needs.examples(4)(PLAIN, source) == 'needs at least 4 validation examples, and digits has 3'
  assert needs.examples(101)(PLAIN, source) == 'needs config.sample_count of at least 101, and it is 100'
  of_run = Source.of(small_config(test_examples=7), DIGITS.data)
  assert of_run.counts() == {'train': 1397, 'validation': 32, 'test': 7}


def test_images_without_labels_may_stand_beside_another_sets(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  faces = KnownSource(data=from_arrays({'image': IMAGE}), name='faces')
  assert needs.extractors_of_data(PLAIN, faces) == (
    'needs an extractor, which learns to name classes, and faces has no labels: take the extractor of another set, '
    '--config.extractors=NAME (mnist or fashion_mnist), or the evaluator inception_distances'
  )
  assert needs.extractors_of_data(PLAIN, KnownSource(data=faces.data, name='faces', extractors='mnist')) is None


def test_the_first_problem_is_said_and_later_conditions_are_not_asked():
  fails = lambda model, source: 'needs patience'
  assert first_problem((needs.labels, fails, pytest.fail), PLAIN, DIGITS) == 'needs patience'
  assert first_problem((), PLAIN, DIGITS) is first_problem((needs.labels,), PLAIN, DIGITS) is None


def test_decorators_set_attributes_and_nothing_else():
  def metric(model, source):
    yield 'metric', 1.0

  decorated = needs.renamed('measure', {'measured': 'metric'})(needs.needs(needs.labels, needs.images)(metric))
  assert decorated is metric and metric.needs == (needs.labels, needs.images)
  assert metric.formerly == 'measure' and metric.renamed_metrics == {'measured': 'metric'}
  same = needs.renamed(metrics={'old': 'new'})(lambda: 0)
  assert same.formerly == '' and same.renamed_metrics == {'old': 'new'}
