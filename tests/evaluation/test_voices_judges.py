"""Judges of voices from outside: stand-ins of their packages, which hear what is heard, at their rate."""

import sys
import types

import numpy as np
import pytest
import soxr
from two_voices import RATE, Translator, TwoVoices, sound_of_split

from gen_jax.evaluation.voices import judges, utterances


class VoiceEncoder:
  """Tells voices by their lowest harmonics: the direction is that of the power below 145 Hz and from there to 250."""

  def __init__(self, device, verbose):
    assert (device, verbose) == ('cpu', False)

  def embed_utterance(self, wave):
    assert wave.dtype == np.float32 and len(wave) == pytest.approx(0.9 * 16_000, rel=0.02)
    power, hertz = np.abs(np.fft.rfft(wave)) ** 2, np.fft.rfftfreq(len(wave), 1 / 16_000)
    powers = np.array([power[hertz < 145].sum(), power[(hertz >= 145) & (hertz < 250)].sum()])
    return powers / np.linalg.norm(powers)


def run(wave, rate):
  """An opinion that says how loud a wave is."""
  assert rate == 16_000 and np.abs(wave).max() <= 1
  return {'ovrl_mos': np.abs(wave).mean(), 'p808_mos': np.nan}


@pytest.fixture
def installed(monkeypatch):
  """Puts stand-ins in the place of the packages."""
  monkeypatch.setitem(sys.modules, 'resemblyzer', types.SimpleNamespace(VoiceEncoder=VoiceEncoder))
  monkeypatch.setitem(sys.modules, 'speechmos', types.SimpleNamespace())
  monkeypatch.setitem(sys.modules, 'speechmos.dnsmos', types.SimpleNamespace(run=run))


def test_an_encoder_tells_whose_voice_is_heard(installed, monkeypatch):
  unchanged = lambda model, source, to: utterances.frames_of(source, {'a': 'b', 'b': 'a'}[to])
  monkeypatch.setattr(utterances, 'translations', unchanged)
  values = dict(judges.speaker_similarity(Translator(), TwoVoices()))
  embed, at_rate = VoiceEncoder('cpu', False).embed_utterance, lambda wave: soxr.resample(wave, RATE, 16_000)
  embedded = lambda split, side: np.array([embed(at_rate(x.wave)) for x in sound_of_split(split).utterances[side]])
  voices = {side: embedded('train', side).mean(0) / np.linalg.norm(embedded('train', side).mean(0)) for side in 'ab'}
  for side, given in (('b', 'a'), ('a', 'b')):
    for ending, said in (('_real', side), ('_of_recordings', given)):
      cosines = {voice: embedded('test', said) @ voices[voice] for voice in 'ab'}
      assert values[f'speaker_similarity_{side}{ending}'] == pytest.approx(cosines[side].mean(), rel=1e-4)
      assert values[f'voice_by_embedding_{side}{ending}'] == (cosines[side] > cosines[given]).mean()
    own, other = (values[f'voice_by_embedding_{side}{ending}'] for ending in ('_real', '_of_recordings'))
    assert other <= 0.25 < 0.75 <= own
    for name in (f'speaker_similarity_{side}', f'voice_by_embedding_{side}'):
      assert values[name] == pytest.approx(values[f'{name}_of_resynthesis'], abs=1e-6)
      assert f'{name}_of_gaussian-transport' in values


def test_opinions_are_means_over_utterances(installed):
  values = dict(judges.naturalness(Translator(), TwoVoices()))
  for side, given in (('b', 'a'), ('a', 'b')):
    loudness = lambda side: np.mean([np.abs(x.wave).mean() for x in sound_of_split('test').utterances[side]])
    assert values[f'naturalness_{side}_real'] == pytest.approx(loudness(side), rel=1e-2)
    assert values[f'naturalness_{side}_of_recordings'] == pytest.approx(loudness(given), rel=1e-2)
    assert values[f'naturalness_{side}_interval'] > 0


def test_how_judges_are_installed_is_said(monkeypatch, installed):
  assert judges.package('resemblyzer')(None, None) is judges.package('speechmos')(None, None) is None
  monkeypatch.setitem(sys.modules, 'resemblyzer', None)
  line = judges.package('resemblyzer')(None, None)
  assert line.startswith('needs the package resemblyzer (') and "pip install resemblyzer 'setuptools<81'" in line
