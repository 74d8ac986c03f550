"""Waves of any length, said in the other voice by the model of a run."""

from collections.abc import Callable

import numpy as np
import soxr

from gen_jax.audio.features import analyze, synthesize
from gen_jax.audio.levels import match_level, normalize_level
from gen_jax.audio.stft import of_length
from gen_jax.audio.voice import restore, standardize
from gen_jax.data.side_format import OTHER
from gen_jax.data.sounds import Sound
from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.voices.translate import translate_frames
from gen_jax.evaluation.voices.utterances import with_voice

LONGEST, OVERLAP = 60.0, 0.02  # s: longer waves are translated in pieces, so that they fit in memory; which overlap
RATES = (1_000, 768_000)  # Hz


def translate_wave(model: BoundModel, sound: Sound, window: int, wave: np.ndarray, rate: int, to: str) -> np.ndarray:
  """The wave float32 [T] at a rate in Hz, as the voice of the side `to` says it: of its length, its rate and its level.

  In between at the rate of the features, as frames that are standardized by the given voice and restored by the wanted
  one, and heard with the phases of the source, or where the features have a pitch, with this transposed. What the rate
  of the features cannot hold, above half of it, is lost. `window`: frames that the model sees at a time. Silence stays.
  """
  if not wave.any():
    return np.zeros_like(wave)
  features = sound.features
  given = normalize_level(resample(wave, rate, features.rate))
  convert = lambda piece: convert_piece(model, sound, window, piece, to)
  made = in_pieces(given, convert, round(LONGEST * features.rate), round(OVERLAP * features.rate))
  return match_level(of_length(resample(made, features.rate, rate), len(wave)), wave)


def convert_piece(model: BoundModel, sound: Sound, window: int, wave: np.ndarray, to: str) -> np.ndarray:
  """A wave [T] at the rate and of the level of the voices' recordings, as the other one says it."""
  analysis = analyze(wave, sound.features)
  given = standardize(analysis.frames, sound.voices[OTHER[to]])
  frames = restore(translate_frames(model, given, to, window), sound.voices[to])
  return synthesize(with_voice(analysis, frames, sound, to), sound.features)


def in_pieces(wave: np.ndarray, function: Callable[[np.ndarray], np.ndarray], longest: int, overlap: int) -> np.ndarray:
  """`function` of a wave [T], which keeps lengths; of one of more than `longest` samples in pieces.

  They are cut where it is quiet, and overlap by `overlap` samples, in which one fades into the next.
  """
  total, rising, start = np.zeros_like(wave), (np.arange(overlap, dtype=wave.dtype) + 0.5) / overlap, 0
  while start < len(wave):
    last = len(wave) - start <= longest
    end = len(wave) if last else quietest(wave, start + longest // 2, start + longest, overlap) + overlap
    made = np.array(function(wave[start:end]))
    if start:
      made[:overlap] *= rising
    if not last:
      made[-overlap:] *= rising[::-1]
    total[start:end] += made
    start = end if last else end - overlap
  return total


def quietest(wave: np.ndarray, low: int, high: int, size: int) -> int:
  """Where the `size` samples of least energy begin that lie between `low` and `high`."""
  energy = np.cumsum(np.square(wave[low:high], dtype=np.float64))
  return low + 1 + int(np.argmin(energy[size:] - energy[:-size]))


def resample(wave: np.ndarray, rate: int, wanted: int) -> np.ndarray:
  """The wave float32 [T] at another rate, of at least one sample."""
  made = wave if rate == wanted else soxr.resample(wave, rate, wanted)
  return of_length(made, max(1, len(made)))


def as_wave(wave: np.ndarray, rate: int) -> np.ndarray:
  """float32 [T] of floats or of int16, whose full scale is 1. UserError where it is no wave at a rate."""
  wave = np.asarray(wave)
  if isinstance(rate, bool) or not isinstance(rate, int | np.integer) or not RATES[0] <= rate <= RATES[1]:
    raise UserError(f'rate={rate}: must be an integer of {RATES[0]} to {RATES[1]} samples a second')
  if wave.ndim != 1 or not len(wave) or not (wave.dtype.kind == 'f' or wave.dtype == np.int16):
    raise UserError(f'a wave must be floats or int16 [T], of one channel, not {wave.dtype} {list(wave.shape)}')
  if not np.isfinite(wave).all():
    raise UserError('a wave must be finite; some of its samples are not')
  return np.float32(wave) / 2**15 if wave.dtype == np.int16 else wave.astype(np.float32)
