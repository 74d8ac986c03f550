"""A speaker's moments: they standardize what they are of, and carry a pitch over."""

import numpy as np
import pytest

from gen_jax.audio.features import Analysis
from gen_jax.audio.voice import Voice, measure_voice, restore, standardize, transpose_pitch


def utterances(seed, mean, deviation, pitch=None):
  rng = np.random.default_rng(seed)
  frames = [(mean + deviation * rng.normal(size=(n, 4))).astype(np.float32) for n in (300, 500)]
  return [Analysis(x, 256 * len(x), log_pitch=pitch and pitch(rng, len(x))) for x in frames]


def test_frames_of_a_voice_have_mean_0_and_deviation_1_by_itself():
  spoken = utterances(0, np.array([1.0, -2, 3, 0]), np.array([0.5, 2, 1, 3]))
  voice = measure_voice(spoken)
  frames = np.concatenate([analysis.frames for analysis in spoken])
  np.testing.assert_allclose(voice.mean, frames.mean(0), atol=1e-4)
  x = standardize(frames, voice)
  assert x.dtype == np.float32
  np.testing.assert_allclose([x.mean(0), x.std(0)], [[0] * 4, [1] * 4], atol=1e-4)
  np.testing.assert_allclose(restore(x, voice), frames, atol=1e-4)
  assert voice.pitch == (0.0, 1.0)


def test_a_band_that_never_moves_divides_by_no_zero():
  voice = measure_voice([Analysis(np.full((5, 2), 3.0, np.float32), 1_280)])
  np.testing.assert_allclose(standardize(np.full((1, 2), 3.0, np.float32), voice), 0, atol=1e-6)


def test_pitch_is_measured_where_there_is_some_and_carried_over():
  def pitch(rng, number):
    contour = np.log(200) + 0.1 * rng.normal(size=number)
    contour[::3] = np.nan
    return contour

  voice = measure_voice(utterances(1, 0.0, 1.0, pitch))
  assert voice.pitch == pytest.approx((np.log(200), 0.1), abs=0.02)
  low = Voice((), (), (np.log(100), 0.2))
  contour = np.array([voice.pitch[0], np.nan, voice.pitch[0] + voice.pitch[1]])
  np.testing.assert_allclose(transpose_pitch(contour, voice, low), [np.log(100), np.nan, np.log(100) + 0.2])
  np.testing.assert_allclose(transpose_pitch(transpose_pitch(contour, voice, low), low, voice), contour)
