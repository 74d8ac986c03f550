"""Every number and every text of every evaluator is explained by whoever gives it."""

import functools
import re
import sys
import types

import numpy as np
from page import Page
from small import MODEL, small_config
from sources import KnownSource, Repeats, digits_like_mnist, gray_source, padded_batches
from two_voices import Translator, TwoVoices

from gen_jax import build
from gen_jax.data.sets import planar
from gen_jax.data.sets.grid_of_factors import every_combination
from gen_jax.distributions import Normal
from gen_jax.evaluation import inception, sample_distances
from gen_jax.evaluation import planar as planar_evaluators
from gen_jax.evaluation.agreement import class_agreement
from gen_jax.evaluation.confidence import confidence
from gen_jax.evaluation.disentanglement.suite import boosted_dci, disentanglement
from gen_jax.evaluation.distances import kernel_distance
from gen_jax.evaluation.evaluate import all_evaluators
from gen_jax.evaluation.explain import explain
from gen_jax.evaluation.fid import inception_distances
from gen_jax.evaluation.ode_likelihood import ode_likelihood
from gen_jax.evaluation.planar import points
from gen_jax.evaluation.probe import probe
from gen_jax.evaluation.sliced_wasserstein import sliced_wasserstein
from gen_jax.evaluation.translation import suite
from gen_jax.evaluation.translation.sides import Sides
from gen_jax.evaluation.voices import content, judges
from gen_jax.evaluation.voices import suite as voices
from gen_jax.figures.factors import entry_names
from gen_jax.plots.scores import cards, format_number

IMAGES, LABELS = digits_like_mnist('test')


def values_of(evaluator, model, source):
  """{name: value} of the numbers and texts."""
  return {name: value for name, value in evaluator(model, source) if not isinstance(value, np.ndarray)}


def names_of_runs(run_of):
  """(class of the model, evaluator, names) of what evaluators say of the tiny runs."""
  said = {
    'vae': ('means', 'active_units', 'elbo_decomposition', 'memorization'),
    'autoencoder': ('means',),
    'categorical vae': ('means',),
    'gm vae': ('means', 'clustering', 'likelihood'),
    'pixelcnn': ('means',),
    'plane': ('means', 'points', 'discriminator', 'fixed_noise'),
    'diffusion': ('means', 'generative_classifier'),
    'sprites': ('spearman',),
    'db vae': ('means', 'fairness'),
    'pix2pix': ('means', 'translation_errors', 'fixed_translations'),
    'cyclegan': ('means', 'true_map_errors'),
  }
  for name, evaluators in said.items():
    run = run_of(name)
    for evaluator in evaluators:
      yield type(run.module), evaluator, values_of(all_evaluators()[evaluator], run.model, run.source)


def names_of_voices(monkeypatch):
  """The same of two voices."""
  source, model = TwoVoices(words='FOLDER'), Translator()
  monkeypatch.setattr(content, 'read_words', lambda folder, features: {})
  monkeypatch.setattr(content, 'learn_words', lambda speakers: lambda frames: ['0'] * len(frames))
  encoder = types.SimpleNamespace(embed_utterance=lambda wave: np.array([0.6, 0.8]))
  monkeypatch.setitem(sys.modules, 'resemblyzer', types.SimpleNamespace(VoiceEncoder=lambda device, verbose: encoder))
  dnsmos = types.SimpleNamespace(run=lambda wave, rate: {'ovrl_mos': 3.0})
  monkeypatch.setitem(sys.modules, 'speechmos.dnsmos', dnsmos)
  for evaluator in (
    voices.true_voice_errors, voices.mel_cepstral_distortion, voices.speaker_recognition, voices.resynthesis,
    content.content_kept, content.words_kept, judges.speaker_similarity, judges.naturalness,
  ):  # fmt: skip
    yield evaluator, model, source


class Codes:
  """A model whose codes are the factors, with a posterior."""

  def compute(self, function, batch):
    return function(self, batch)

  def posterior(self, batch):
    codes = np.asarray(batch['factors'], np.float32)
    return Normal(codes, np.full(codes.shape, -2.0, np.float32))


