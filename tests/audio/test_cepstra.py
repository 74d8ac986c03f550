import numpy as np
import pytest
from scipy.fft import dct

from gen_jax.audio.cepstra import cepstra, mel_cepstral_distortion, mel_cepstral_distortions
from gen_jax.errors import UserError

LOG_MEL = np.random.default_rng(0).normal(size=(15, 24)).astype(np.float32)


@pytest.mark.parametrize('coefficients', [1, 13, 23])
def test_cepstra_are_a_scaled_cosine_transform(coefficients):
  expected = dct(LOG_MEL, type=2, norm='ortho', axis=1)[:, 1 : coefficients + 1] * np.sqrt(2 / 24)
  found = cepstra(LOG_MEL, coefficients)
  np.testing.assert_allclose(found, expected, atol=1e-6)
  assert found.dtype == np.float32


def test_a_cepstrum_is_the_amplitude_of_its_cosine_and_the_level_has_none():
  wave = 0.7 * np.cos(np.pi * 3 * (np.arange(80) + 0.5) / 80) + 5
  np.testing.assert_allclose(cepstra(wave[None])[0], 0.7 * (np.arange(1, 14) == 3), atol=1e-6)


def test_there_are_fewer_cepstra_than_bands():
  with pytest.raises(UserError, match='13 cepstra of 13 mel bands: there are 12'):
    cepstra(np.zeros((2, 13)))


def test_the_distortion_of_a_cepstrum_that_is_off_by_a_constant():
  # of equal frames each path has the same mean, so that of any length it is 6.1419 dB times the distance
  first, second = np.zeros((6, 13)), np.zeros((9, 13))
  second[:, 4] = 0.5
  assert mel_cepstral_distortion(first, second) == pytest.approx(0.5 * 6.141851, rel=1e-6)
  moving = 10 * np.arange(8)[:, None] * np.ones((1, 13))
  assert mel_cepstral_distortion(moving, moving + 0.1) == pytest.approx(0.1 * np.sqrt(13) * 6.141851, rel=1e-4)


def test_slower_speech_is_not_distorted():
  frames = cepstra(LOG_MEL)
  assert mel_cepstral_distortion(frames, np.repeat(frames, 2, axis=0)) == 0


def test_distortions_of_pairs():
  frames = cepstra(LOG_MEL)
  pairs = [(frames, frames[:7]), (frames[3:], frames)]
  expected = [mel_cepstral_distortion(*pair) for pair in pairs]
  np.testing.assert_allclose(mel_cepstral_distortions(*zip(*pairs, strict=True)), expected, rtol=1e-6)
