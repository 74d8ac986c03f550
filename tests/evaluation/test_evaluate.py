import types

import jax.numpy as jnp
import numpy as np
import pytest
from small import MODEL as VAE
from small import small_config
from sources import KnownSource

from gen_jax import build
from gen_jax.data.dataset import from_arrays
from gen_jax.errors import UserError
from gen_jax.evaluation import evaluate, evaluators, extractors, inception
from gen_jax.evaluation.needs import images, labels, needs, renamed
from gen_jax.evaluation.source import Source

IMAGE = np.zeros((3, 8, 8, 1), np.uint8)


def known_source(**given):
  return KnownSource(data=from_arrays({'image': IMAGE}, **given), name='known')


@pytest.fixture
def metric(monkeypatch):
  """An evaluator of the test's own, which had other names."""

  @renamed('measure', {'measured': 'metric', 'each_*': 'every_*'})
  @needs(images, labels)
  def metric(model, source):
    yield 'metric', model
    yield 'of', source.name

  monkeypatch.setattr(evaluators, 'metric', metric, raising=False)
  return metric


def test_evaluators_are_run_by_their_names(metric):
  assert evaluate.run('metric', 3.0, known_source()) == {'metric': 3.0, 'of': 'known'}
  assert evaluate.run(('metric', 'metric'), 3.0, known_source()) == {'metric': 3.0, 'of': 'known'}
  assert evaluate.run((), 3.0, known_source()) == {}


def test_old_names_are_read(metric):
  assert evaluate.evaluators(('measure',)) == {'metric': metric}
  assert evaluate.current_evaluator('measure') == 'metric' == evaluate.current_evaluator('metric')
  assert evaluate.current_metric('measured') == 'metric' and evaluate.current_metric('each_3') == 'every_3'
  for name in ('elbo', 'measured_0', ''):
    assert evaluate.current_metric(name) == evaluate.current_evaluator(name) == name


RENAMED = {  # in config.best and config.json of old runs
  'named_right': 'class_accuracy',
  'named_right_class_7': 'class_accuracy_class_7',
  'named_right_data': 'class_accuracy_data',
  'told_from_train': 'auc_train_vs_fake',
  'told_from_held_out': 'auc_held_out_vs_fake',
  'memory': 'auc_train_vs_held_out',
  'memorisation_ratio': 'memorization_ratio',
  'frechet_inception': 'fid_inception',
  'frechet_over_trace_inception': 'fid_over_trace_inception',
  'kernel_inception': 'kid_inception',
  'kernel_stderr_inception': 'kid_stderr_inception',
  'frechet_over_trace_cnn': 'frechet_over_trace_cnn',
}


def test_names_of_old_runs():
  assert {name: evaluate.current_metric(name) for name in RENAMED} == RENAMED
  old = ('terms', 'game', 'memorisation', 'probe')
  assert tuple(evaluate.evaluators(old)) == ('means', 'discriminator', 'memorization', 'probe')


def test_names_and_old_names_are_of_one_evaluator_each():
  names = [name for x in evaluate.all_evaluators().items() for name in (x[0], getattr(x[1], 'formerly', '')) if name]
  assert len(set(names)) == len(names) and all(name == x.__name__ for name, x in evaluate.all_evaluators().items())


def test_a_name_that_is_none():
  with pytest.raises(UserError, match=r"config.evals: 'active_unit' is unknown; did you mean active_units\?"):
    evaluate.evaluators('active_unit')
  lines = list(evaluate.problems(('active_unit', 'labels', 'probe'), types.SimpleNamespace(), known_source()))
  assert len(lines) == 2 and "'labels' is unknown" in lines[1]  # a condition is no evaluator


def test_problems_are_a_line_each_and_later_conditions_presuppose_the_earlier(metric):
  module = types.SimpleNamespace()
  assert list(evaluate.problems('measure', module, known_source(num_classes=2))) == []
  lines = list(evaluate.problems(('measure', 'spearman'), module, known_source()))
  assert lines == [
    'config.evals: metric needs a data set with labels, such as digits',
    'config.evals: spearman needs a data set with factors, such as sprites',
  ]


# What real data and models are refused for


def problems(name, kind='digits', **changes):
  config = small_config(kind, **changes)
  data = build.dataset(config, 'train')
  return list(evaluate.problems(name, build.model(config, data), Source.of(config, data)))


