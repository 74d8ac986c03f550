import numpy as np
import pytest

from gen_jax.audio.griffin_lim import griffin_lim, spectral_convergence, with_magnitudes
from gen_jax.audio.stft import stft

SIZE, HOP, LENGTH = 128, 32, 1500


def speech_like(seed=0):
  """Harmonics whose pitch glides, in syllables, and some noise."""
  rng, n = np.random.default_rng(seed), np.arange(LENGTH)
  phase = 2 * np.pi * np.cumsum(0.02 + 0.005 * np.sin(n / 300))
  voiced = sum(np.cos(k * phase + k) / k for k in range(1, 8))
  return np.float32(voiced * np.sin(n / 200) ** 2 + 0.02 * rng.normal(size=LENGTH))


def distance(wave, magnitudes):
  """That of the whole spectrum, of which the half at hand leaves out what is the same: the projections' own."""
  both = np.full(SIZE // 2 + 1, 2.0)
  both[[0, -1]] = 1
  return np.sqrt((both * (np.abs(np.asarray(stft(wave, SIZE, HOP))) - magnitudes) ** 2).sum())


@pytest.fixture(scope='module')
def inconsistent():
  """Magnitudes that no wave has, as a model's, and phases to begin with."""
  magnitudes = np.abs(np.asarray(stft(speech_like(), SIZE, HOP)))
  magnitudes = np.roll(magnitudes, 3, axis=1) * np.exp(0.3 * np.random.default_rng(1).normal(size=magnitudes.shape))
  return np.float32(magnitudes), np.complex64(np.exp(2j * np.pi * np.random.default_rng(0).random(magnitudes.shape)))


def test_the_plain_form_never_moves_away_from_the_magnitudes(inconsistent):
  magnitudes, start = inconsistent
  distances = [distance(griffin_lim(magnitudes, start, HOP, LENGTH, n, 0.0), magnitudes) for n in range(12)]
  assert (np.diff(distances) < 1e-5 * distances[0]).all()
  assert distances[-1] < 0.8 * distances[0]


def test_the_fast_form_comes_nearer(inconsistent):
  magnitudes, start = inconsistent
  plain, fast = (griffin_lim(magnitudes, start, HOP, LENGTH, 60, momentum) for momentum in (0.0, 0.99))
  assert distance(fast, magnitudes) < 0.98 * distance(plain, magnitudes)


def test_one_step_by_hand(inconsistent):
  magnitudes, start = inconsistent
  first = np.asarray(griffin_lim(magnitudes, start, HOP, LENGTH, 0))
  spectrum = np.asarray(stft(first, SIZE, HOP))
  ahead = spectrum + 0.5 * (spectrum - magnitudes * np.asarray(start))
  second = griffin_lim(magnitudes, ahead, HOP, LENGTH, 0)
  np.testing.assert_allclose(griffin_lim(magnitudes, start, HOP, LENGTH, 1, 0.5), second, atol=1e-4)


@pytest.mark.parametrize('momentum', [0.0, 0.99])
def test_a_wave_of_the_magnitudes_stays(momentum):
  wave = speech_like()
  spectrum = stft(wave, SIZE, HOP)
  # of the start only the phases count
  found = griffin_lim(np.abs(spectrum), 3 * spectrum, HOP, LENGTH, 30, momentum)
  np.testing.assert_allclose(found, wave, atol=1e-3)
  assert found.dtype == np.float32


def test_silence_stays_silence():
  silence = np.zeros((1 + 5, SIZE // 2 + 1), np.float32)
  np.testing.assert_array_equal(griffin_lim(silence, silence.astype(np.complex64), HOP, 5 * HOP, 3), np.zeros(5 * HOP))


def test_where_a_spectrum_is_zero_its_phase_is():
  found = with_magnitudes(np.complex64([0, 3j, -2]), np.float32([5, 1, 0]))
  np.testing.assert_allclose(found, [5, 1j, 0], atol=1e-6)


def test_spectral_convergence():
  spectrum, magnitudes = np.complex64([[3j, 4], [0, -1]]), np.float32([[3, 0], [4, 1]])
  assert spectral_convergence(spectrum, magnitudes) == pytest.approx(np.sqrt(32 / 26))
  assert spectral_convergence(spectrum, np.abs(spectrum)) == 0
