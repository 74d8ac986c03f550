"""Evaluators of translated voices: a perfect translator, one that does nothing, and what stands beside them."""

import types

import numpy as np
import pytest
import soundfile
from two_voices import FEATURES, RATE, Translator, TwoVoices, say, sound_of_split

from gen_jax.audio.features import analyze
from gen_jax.audio.voice import standardize
from gen_jax.evaluation.voices import content, suite, utterances


def frames_of_side(side, split='test'):
  """The frames of its utterances."""
  return [analyze(spoken.wave, FEATURES).frames for spoken in sound_of_split(split).utterances[side]]


@pytest.fixture
def translated(monkeypatch):
  """Puts other frames in the place of what a model makes."""
  return lambda make: monkeypatch.setattr(utterances, 'translations', lambda model, source, to: make(to))


def test_a_perfect_translator_has_no_errors(translated):
  translated(frames_of_side)
  source, model = TwoVoices(), Translator()
  errors = dict(suite.true_voice_errors(model, source)) | dict(suite.mel_cepstral_distortion(model, source))
  for name in ('true_voice_error_b', 'true_voice_error_a'):
    assert errors[name] == errors[f'{name}_interval'] == 0 < errors[f'{name}_of_gaussian-transport']
  for name in ('mel_cepstral_distortion_b', 'mel_cepstral_distortion_a'):
    assert errors[name] < 1e-3 < errors[f'{name}_of_resynthesis'] < errors[f'{name}_of_untranslated']
    assert errors[name] < errors[f'{name}_heard'] < errors[f'{name}_of_untranslated']  # by phases of the other voice
  assert errors['global_variance_b'] == pytest.approx(1)
  flat, whole = (errors[f'global_variance_a_of_{name}-transport'] for name in ('shrunk', 'gaussian'))
  assert flat == pytest.approx(0.49 * whole, rel=1e-3)
  assert errors['mcd_recipe'].startswith(
    "c1 to c13 of the logs of 16 mel bands (Slaney's scale) of Hann windows of 64 ms at 8000 Hz, every 16 ms, "
  )
  said = dict(content.content_kept(model, source))
  assert said['sentences_recognized_b'] == 1 and said['content_to_reference_b'] < 1e-3
  assert said['content_ratio_b'] < 1e-3 < 1 < said['content_ratio_b_of_another-sentence']
  assert said['content_ratio_b'] < said['content_ratio_b_heard'] < said['content_ratio_b_of_another-sentence']
  assert said['sentences_recognized_b_by_chance'] == 1 / 4


def test_a_model_that_does_nothing_is_as_good_as_the_recordings(translated):
  translated(lambda to: frames_of_side({'a': 'b', 'b': 'a'}[to]))
  source, model = TwoVoices(), Translator()
  values = dict(suite.true_voice_errors(model, source)) | dict(content.content_kept(model, source))
  for name in ('true_voice_error_b', 'content_to_reference_b', 'content_ratio_a', 'sentences_recognized_a'):
    assert values[name] == pytest.approx(values[f'{name}_of_untranslated'])
  voice = sound_of_split('train').voices['b']
  pairs = zip(frames_of_side('a'), frames_of_side('b'), strict=True)
  apart = np.mean([np.abs(standardize(a, voice) - standardize(b, voice)).mean() for a, b in pairs])
  assert values['true_voice_error_b'] == pytest.approx(apart, rel=1e-5)
  assert values['content_cost_b'] == pytest.approx(0, abs=1e-4)
  assert values['loudness_correlation_b'] == pytest.approx(1)
  for name in ('content_cost_b', 'content_to_reference_a', 'loudness_correlation_b'):  # the same frames are heard
    assert values[f'{name}_heard'] == pytest.approx(values[f'{name}_of_resynthesis'], rel=1e-4)


def test_sentences_that_are_as_near_are_not_recognized(monkeypatch):
  costs = np.array([[1.0, 1.0], [1.0, 2.0], [2.0, 1.0], [1.0, 3.0]])
  monkeypatch.setattr(content, 'reading_costs', lambda made, readings: costs)
  values = dict(content.of_readings(TwoVoices(), 'b', {'_of_resynthesis': frames_of_side('a')}))
  assert values['sentences_recognized_b_of_resynthesis'] == values['sentences_recognized_b_by_chance'] == 1 / 2


def test_a_model_that_keeps_standardized_frames_brings_means_and_deviations():
  source, model = TwoVoices(), Translator()
  values = dict(suite.true_voice_errors(model, source)) | dict(content.content_kept(model, source))
  for name in ('true_voice_error_b', 'content_cost_a', 'loudness_correlation_b'):
    assert values[name] == pytest.approx(values[f'{name}_of_mean-and-deviation'], rel=1e-2)
  assert values['cycle_error_via_b'] == pytest.approx(0, abs=1e-5)
  double = Translator(lambda x: 2 * x)
  frames = np.concatenate([standardize(x, sound_of_split('train').voices['a']) for x in frames_of_side('a')])
  assert content.cycle_error(double, source, 'b') == pytest.approx(3 * np.abs(frames).mean(), rel=1e-5)


