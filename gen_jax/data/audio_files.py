"""Audio files: what their headers say, their waves at any rate, and waves as files."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from gen_jax.errors import UserError

SUFFIXES = {'.wav', '.flac', '.ogg'}
FLOATS = {'FLOAT', 'DOUBLE'}  # samples that may leave [-1, 1]
BLOCK = 2**16  # samples written at a time: libsndfile overruns its stack where it writes long Vorbis at once


class AudioFormat(NamedTuple):
  """What a file says of its sound before it is decoded."""

  rate: int  # Hz
  channels: int
  subtype: str  # of the samples, as libsndfile calls it: 'PCM_16', 'FLOAT', 'VORBIS'
  frames: int  # samples of each channel


@contextlib.contextmanager
def open_audio(path: Path) -> Iterator[soundfile.SoundFile]:
  """An audio file; whatever goes wrong with it becomes a UserError that names it."""
  try:
    # not by its path, which libsndfile cannot take where its bytes are no UTF-8
    with open(path, 'rb') as file, soundfile.SoundFile(file) as audio:
      yield audio
  except Exception as error:  # headers that promise too much raise MemoryError and ValueError besides
    why = getattr(error, 'error_string', None) or getattr(error, 'strerror', None) or str(error)
    raise UserError(unreadable(path, why)) from error


def unreadable(path: Path, why: str) -> str:
  """What to do about a file."""
  return f'{path} cannot be read as audio: {why.rstrip(".")}; save it anew as WAV, FLAC or OGG, or remove it'


def audio_format(path: str | os.PathLike) -> AudioFormat:
  """The format of a file by its header. UserError where it is no audio."""
  with open_audio(Path(path)) as audio:
    return AudioFormat(audio.samplerate, audio.channels, audio.subtype, audio.frames)


def read_audio(path: str | os.PathLike, rate: int) -> np.ndarray:
  """The wave float32 [T] of a file: the mean of its channels, resampled to `rate` Hz; full scale is 1.

  Raises UserError: no audio, no samples, samples that are no finite numbers.
  """
  path = Path(path)
  with open_audio(path) as audio:
    own_rate, wave = audio.samplerate, audio.read(dtype='float32', always_2d=True).mean(1)
  if not np.isfinite(wave).all():
    raise UserError(unreadable(path, 'it has samples that are no finite numbers'))
  wave = soxr.resample(wave, own_rate, rate, 'HQ') if len(wave) and own_rate != rate else wave
  if not len(wave):
    raise UserError(unreadable(path, 'it has no samples'))
  return wave


def subtype_of(format: str, wanted: str = '') -> str:
  """The samples that are written: such as are wanted, or where a format has none, of 16 bits, those of OGG Vorbis."""
  return wanted if wanted and soundfile.check_format(format, wanted) else soundfile.default_subtype(format)


def encode_audio(wave: np.ndarray, rate: int, format: str, subtype: str = '') -> bytes:
  """The bytes of a file of a wave [T], or of channels [T,C], clipped to [-1, 1] where samples are not FLOATS.

  The format is 'WAV', 'FLAC' or 'OGG', of samples as `subtype_of` has them.
  """
  subtype, buffer = subtype_of(format, subtype), io.BytesIO()
  wave = np.float32(wave) if subtype in FLOATS else np.clip(np.float32(wave), -1, 1)
  channels = 1 if wave.ndim == 1 else wave.shape[1]
  with soundfile.SoundFile(buffer, 'w', rate, channels, subtype, format=format) as audio:
    for start in range(0, len(wave), BLOCK):
      audio.write(wave[start : start + BLOCK])
  return buffer.getvalue()
