"""Sound files, translated by a run: how they are read, translated and written."""

import pathlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from gen_jax.data.audio_files import FLOATS, audio_format, encode_audio, read_audio, subtype_of
from gen_jax.data.listing import RECORDINGS, suffix_of
from gen_jax.data.side_format import OTHER
from gen_jax.errors import UserError
from gen_jax.files import write_bytes
from gen_jax.runs.run import Run
from gen_jax.runs.sounds import as_wave

FILES = RECORDINGS


class Recording(NamedTuple):
  """What a file holds, its channels as their mean."""

  wave: np.ndarray  # float32 [T]
  rate: int  # Hz
  channels: int
  subtype: str  # of the samples, such as 'PCM_24'


def suffix_after(suffix: str) -> str:
  """With which the name of a translation ends: as that of its source, or where that cannot be written, '.wav'."""
  return suffix if suffix_of(f'x{suffix}') in FILES.suffixes else '.wav'


def read(run: Run, path: pathlib.Path, to: str) -> Recording:
  """The sound of a file. UserError where it is none."""
  del run, to
  format = audio_format(path)
  try:
    wave = as_wave(read_audio(path, format.rate), format.rate)
  except UserError as error:
    raise UserError(str(error) if str(path) in str(error) else f'{path}: {error}') from None
  return Recording(wave, format.rate, format.channels, format.subtype)


def translations(
  run: Run, recordings: Iterable[Recording], number: int, to: str, size: int, round_trip: bool
) -> Iterator[tuple[Recording, ...]]:
  """(what each recording becomes, and with `round_trip` what becomes of that on the way back)."""
  del number, size
  for recording in recordings:
    made = recording._replace(wave=run.translate_wave(recording.wave, recording.rate, to))
    if round_trip:
      yield made, made._replace(wave=run.translate_wave(made.wave, made.rate, OTHER[to]))
    else:
      yield (made,)


def write(path: pathlib.Path, recording: Recording) -> None:
  """A file of the kind that its name says, whole or not at all; samples as those of the source where it can hold such.

  The wave stands in each channel. Where samples are integers, and some of the wave's lie beyond [-1, 1], it is made
  softer, as cutting them would be heard.
  """
  kind = suffix_of(path.name)[1:].upper()
  floats = subtype_of(kind, recording.subtype) in FLOATS
  wave = recording.wave if floats else recording.wave / max(1, np.abs(recording.wave).max())
  channels = np.repeat(wave[:, None], recording.channels, axis=1)
  write_bytes(path, encode_audio(channels, recording.rate, kind, recording.subtype))