PLAIN = {'model': VAE, 'data': {'binarize': 'dynamic'}}
VAMP = {'name': 'VampPrior', 'components': 5}
FLOW = {'name': 'InverseAutoregressiveFlow'}
UNTRUE = {  # what an evaluator would say something untrue of: (changes, evaluator, the line)
  'no condition': (PLAIN, 'class_agreement', 'config.evals: class_agreement needs a conditional model'),
  'no clusters': (PLAIN, 'clustering', 'config.evals: clustering needs a model that has classify; VAE has not'),
  'gray': (
    {'model': VAE},
    'likelihood',
    "config.data.binarize='none': Bernoulli is no distribution of gray values; log p(x) needs binary",
  ),
  'labels in the codes': (
    PLAIN | {'model': VAE | {'conditional': True}},
    'probe',
    'config.evals: probe needs codes that have not seen the label; this model is conditional',
  ),
  'a flow': (
    PLAIN | {'model': VAE | {'family': FLOW}},
    'elbo_decomposition',
    'config.evals: elbo_decomposition needs a VAE of family DiagonalNormal and prior StandardNormal',
  ),
  'a learned prior': (
    PLAIN | {'model': VAE | {'prior': VAMP}},
    'elbo_decomposition',
    'config.evals: elbo_decomposition needs a VAE of family DiagonalNormal and prior StandardNormal',
  ),
  'no images': (
    {'kind': 'ring', 'model': VAE},
    'memorisation',
    'config.evals: memorization needs images; ring holds points',
  ),
  'no weights': (
    PLAIN,
    'inception_distances',
    "config.inception_weights='' is no file: inception_distances needs weights, which gen_jax/evaluation/inception.py "
    'says how to make',
  ),
}


@pytest.mark.parametrize('what', UNTRUE)
def test_evaluators_of_which_nothing_true_would_come(what):
  changes, name, line = UNTRUE[what]
  assert problems(name, **changes) == [line]


def test_nothing_is_wrong_with_what_can_be_measured():
  names = ('means', 'active_units', 'likelihood', 'elbo_decomposition', 'probe', 'fixed_noise', 'memorization')
  assert problems((*names, 'sliced_wasserstein'), **PLAIN) == []
  names = ('disentanglement', 'boosted_dci', 'spearman')
  assert problems(names, kind='rendered', model=VAE) == []


def test_a_grid_has_an_image_of_each_combination():
  factors = np.zeros((3, 2), np.int32)
  data = from_arrays({'image': IMAGE, 'factors': factors}, factor_sizes=(5, 2))
  source = KnownSource(data=data, name='known')
  source.split = lambda name: data
  assert list(evaluate.problems('disentanglement', types.SimpleNamespace(), source)) == [
    'config.evals: disentanglement needs an image of each of the 10 combinations of the factors; '
    'the splits of known have 9 in all'
  ]


def test_networks_are_of_such_images_and_classes(monkeypatch):
  networks = types.SimpleNamespace(name='x-cnn', image_shape=(8, 8, 1), classes=3)
  monkeypatch.setattr(extractors, 'load', lambda *_, **__: networks)
  conditional = {'model': VAE | {'conditional': True}, 'data': {'binarize': 'dynamic'}}
  assert problems('class_agreement', **conditional) == [
    'config.evals: class_agreement needs an extractor of the 10 classes of digits, and x-cnn knows 3; '
    'name another in config.extractors'
  ]
  assert problems('sample_distances', **conditional) == []
  networks.image_shape = (8, 8, 3)
  (line,) = problems('sample_distances', **conditional)
  assert 'sample_distances needs an extractor of images of 1 channels, and x-cnn sees 3' in line


def test_weights_of_inception_are_read_before_training(monkeypatch, tmp_path):
  weights = tmp_path / 'inception.npz'
  weights.write_bytes(b'no archive')
  monkeypatch.setattr(inception, 'WIDTH', 50)
  given = PLAIN | {'inception_weights': str(weights)}
  (line,) = problems('inception_distances', sample_count=51, **given)
  assert 'inception.npz is damaged' in line
  (line,) = problems('inception_distances', sample_count=50, **given)
  assert line == 'config.sample_count=50: 50 images have no covariance of 50 features; use more'


def test_numbers_of_any_type_are_floats_and_others_are_refused():
  values = {'a': 3, 'b': np.float32(0.5), 'c': jnp.float32(2), 'd': True, 'e': 'text', 'f': jnp.arange(3)}
  plain = {name: evaluate.plain_value(name, value) for name, value in values.items()}
  assert [type(plain[name]) for name in 'abcdef'] == [float, float, float, float, str, np.ndarray]
  assert plain['a'] == 3.0 and plain['b'] == 0.5
  with pytest.raises(TypeError, match='the metric x is a list'):
    evaluate.plain_value('x', [1.0])

