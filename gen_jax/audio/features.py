"""Waves as frames of log amplitudes in mel bands, which a model sees, and what else it takes to hear them again."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from gen_jax.audio.griffin_lim import griffin_lim
from gen_jax.audio.mel import invert_log_mel, log_mel, mel_filters
from gen_jax.audio.stft import count_frames, of_length, stft
from gen_jax.audio.world import analyze_world, synthesize_world

KINDS = ('mel', 'world')
WINDOW = 0.064  # s of a window of the Fourier transform
MOMENTUM, ITERATIONS = 0.99, 60  # of the fast Griffin-Lim
BUCKET = 64  # frames: waves are filled up with silence to multiples of it, so that few programs are compiled


class Features(NamedTuple):
  """How waves become frames.

  Attributes:
    kind: 'mel', of the amplitudes of the Fourier transform, heard again by Griffin and Lim's (1984) algorithm from the
      phases of the source; or 'world', of the smooth envelope of WORLD (Morise et al., 2016), which is heard with a
      pitch of its own.
    rate: of the waves, Hz.
    bands: of the mel scale, from 0 to rate / 2.
  """

  kind: str = 'mel'
  rate: int = 16_000
  bands: int = 80

  @property
  def size(self) -> int:
    """Samples of a window: a power of two, about 64 ms."""
    return 2 ** round(math.log2(WINDOW * self.rate))

  @property
  def hop(self) -> int:
    """Samples from a frame to the next: a quarter of a window."""
    return self.size // 4

  @property
  def filters(self) -> np.ndarray:
    """[bands,size/2+1]."""
    return mel_filters(self.rate, self.size, self.bands)


class Analysis(NamedTuple):
  """An utterance as frames, and what these leave out.

  Attributes:
    frames: float32 [T,bands], natural logs of amplitudes; T = 1 + ceil(length / hop).
    spectrum: of 'mel' the Fourier transform complex64 [T,size/2+1], whose phases are heard again.
    log_pitch: of 'world' the logs of Hz, float64 [T], NaN where unvoiced.
    aperiodicity: of 'world' how noisy its bands are, [T,...].
    length: samples of the wave.
  """

  frames: np.ndarray
  length: int
  spectrum: np.ndarray | None = None
  log_pitch: np.ndarray | None = None
  aperiodicity: np.ndarray | None = None


def analyze(wave: np.ndarray, features: Features) -> Analysis:
  """The frames of a wave float32 [length] at the rate of the features."""
  if features.kind == 'world':
    frames, log_pitch, aperiodicity = analyze_world(wave, features.rate, features.size, features.hop, features.bands)
    return Analysis(frames, len(wave), log_pitch=log_pitch, aperiodicity=aperiodicity)
  number, bucket = count_frames(len(wave), features.hop), BUCKET * features.hop
  spectrum = stft(of_length(wave, -(-len(wave) // bucket) * bucket), features.size, features.hop)
  frames = np.asarray(log_mel(jnp.abs(spectrum), features.filters))[:number]
  return Analysis(frames, len(wave), np.asarray(spectrum)[:number])


def synthesize(analysis: Analysis, features: Features) -> np.ndarray:
  """The wave float32 [length] of an analysis, whose frames may be others than those of its source."""
  if features.kind == 'world':
    pitch, noise = analysis.log_pitch, analysis.aperiodicity
    return synthesize_world(analysis.frames, pitch, noise, features.rate, features.size, features.hop, analysis.length)
  number = len(analysis.frames)
  whole = -(-number // BUCKET) * BUCKET + 1
  magnitudes = np.asarray(invert_log_mel(of_length(analysis.frames, whole), features.filters))
  magnitudes = magnitudes * (np.arange(whole) < number)[:, None]
  source = of_length(analysis.spectrum, whole)
  length = (whole - 1) * features.hop
  wave = griffin_lim(magnitudes, source, features.hop, length, ITERATIONS, MOMENTUM)
  return np.asarray(wave)[: analysis.length]
