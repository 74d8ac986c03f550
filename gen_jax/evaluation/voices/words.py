"""A recognizer of single words, learned here from speakers who are none of the two voices.

Cepstra are standardized over all that a speaker says, by which a spectrum that is the speaker's own goes and one that
is the word's stays; each word is brought to the same number of frames; a support vector machine tells which it is.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.fft

from gen_jax.audio.features import Features, analyze
from gen_jax.data.audio_files import SUFFIXES
from gen_jax.data.sets import voice_folder
from gen_jax.errors import UserError

FRAMES, CEPSTRA, C = 16, 13, 10.0
LEAST = 1e-6  # deviation of what does not vary

Recognize = Callable[[Sequence[np.ndarray]], list[str]]  # frames [T,bands] of all that one speaker says -> words
Readings = list[tuple[str, np.ndarray]]  # words, and frames of those who say them


def word_of(name: str) -> str:
  """What a file says: its name before the first '_', as of 7_theo_32."""
  return name.rpartition('/')[2].partition('_')[0]


def list_words(folder: str) -> dict[str, list[Path]]:
  """{speaker: files} of FOLDER/SPEAKER/WORD_*.wav. UserError where there are none, or one word alone."""
  root = Path(folder).expanduser()
  found = sorted(path for path in root.glob('*/*_*') if path.suffix.lower() in SUFFIXES)
  if len({word_of(path.name) for path in found}) < 2:
    raise UserError(f'config.words={folder!r}: it must hold SPEAKER/WORD_*.wav, of two words at least')
  speakers = sorted({path.parent.name for path in found})
  return {speaker: [path for path in found if path.parent.name == speaker] for speaker in speakers}


@functools.lru_cache(4)
def read_words(folder: str, features: Features) -> dict[str, Readings]:
  """{speaker: what it says} of such a folder, analyzed as the voices are; silent files are left out."""
  read = {}
  for speaker, paths in list_words(folder).items():
    waves = voice_folder.read_waves(voice_folder.stamps_of(Path(), paths), features.rate)
    named = zip(paths, waves, strict=True)
    read[speaker] = [(word_of(path.name), analyze(wave, features).frames) for path, wave in named if len(wave)]
  return read


def learn_words(speakers: Mapping[str, Readings]) -> Recognize:
  """A function that tells words by what several speakers say."""
  from sklearn.svm import SVC  # slow to import

  x = np.concatenate([describe([frames for _, frames in said]) for said in speakers.values()])
  words = [word for said in speakers.values() for word, _ in said]
  machine = SVC(C=C).fit(x, words)
  return lambda said: machine.predict(describe(said)).tolist()


def describe(said: Sequence[np.ndarray]) -> np.ndarray:
  """[N,16 x 13]: c0 to c12 of all utterances of a speaker, standardized over all of their frames, each in 16 frames."""
  cepstra = [scipy.fft.dct(np.asarray(frames, np.float64), norm='ortho', axis=1)[:, :CEPSTRA] for frames in said]
  every = np.concatenate(cepstra)
  mean, deviation = every.mean(0), np.maximum(every.std(0), LEAST)
  return np.stack([resample((c - mean) / deviation, FRAMES).ravel() for c in cepstra])


def resample(contours: np.ndarray, number: int) -> np.ndarray:
  """[T,K] -> [number,K], linearly, both ends kept."""
  places = np.linspace(0, len(contours) - 1, number)
  return np.stack([np.interp(places, np.arange(len(contours)), contour) for contour in contours.T], axis=1)