def test_pitch_moves_as_that_of_the_source(monkeypatch):
  pytest.importorskip('pyworld')
  waves = {side: [spoken.wave for spoken in sound_of_split('test').utterances[side]] for side in 'ab'}
  monkeypatch.setattr(content, 'heard', lambda source, to, made: waves['a'])
  monkeypatch.setattr(content, 'resynthesized', lambda wave, features: np.zeros(len(wave) // 4, np.float32))
  values = dict(content.of_pitch(TwoVoices(), 'b', waves['b'], {content.PITCHED: frames_of_side('a')}))
  assert values['pitch_correlation_b'] > 0.9  # B moves as A does, only higher
  assert values['pitch_distance_b'] == values['pitch_distance_b_real'] < 3
  assert values['pitch_distance_b_of_gaussian-transport'] == pytest.approx(12 * np.log2(190 / 110), rel=0.05)
  assert values['voicing_error_b_of_gaussian-transport'] == 0 < values['voicing_error_b_of_resynthesis']
  assert 'pitch_distance_b_of_resynthesis' not in values  # in silence there is none


def test_distances_of_pitch():
  tones = lambda *hertz: [np.log([of_one, of_one, np.nan]) for of_one in hertz]
  assert content.pitch_distance(tones(440, 220), tones(220, 220)) == pytest.approx(6)
  assert content.pitch_distance(tones(200, 400, np.nan), tones(200, 400)) == pytest.approx(6)  # from their mean
  assert np.isnan(content.pitch_distance(tones(np.nan), tones(1))) and np.isnan(content.pitch_distance(tones(1), []))
  assert content.voicing_error(tones(1, 1), tones(1, np.nan)) == pytest.approx(1 / 3)


def test_who_is_recognized(translated, monkeypatch):
  translated(frames_of_side)

  def learned(first, second):
    a, b = (np.mean([x.mean(0) for x in said], 0) for said in (first, second))
    return lambda frames: (frames.mean(0) - (a + b) / 2) @ (b - a)

  monkeypatch.setattr(suite, 'CLASSIFIERS', {'windows': learned})
  values = dict(suite.speaker_recognition(Translator(), TwoVoices()))
  for to in 'ab':  # by mean spectra, which a filter mends
    assert values[f'voice_by_windows_{to}'] == values[f'voice_by_windows_{to}_real'] == 1
    assert values[f'voice_by_windows_{to}_of_untranslated'] == 0
    assert values[f'voice_by_windows_{to}_of_mean-shift'] == values[f'voice_by_windows_{to}_heard'] == 1


def test_what_analysis_and_synthesis_cost():
  values = dict(suite.resynthesis(None, TwoVoices()))
  assert 0 < values['spectral_convergence_a'] < 1
  assert 0 < values['mel_cepstral_distortion_b_of_resynthesis'] < 6
  assert values['mcd_recipe'] == dict(suite.mel_cepstral_distortion(Translator(), TwoVoices()))['mcd_recipe']
  assert {f'voice_by_windows_{side}_{what}' for side in 'ab' for what in ('of_resynthesis', 'real')} <= set(values)


def write_words(folder):
  """Two speakers' recordings of the words '0' and '1', by which the utterances of `TwoVoices` are named."""
  said = [spoken for side in 'ab' for spoken in sound_of_split('test').utterances[side]]
  for speaker in ('first', 'second'):
    (folder / speaker).mkdir(parents=True)
    for number, spoken in enumerate(said):
      soundfile.write(folder / speaker / f'{spoken.name}_{number}.wav', spoken.wave, RATE)


def test_words_are_found_in_recordings_of_those_who_taught_them(tmp_path):
  write_words(tmp_path)
  source = TwoVoices(words=str(tmp_path))
  assert content.words(None, source) is None
  values = dict(content.words_kept(Translator(), source))
  assert values['words_recognized_b_of_recordings'] == values['words_recognized_a_of_recordings'] == 1
  assert values['words_recognized_b_of_untranslated'] == values['words_recognized_b_of_resynthesis']


def test_what_the_evaluators_need(tmp_path):
  source, train = TwoVoices(), TwoVoices('train')
  for condition in (utterances.recordings, utterances.parallel, utterances.aligned):
    assert condition(None, source) is condition(None, train) is None  # the test split says so
  silent = types.SimpleNamespace(data=types.SimpleNamespace(sound=None), name='digits')
  assert utterances.aligned(None, silent).startswith('needs recordings of two voices; digits has none')
  source.data.sound = source.data.sound._replace(utterances={})
  assert 'not where' in utterances.parallel(None, source)
  source.data.sound = sound_of_split('test')._replace(features=FEATURES._replace(bands=12))
  assert utterances.recordings(None, source) is None  # only cepstra take more bands
  assert 'set config.data.bands, which is 12' in suite.cepstral(None, source)
  asks = (suite.mel_cepstral_distortion, suite.resynthesis, content.content_kept, suite.true_voice_errors)
  assert [suite.cepstral in evaluator.needs for evaluator in asks] == [True, True, True, False]
  assert '--config.words=FOLDER' in content.words(None, TwoVoices())
  assert 'two words at least' in content.words(None, TwoVoices(words=str(tmp_path)))
  (tmp_path / 'speaker').mkdir()
  for word in ('yes', 'no'):
    soundfile.write(tmp_path / 'speaker' / f'{word}_1.wav', say([0, 1], 'a'), RATE)
  assert 'holds none of 0, 1' in content.words(None, TwoVoices(words=str(tmp_path)))


def test_nothing_is_said_of_a_split_in_which_the_two_say_different_things():
  train = TwoVoices('train')
  assert list(suite.true_voice_errors(Translator(), train)) == []
  assert list(suite.mel_cepstral_distortion(Translator(), train)) == []
  assert not utterances.same_sentences(train, 'b')


def test_of_a_source_of_few_examples_as_many_recordings_are_translated():
  source = TwoVoices()
  source.examples = 2
  assert len(utterances.frames_of(source, 'a')) == 2 and len(utterances.frames_of(source, 'a', 'train')) == 12
  assert len(utterances.translations(Translator(), source, 'b')) == 2
