"""What is known of a speaker: how frames and pitch are distributed, by which models see them standardized."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gen_jax.audio.features import Analysis

LEAST = 1e-3  # deviation of a band


class Voice(NamedTuple):
  """Moments over the frames of a speaker's training utterances.

  Attributes:
    mean: of each band's log amplitude, [bands].
    deviation: likewise.
    pitch: the mean and the deviation of ln Hz over voiced frames; (0, 1) where the features have no pitch.
  """

  mean: tuple[float, ...]
  deviation: tuple[float, ...]
  pitch: tuple[float, float] = (0.0, 1.0)


def measure_voice(analyses: Sequence[Analysis]) -> Voice:
  """The Voice of utterances."""
  frames = np.concatenate([analysis.frames for analysis in analyses]).astype(np.float64)
  mean, deviation = frames.mean(0), np.maximum(frames.std(0), LEAST)
  pitched = [analysis.log_pitch for analysis in analyses if analysis.log_pitch is not None]
  voiced = np.concatenate(pitched) if pitched else np.zeros(0)
  voiced = voiced[np.isfinite(voiced)]
  pitch = (float(voiced.mean()), float(max(voiced.std(), LEAST))) if len(voiced) else (0.0, 1.0)
  return Voice(tuple(mean.tolist()), tuple(deviation.tolist()), pitch)


def standardize(frames: np.ndarray, voice: Voice) -> np.ndarray:
  """(frames - mean) / deviation of each band, float32 [T,bands]."""
  return ((frames - np.float32(voice.mean)) / np.float32(voice.deviation)).astype(np.float32)


def restore(frames: np.ndarray, voice: Voice) -> np.ndarray:
  """The inverse of `standardize`."""
  return (frames * np.float32(voice.deviation) + np.float32(voice.mean)).astype(np.float32)


def transpose_pitch(log_pitch: np.ndarray, given: Voice, wanted: Voice) -> np.ndarray:
  """(ln f0 - m) / s s' + m', [T]: a speaker's pitch as that of another (Kaneko et al., 2019, section 4)."""
  (mean, deviation), (wanted_mean, wanted_deviation) = given.pitch, wanted.pitch
  return (log_pitch - mean) / deviation * wanted_deviation + wanted_mean
