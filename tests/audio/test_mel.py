import numpy as np
import pytest

from gen_jax.audio.mel import (
  band_edges,
  hertz_to_mel,
  invert_log_mel,
  log_mel,
  mel_filters,
  mel_to_hertz,
)

SHAPES = [(16_000, 1024, 80), (8000, 512, 24), (22_050, 1024, 80)]


def smooth_magnitudes(rate, size, frames=5):
  """Two broad resonances that move, as of vowels, on a slope."""
  frequencies, t = np.linspace(0, rate / 2, size // 2 + 1), np.arange(frames)[:, None]
  peak = lambda center, width: 1 / (1 + ((frequencies - center) / width) ** 2)
  return np.float32((peak(600 + 50 * t, 150) + 0.5 * peak(1800 - 80 * t, 250) + 0.02) * 20)


def test_the_scale_is_that_of_librosa():
  # librosa.hz_to_mel, librosa.mel_to_hz
  np.testing.assert_allclose(hertz_to_mel([0, 440, 1000, 4000, 8000]), [0, 6.6, 15, 35.16376031, 45.24564047])
  np.testing.assert_allclose(mel_to_hertz([0, 10, 15, 20, 45]), [0, 666.66666667, 1000, 1410.23856781, 7866.02870009])
  hertz = np.linspace(0, 24_000, 50)
  np.testing.assert_allclose(mel_to_hertz(hertz_to_mel(hertz)), hertz, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(
  ('shape', 'sums', 'peaks', 'at'),
  [
    (SHAPES[0], [0.062344544, 0.06403383, 0.06395814, 0.0639746], [0.02253456, 0.024223845, 0.014444176, 0.0033306333],
     [2, 5, 110, 493]),
    (SHAPES[1], [0.063999996, 0.063999996, 0.06401681, 0.063970715],
     [0.0106621105, 0.0106598325, 0.007995018, 0.0027897512], [6, 12, 80, 232]),
    (SHAPES[2], [0.046331175, 0.046331175, 0.04664324, 0.046433717],
     [0.023165587, 0.021987645, 0.011514987, 0.0022081186], [2, 4, 94, 491]),
  ],
)  # fmt: skip
def test_filters_are_those_of_librosa(shape, sums, peaks, at):
  # of librosa.filters.mel(sr=rate, n_fft=size, n_mels=bands): bands 0, 1, bands / 2 and the last
  filters = mel_filters(*shape)
  rows = filters[[0, 1, shape[2] // 2, -1]]
  assert (filters.shape, filters.dtype) == ((shape[2], shape[1] // 2 + 1), np.float32)
  np.testing.assert_allclose(rows.sum(1), sums, rtol=1e-5)
  np.testing.assert_allclose(rows.max(1), peaks, rtol=1e-5)
  np.testing.assert_array_equal(rows.argmax(1), at)


def test_entries_are_those_of_librosa():
  filters = mel_filters(*SHAPES[0])
  np.testing.assert_allclose(filters[5, 13:16], [0.01220757, 0.02347485, 0.01896471], rtol=1e-5)
  np.testing.assert_array_equal(np.flatnonzero(filters[40]), range(107, 115))
  assert filters.sum() == pytest.approx(5.1186576, rel=1e-5)
  assert np.square(filters).sum() == pytest.approx(0.055504724, rel=1e-5)
  np.testing.assert_allclose(mel_filters(*SHAPES[1])[5, 35:38], [0.0088737, 0.01065072, 0.00890104], rtol=1e-5)


@pytest.mark.parametrize(('rate', 'size', 'bands'), SHAPES)
def test_triangles_have_an_area_of_one_and_side_by_side_they_add_up(rate, size, bands):
  filters, edges = mel_filters(rate, size, bands).astype(np.float64), band_edges(rate, bands)
  assert (edges[0], edges[-1]) == (0, pytest.approx(rate / 2))
  np.testing.assert_allclose(filters.sum(1) * rate / size, 1, atol=0.05)  # of a few samples each
  heights = 2 / (edges[2:] - edges[:-2])
  frequencies = np.linspace(0, rate / 2, size // 2 + 1)
  between = (frequencies >= edges[1]) & (frequencies <= edges[-2])
  np.testing.assert_allclose((filters / heights[:, None]).sum(0)[between], 1, atol=1e-5)


def test_log_mel_is_a_logarithm_with_a_floor():
  filters = mel_filters(8000, 256, 12)
  magnitudes = smooth_magnitudes(8000, 256)
  expected = np.log(magnitudes.astype(np.float64) @ filters.T)
  np.testing.assert_allclose(log_mel(magnitudes, filters), expected, atol=1e-5)
  np.testing.assert_allclose(log_mel(np.zeros((2, 129), np.float32), filters), np.log(1e-5), rtol=1e-6)


@pytest.mark.parametrize(('rate', 'size', 'bands'), SHAPES)
def test_smooth_magnitudes_come_back(rate, size, bands):
  filters, magnitudes = mel_filters(rate, size, bands), smooth_magnitudes(rate, size)
  frames = log_mel(magnitudes, filters)
  found = np.asarray(invert_log_mel(frames, filters))
  assert found.min() >= 0
  np.testing.assert_allclose(log_mel(found, filters), frames, atol=0.02)
  edges = band_edges(rate, bands)
  frequencies = np.linspace(0, rate / 2, size // 2 + 1)
  inside = (frequencies >= edges[1]) & (frequencies <= edges[-2])
  error = np.abs(found - magnitudes)[:, inside]
  assert error.max() < 0.2 * magnitudes.max()
  assert np.linalg.norm(error) < 0.05 * np.linalg.norm(magnitudes)


def test_silence_comes_back():
  filters = mel_filters(8000, 256, 12)
  silent = np.full((3, 12), np.log(1e-5), np.float32)
  assert np.asarray(invert_log_mel(silent, filters)).max() < 1e-2
