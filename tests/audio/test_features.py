"""Waves as frames and back: sizes, levels, what is kept when they are heard again."""

import numpy as np
import pytest
import scipy.signal

from gen_jax.audio.features import Features, analyze, synthesize
from gen_jax.audio.griffin_lim import spectral_convergence
from gen_jax.audio.stft import count_frames, stft

FEATURES = Features(bands=40)


def vowel(length=6_000, pitch=150.0, rate=16_000):
  """Harmonics of a pitch through a resonance at 700 Hz."""
  time = np.arange(length) / rate
  source = sum(np.cos(2 * np.pi * k * pitch * time) for k in range(1, 40))
  return np.float32(0.01 * scipy.signal.lfilter(*scipy.signal.iirpeak(700, 3, rate), source))


@pytest.mark.parametrize(
  ('rate', 'size'), [(16_000, 1024), (8_000, 512), (22_050, 1024), (24_000, 2048), (48_000, 4096)]
)
def test_a_window_is_a_power_of_two_of_about_64_ms(rate, size):
  assert (Features(rate=rate).size, Features(rate=rate).hop) == (size, size // 4)


@pytest.mark.parametrize('length', [1, 10, 255, 256, 257, 4_000])
def test_frames_do_not_depend_on_the_silence_that_fills_a_bucket(length):
  wave = vowel()[:length]
  analysis = analyze(wave, FEATURES)
  assert analysis.frames.shape == (count_frames(length, FEATURES.hop), 40) and analysis.length == length
  spectrum = np.asarray(stft(wave, FEATURES.size, FEATURES.hop))
  np.testing.assert_allclose(analysis.spectrum, spectrum, atol=1e-4)
  expected = np.log(np.maximum(np.abs(spectrum) @ FEATURES.filters.T, 1e-5))
  np.testing.assert_allclose(analysis.frames, expected, atol=1e-3)
  assert synthesize(analysis, FEATURES).shape == (length,)


def test_a_wave_twice_as_loud_has_frames_higher_by_log_2_and_is_heard_so():
  wave = vowel()
  analysis = analyze(wave, FEATURES)
  loud = np.median(analyze(2 * wave, FEATURES).frames - analysis.frames)
  assert loud == pytest.approx(np.log(2), abs=1e-3)
  again = synthesize(analysis._replace(frames=analysis.frames + np.float32(np.log(2))), FEATURES)
  assert np.std(again[1000:-1000]) == pytest.approx(2 * np.std(synthesize(analysis, FEATURES)[1000:-1000]), rel=0.05)


def test_a_vowel_is_heard_again():
  wave = vowel()
  again = synthesize(analyze(wave, Features()), Features())
  convergence = spectral_convergence(stft(again, 1024, 256), np.abs(stft(wave, 1024, 256)))
  assert float(convergence) < 0.3  # of 80 bands, which hold no single harmonics of a vowel above 1 kHz
  assert np.std(again) == pytest.approx(np.std(wave), rel=0.1)
  assert np.abs(again).max() < 1.5 * np.abs(wave).max()  # no click where it begins


def test_world_hears_the_pitch_and_says_another():
  pytest.importorskip('pyworld')
  features = Features('world', bands=40)
  analysis = analyze(vowel(), features)
  assert analysis.frames.shape == (count_frames(6_000, 256), 40) and analysis.spectrum is None
  assert np.exp(np.nanmedian(analysis.log_pitch)) == pytest.approx(150, rel=0.01)
  higher = synthesize(analysis._replace(log_pitch=analysis.log_pitch + np.log(1.5)), features)
  assert higher.shape == (6_000,)
  assert np.exp(np.nanmedian(analyze(higher, features).log_pitch)) == pytest.approx(225, rel=0.02)
