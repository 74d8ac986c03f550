"""Whole utterances: which are aligned together, and what is kept of them."""

import numpy as np
import pytest
from two_voices import TwoVoices, sound_of_split

from gen_jax.audio.cepstra import mel_cepstral_distortion
from gen_jax.audio.features import Features
from gen_jax.evaluation.voices import contours, utterances


def test_long_utterances_are_aligned_in_smaller_groups(monkeypatch):
  rng = np.random.default_rng(0)
  first, second = ([rng.normal(size=(n, 3)) for n in lengths] for lengths in ((9, 700, 20, 150), (30, 5, 12, 4)))
  expected = [mel_cepstral_distortion(*pair) for pair in zip(first, second, strict=True)]
  groups, at_once = [], contours.mel_cepstral_distortions
  monkeypatch.setattr(contours, 'CELLS', 2 * 128**2)
  monkeypatch.setattr(contours, 'mel_cepstral_distortions', lambda a, b: groups.append([*map(len, a)]) or at_once(a, b))
  np.testing.assert_allclose(contours.aligned_distances(first, second), expected, rtol=1e-6)
  assert groups == [[700], [150], [9, 20]]


def test_the_arrays_of_the_latest_waves_are_kept(monkeypatch):
  monkeypatch.setattr(utterances, 'KEPT', 80)
  asked = []
  double = utterances.kept(lambda wave, features: asked.append(wave) or 2 * np.frombuffer(wave, np.float32))
  waves = [np.full(n, n, np.float32).tobytes() for n in (5, 10, 7, 30)]
  for i in (0, 1, 0, 2, 1, 3, 3):  # of 20, 40, 28 and 120 bytes
    np.testing.assert_array_equal(double(waves[i], Features()), 2 * np.frombuffer(waves[i], np.float32))
  assert [waves.index(wave) for wave in asked] == [0, 1, 2, 1, 3, 3]
  double(waves[0], Features())
  double(waves[0], Features(bands=40))
  assert len(asked) == 8


@pytest.mark.parametrize('split', ['', 'train'])
def test_frames_that_a_data_set_keeps_are_taken(monkeypatch, split):
  source = TwoVoices()
  analyzed = utterances.frames_of(source, 'a', split)
  said = sound_of_split(split or 'test').utterances['a']
  own = tuple(spoken._replace(frames=frames) for spoken, frames in zip(said, analyzed, strict=True))
  monkeypatch.setattr(utterances, 'utterances_of', lambda *asked: own)
  assert all(a is b for a, b in zip(utterances.frames_of(source, 'a', split), analyzed, strict=True))
