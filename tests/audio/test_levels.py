import numpy as np
import pytest

from gen_jax.audio.levels import FRAME, active_level, frame_powers, match_level, normalize_level, trim_silence

RATE = 8000


def tone(length=8 * FRAME, amplitude=0.1):
  """Whole periods in each frame, whose RMS is amplitude / sqrt(2)."""
  return np.float32(amplitude * np.sin(2 * np.pi * np.arange(length) / 32))


def between_zeros(wave, before, after):
  return np.concatenate([np.zeros(before, np.float32), wave, np.zeros(after, np.float32)])


def test_powers_are_those_of_frames_the_last_of_which_may_be_short():
  np.testing.assert_allclose(frame_powers(np.array([1.0, 3, 2, 2, -4]), 2), [5, 4, 16])


def test_the_level_is_that_of_the_active_frames():
  assert active_level(tone()) == pytest.approx(20 * np.log10(0.1 / np.sqrt(2)), abs=1e-4)
  assert active_level(between_zeros(tone(), 3 * FRAME, 40 * FRAME)) == pytest.approx(active_level(tone()), abs=1e-4)
  faint = np.concatenate([tone(), tone(amplitude=0.1 * 10 ** (-41 / 20))])
  assert active_level(faint) == pytest.approx(active_level(tone()), abs=1e-4)
  heard = np.concatenate([tone(), tone(amplitude=0.1 * 10 ** (-39 / 20))])
  assert active_level(heard) == pytest.approx(active_level(tone()) - 10 * np.log10(2), abs=1e-2)


@pytest.mark.parametrize('scale', [1e-4, 1.0, 30.0])
def test_a_normalized_wave_has_the_level_however_loud_it_was(scale):
  wave = np.random.default_rng(0).normal(size=3000).astype(np.float32) * np.linspace(0, 1, 3000, dtype=np.float32)
  found = normalize_level(scale * wave, -20.0)
  assert found.dtype == np.float32
  assert active_level(found) == pytest.approx(-20, abs=1e-4)
  np.testing.assert_allclose(found, normalize_level(wave, -20.0), rtol=1e-4)
  np.testing.assert_allclose(found, normalize_level(found, -20.0), rtol=1e-4)


def test_peaks_are_not_clipped():
  clicks = np.zeros(FRAME, np.float32)
  clicks[::64] = 0.1
  assert normalize_level(clicks, -6.0).max() == pytest.approx(10 ** (-6 / 20) * 8, rel=1e-4)


@pytest.mark.parametrize('length', [0, 1, 1000])
def test_silence_stays_silence(length):
  silence = np.zeros(length, np.float32)
  np.testing.assert_array_equal(normalize_level(silence), silence)
  np.testing.assert_array_equal(match_level(silence, tone()), silence)
  np.testing.assert_array_equal(match_level(np.ones(length, np.float32), np.zeros(5)), silence)
  np.testing.assert_array_equal(trim_silence(silence, RATE), silence)
  assert active_level(silence) == -np.inf


def test_a_wave_gets_the_level_of_another():
  other = np.random.default_rng(1).normal(size=2000)
  assert active_level(match_level(tone(), other)) == pytest.approx(active_level(other), abs=1e-4)


def test_silence_is_cut_but_for_a_margin():
  # frames of 80 samples: 25 and 50 of them are silent; 240 samples of either remain
  loud = tone(1600)
  found = trim_silence(between_zeros(loud, 2000, 4000), RATE)
  np.testing.assert_array_equal(found, between_zeros(loud, 240, 240))
  np.testing.assert_array_equal(trim_silence(found, RATE), found)
  np.testing.assert_array_equal(trim_silence(loud, RATE), loud)


@pytest.mark.parametrize(('decibels', 'kept'), [(-44, 3200), (-46, 1840)])
def test_silence_is_what_lies_45_decibels_below_the_loudest(decibels, kept):
  wave = np.concatenate([tone(1600), tone(1600, 0.1 * 10 ** (decibels / 20))])
  for scale in (1.0, 0.01):
    assert len(trim_silence(scale * wave, RATE)) == kept


def test_pauses_inside_stay():
  wave = np.concatenate([tone(800), np.zeros(8000, np.float32), tone(800)])
  assert len(trim_silence(wave, RATE)) == 9600
