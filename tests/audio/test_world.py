import sys

import numpy as np
import pytest

from gen_jax.audio.levels import active_level
from gen_jax.audio.mel import band_edges, hertz_to_mel, mel_filters
from gen_jax.audio.world import analyze_world, estimate_pitch, smooth_envelope, synthesize_world
from gen_jax.errors import UserError

NEEDED = 'needs pyworld: pip install pyworld-prebuilt'
RATES = [(16_000, 1024, 256), (8000, 512, 128)]


@pytest.fixture
def pyworld():
  return pytest.importorskip('pyworld', reason=NEEDED)


def vowel(rate, pitch=150.0, center=1000.0, seconds=0.4):
  """Harmonics of `pitch` under a resonance, and a little noise."""
  t, number = np.arange(round(seconds * rate)) / rate, np.arange(1, int(0.45 * rate / pitch))
  amplitudes = 1 / (1 + ((number * pitch - center) / 150) ** 2) + 0.01
  wave = 0.1 * (amplitudes[:, None] * np.sin(2 * np.pi * pitch * number[:, None] * t + number[:, None] ** 2)).sum(0)
  return np.float32(wave + 1e-4 * np.random.default_rng(0).normal(size=len(t)))


def inner(contour):
  """Without the frames at the ends, of which half the window is silent."""
  return contour[4:-4]


@pytest.mark.usefixtures('pyworld')
@pytest.mark.parametrize(('rate', 'size', 'hop'), RATES)
@pytest.mark.parametrize('pitch', [110.0, 150.0, 220.0])
def test_the_pitch_of_a_vowel(rate, size, hop, pitch):
  wave = vowel(rate, pitch)
  found = estimate_pitch(wave, rate, hop)
  assert found.shape == (1 + -(-len(wave) // hop),)
  np.testing.assert_allclose(inner(found), np.log(pitch), atol=0.01)


@pytest.mark.usefixtures('pyworld')
def test_noise_and_silence_have_no_pitch():
  rate, size, hop = RATES[0]
  noise = np.float32(0.1 * np.random.default_rng(0).normal(size=6000))
  assert np.isnan(estimate_pitch(noise, rate, hop)).mean() > 0.8
  frames, log_pitch, aperiodicity = analyze_world(np.zeros(3000, np.float32), rate, size, hop, 20)
  assert np.isnan(log_pitch).all()
  np.testing.assert_allclose(frames, np.log(1e-5), rtol=1e-6)
  assert np.abs(synthesize_world(frames, log_pitch, aperiodicity, rate, size, hop, 3000)).max() < 1e-3


@pytest.mark.usefixtures('pyworld')
@pytest.mark.parametrize(('rate', 'size', 'hop'), RATES)
@pytest.mark.parametrize('center', [800.0, 1500.0])
def test_a_vowel_survives(rate, size, hop, center):
  wave, bands = vowel(rate, center=center), 60
  frames, log_pitch, aperiodicity = analyze_world(wave, rate, size, hop, bands)
  assert (frames.shape, frames.dtype) == ((len(log_pitch), bands), np.float32)
  peaks = band_edges(rate, bands)[1:-1]
  assert np.median(peaks[frames.argmax(1)]) == pytest.approx(center, rel=0.1)
  again = synthesize_world(frames, log_pitch, aperiodicity, rate, size, hop, len(wave))
  assert (again.shape, again.dtype) == (wave.shape, np.float32)
  assert active_level(again) == pytest.approx(active_level(wave), abs=1.5)
  heard, pitch, _ = analyze_world(again, rate, size, hop, bands)
  np.testing.assert_allclose(inner(pitch), inner(log_pitch), atol=0.01)
  assert np.median(peaks[heard.argmax(1)]) == pytest.approx(center, rel=0.1)


@pytest.mark.usefixtures('pyworld')
def test_another_pitch_is_heard_under_the_same_envelope():
  rate, size, hop = RATES[0]
  wave = vowel(rate)
  frames, log_pitch, aperiodicity = analyze_world(wave, rate, size, hop, 60)
  again = synthesize_world(frames, log_pitch + np.log(1.5), aperiodicity, rate, size, hop, len(wave))
  heard, pitch, _ = analyze_world(again, rate, size, hop, 60)
  np.testing.assert_allclose(inner(pitch), np.log(225), atol=0.01)
  assert np.median(heard.argmax(1)) == pytest.approx(np.median(frames.argmax(1)), abs=3)


@pytest.mark.usefixtures('pyworld')
@pytest.mark.parametrize('rate', [8000, 12_000, 16_000, 22_050, 48_000])
@pytest.mark.parametrize('length', [1, 100, 256, 257, 1000])
def test_waves_of_any_length_and_rate(rate, length):
  size = 2 ** round(np.log2(0.064 * rate))
  wave = np.float32(0.1 * np.random.default_rng(0).normal(size=length))
  analysis = analyze_world(wave, rate, size, size // 4, 20)
  assert {len(part) for part in analysis} == {1 + -(-length // (size // 4))}
  again = synthesize_world(*analysis, rate, size, size // 4, length)
  assert (len(again), np.isfinite(again).all()) == (length, True)
  np.testing.assert_array_equal(again, synthesize_world(*analysis, rate, size, size // 4, length))


def test_the_envelope_is_linear_in_mel_and_held_at_the_ends():
  rate, size, bands = 16_000, 1024, 30
  frequencies, peaks = np.linspace(0, rate / 2, size // 2 + 1), band_edges(rate, bands)[1:-1]
  line = lambda hertz: 0.2 * hertz_to_mel(hertz) - 3
  found = smooth_envelope(np.stack([line(peaks), np.full(bands, 7.0)]), rate, size)
  np.testing.assert_allclose(found[0], line(np.clip(frequencies, peaks[0], peaks[-1])), atol=1e-12)
  np.testing.assert_allclose(found[1], 7)


def test_a_flat_envelope_has_its_own_level_in_each_band(monkeypatch, pyworld):
  rate, size, hop = RATES[0]
  flat = lambda wave, pitch, times, rate, fft_size: np.full((len(pitch), fft_size // 2 + 1), 0.3**2)
  monkeypatch.setattr(pyworld, 'cheaptrick', flat)
  frames, _, _ = analyze_world(vowel(rate), rate, size, hop, 80)
  np.testing.assert_allclose(frames, np.log(0.3), rtol=1e-5)
  assert mel_filters(rate, size, 80).sum(1).max() < 0.1


@pytest.mark.parametrize('call', [lambda wave: estimate_pitch(wave, 16_000, 256),
                                  lambda wave: analyze_world(wave, 16_000, 1024, 256, 20)])  # fmt: skip
def test_a_missing_package_is_named(monkeypatch, call):
  monkeypatch.setitem(sys.modules, 'pyworld', None)
  with pytest.raises(UserError, match="features='world' needs pyworld: pip install pyworld-prebuilt"):
    call(np.zeros(1000))