def names_of_known_sources(monkeypatch):
  """The same of those for which the tiny runs are too large, or lack what they need."""
  monkeypatch.setattr(sample_distances, 'kernel_distance', functools.partial(kernel_distance, subsets=2))
  network = types.SimpleNamespace(features=lambda images: images.reshape(len(images), -1)[:, 300:303] / 99, hash='abc')
  monkeypatch.setattr(inception, 'load', lambda path: network)
  samples = gray_source(IMAGES, IMAGES, sample_count=100)
  yield sample_distances.sample_distances, Repeats(IMAGES), samples
  yield sample_distances.frechet, Repeats(IMAGES), samples
  yield inception_distances, Repeats(IMAGES), samples
  yield confidence, Repeats(IMAGES), samples
  wide = np.pad(IMAGES[:20], [(0, 0), (2, 2), (2, 2), (0, 0)])
  yield sliced_wasserstein, Repeats(wide), gray_source(wide, wide, sample_count=10)
  known = types.SimpleNamespace(
    compute=lambda estimate, batch: (np.zeros((len(batch['row']), 2)), np.zeros(len(batch['row']))),
    module=types.SimpleNamespace(image_shape=(28, 28, 1)),
  )
  gray = KnownSource(padded_batches(image=IMAGES))
  gray.gray_bin, gray.examples = (2 / 255, False), 0
  yield ode_likelihood, known, gray
  few_of_each = functools.wraps(class_agreement)(functools.partial(class_agreement, per_class=10))
  labeled = KnownSource(unbinarized=KnownSource(padded_batches(image=IMAGES, label=LABELS)))
  yield few_of_each, Repeats(IMAGES, classes=10), labeled
  factors = KnownSource(everything=padded_batches(factors=every_combination((2, 3))))
  yield disentanglement, Codes(), factors
  yield boosted_dci, Codes(), factors
  monkeypatch.setattr(planar_evaluators, 'LIMIT_POINTS', 1_000)
  tree = planar.load('tree', 'test')
  plane = padded_batches(**{name: x[:100] for name, x in tree.arrays.items()}, fill=0)
  of_trees = Repeats(tree.arrays['image'], classes=2)
  yield points, of_trees, KnownSource(plane, data=tree, class_counts=lambda: np.array([1, 1]))
  few = padded_batches(image=IMAGES[:40, 10:14, 10:14], label=LABELS[:40])
  labels = np.eye(4, dtype=np.uint8)[np.random.default_rng(0).integers(0, 4, (6, 8, 8))]
  monkeypatch.setattr(suite, 'sides_of', lambda source, split='test': Sides(labels, labels[..., :3]))
  monkeypatch.setattr(suite, 'translations', lambda model, source, to: labels[..., :3])
  monkeypatch.setattr(suite, 'is_map', lambda source, side: side == 'a')
  monkeypatch.setattr(suite, 'train_segmenter', lambda *given, **named: lambda images: images.argmax(-1))
  yield suite.label_consistency, None, None
  monkeypatch.setattr(suite, 'sides_of', lambda source, split='test': Sides(labels[..., :3], labels[..., 1:]))
  both = types.SimpleNamespace(data=types.SimpleNamespace(own_order={'image_a': 6}))
  monkeypatch.setattr(suite, 'is_map', lambda source, side: False)
  yield suite.side_recognition, {'translate_to_b', 'translate_to_a'}, both
  monkeypatch.setattr(suite.extractors, 'of_source', lambda kind, source: None)
  monkeypatch.setattr(suite, 'features_of', lambda extractor, images: images.reshape(len(images), -1)[:, :3] / 9)
  pairs = types.SimpleNamespace(data=types.SimpleNamespace(own_order={}))
  yield suite.translation_distances, {'translate_to_b'}, pairs
  yield probe, types.SimpleNamespace(encode=lambda batch: batch['image'].reshape(-1, 16)), KnownSource(few, few)


def test_every_metric_of_every_evaluator_is_explained(run_of, monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  seen = list(names_of_runs(run_of))
  for evaluator, model, source in (*names_of_voices(monkeypatch), *names_of_known_sources(monkeypatch)):
    seen.append((None, evaluator.__name__, values_of(evaluator, model, source)))
  assert {evaluator for _, evaluator, _ in seen} == set(all_evaluators())  # one that is new stands here too
  for model, evaluator, values in seen:
    explained = explain(values, model, evaluator)
    unexplained = {name for name in values if name not in explained or explained[name].evaluator != evaluator}
    assert not unexplained, f'{evaluator} says nothing of {unexplained}: @measures, beside it'
    shown = ' '.join(Page(cards({name: 10_001 + i for i, name in enumerate(values)}, explained)).words)
    lost = {name for i, name in enumerate(values) if shown.count(format_number(10_001 + i)) != 1}
    assert not lost, f'{lost} of {evaluator} are not in the report, or twice'
    for name, known in explained.items():  # each stands alone, as below a plot
      assert not re.match('the same|that of|the (first|second) |it ', known.metric.meaning), f'{name}: as what?'
      assert known.metric.meaning[-1] not in '.;' and known.metric.better in ('', 'higher', 'lower'), name


def test_the_evaluators_of_the_config_are_asked_first_then_who_explains_most():
  name = 'frechet_over_trace_cnn'
  for first in ('frechet', 'sample_distances'):
    assert explain([name, 'recall_cnn'], None, first)[name].evaluator == first
  assert explain([name, 'recall_cnn'])[name].evaluator == 'sample_distances'
  assert explain(['of_my_own', 'elbo'], None) == {}  # the ELBO is a model's to explain


def test_a_factor_is_called_by_the_data_set():
  data = build.dataset(small_config('sprites', model=MODEL), 'test')
  explained = explain([f'spearman_{k}' for k in range(5)], None, (), entry_names(data))
  assert [known.entry for known in explained.values()] == ['shape', 'scale', 'orientation', 'x', 'y']
