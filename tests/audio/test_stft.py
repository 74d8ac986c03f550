import numpy as np
import pytest
from scipy import signal

from gen_jax.audio.stft import count_frames, hann, istft, of_length, overlap_add, stft

SIZE, HOP = 64, 16
LENGTHS = [1, 2, 15, 16, 17, 31, 33, 64, 101, 500]


def noise(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize('length', LENGTHS)
def test_frames_are_fourier_transforms_around_each_hop(length):
  wave = noise(length)
  spectrum = stft(wave, SIZE, HOP)
  assert spectrum.shape == (1 + int(np.ceil(length / HOP)), SIZE // 2 + 1)
  assert spectrum.dtype == np.complex64
  padded = np.pad(wave, SIZE)
  for frame, found in enumerate(spectrum):
    first = SIZE + frame * HOP - SIZE // 2
    expected = np.fft.rfft(padded[first : first + SIZE] * signal.windows.hann(SIZE, sym=False))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize('length', [33, 64, 101, 500])
def test_the_transform_is_that_of_scipy(length):
  wave = noise(length)
  window = signal.windows.hann(SIZE, sym=False)
  peer = signal.ShortTimeFFT(window, HOP, fs=1, fft_mode='onesided', phase_shift=None)
  np.testing.assert_allclose(stft(wave, SIZE, HOP), peer.stft(wave, p0=0, p1=count_frames(length, HOP)).T, atol=1e-4)


@pytest.mark.parametrize('frames', [4, 5, 20])
def test_the_inverse_is_that_of_scipy_for_spectra_of_no_wave(frames):
  spectrum = (noise(frames, SIZE // 2 + 1) + 1j * noise(frames, SIZE // 2 + 1, seed=1)).astype(np.complex64)
  _, expected = signal.istft(spectrum.T / hann(SIZE).sum(), nperseg=SIZE, noverlap=SIZE - HOP)
  found = istft(spectrum, HOP, (frames - 1) * HOP)
  np.testing.assert_allclose(found, expected, atol=1e-5)
  np.testing.assert_allclose(istft(spectrum, HOP, len(found) - 3), found[:-3])


@pytest.mark.parametrize('hop', [16, 32, 20])
@pytest.mark.parametrize('length', LENGTHS)
def test_the_inverse_of_a_transform_is_the_wave(length, hop):
  wave = noise(length)
  found = istft(stft(wave, SIZE, hop), hop, length)
  np.testing.assert_allclose(found, wave, atol=1e-5)
  assert found.dtype == np.float32


def test_the_inverse_is_the_nearest_wave():
  frames, length = 8, 105
  spectrum = (noise(frames, SIZE // 2 + 1) + 1j * noise(frames, SIZE // 2 + 1, seed=1)).astype(np.complex64)
  spectrum[:, [0, -1]] = spectrum[:, [0, -1]].real
  rest = spectrum - np.asarray(stft(istft(spectrum, HOP, length), SIZE, HOP))
  both = np.full(SIZE // 2 + 1, 2.0)
  both[[0, -1]] = 1  # of the other half of the spectrum there are conjugates
  for seed in range(3):
    other = np.asarray(stft(noise(length, seed=seed), SIZE, HOP))
    assert abs((both * rest * other.conj()).sum().real) < 1e-4 * np.linalg.norm(rest) * np.linalg.norm(other)


def test_a_sine_has_its_phase_and_half_its_sum_of_the_window():
  wave = np.float32(np.cos(2 * np.pi * 8 * np.arange(512) / SIZE + 0.3))
  spectrum = np.asarray(stft(wave, SIZE, HOP))[4:-4]  # each frame begins after whole periods
  np.testing.assert_allclose(spectrum[:, 8], SIZE / 4 * np.exp(0.3j) * np.ones(len(spectrum)), atol=1e-3)


def test_lengths_are_filled_up_with_zeros():
  np.testing.assert_array_equal(of_length(np.arange(3.0), 5), [0, 1, 2, 0, 0])
  np.testing.assert_array_equal(of_length(np.arange(3.0), 2), [0, 1])
  np.testing.assert_array_equal(of_length(np.ones((1, 2)), 2), [[1, 1], [0, 0]])


def test_windows_add_up():
  np.testing.assert_allclose(hann(SIZE).reshape(4, HOP).sum(0), 2, atol=1e-6)
  np.testing.assert_allclose(hann(SIZE), signal.windows.hann(SIZE, sym=False), atol=1e-6)


@pytest.mark.parametrize(('size', 'hop'), [(4, 2), (4, 1), (5, 2), (3, 3), (2, 3)])
def test_pieces_are_added_where_they_overlap(size, hop):
  pieces = noise(6, size)
  expected = np.zeros(5 * hop + size)
  for number, piece in enumerate(pieces):
    expected[number * hop : number * hop + size] += piece
  np.testing.assert_allclose(overlap_add(pieces, hop), expected, atol=1e-6)
