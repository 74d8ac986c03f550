"""Utterances of two voices as examples: windows of standardized frames, each side in an order of its own."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gen_jax.audio.features import Analysis, Features
from gen_jax.audio.voice import Voice, measure_voice, standardize
from gen_jax.data.dataset import Dataset, Feature, from_sides
from gen_jax.errors import UserError

OVERLAP = 4  # a window begins a fourth of its length after the one before


class Utterance(NamedTuple):
  """A wave and the name of its file."""

  name: str
  wave: np.ndarray  # float32 [T] at the rate of the features
  frames: np.ndarray | None = None  # float32 [T,bands] of the features, where they are kept


class Sound(NamedTuple):
  """How the sounds of a data set become examples, and the recordings of a split.

  Attributes:
    features: how waves become frames.
    voices: {'a': Voice, 'b': Voice} of the training split.
    utterances: {'a': ..., 'b': ...} of this split; {} where the recordings are not there.
    parallel: whether the utterances of one name say the same on both sides.
    aligned: whether they do so frame by frame, so that one is the true translation of the other.
  """

  features: Features
  voices: Mapping[str, Voice]
  utterances: Mapping[str, tuple[Utterance, ...]]
  parallel: bool = False
  aligned: bool = False

  def exchange_sides(self) -> 'Sound':
    """The same with A in the place of B, and the other way round."""
    other = {'a': 'b', 'b': 'a'}
    exchange = lambda sides: {side: sides[other[side]] for side in other if other[side] in sides}
    return self._replace(voices=exchange(self.voices), utterances=exchange(self.utterances))


def features_of(data: ConfigDict) -> Features:
  """Those of the section `config.data`. UserError where there are too few bands, or so many that some are empty."""
  features = Features(data.features, data.rate, data.bands)
  if features.bands < 2:
    raise UserError(f'config.data.bands={features.bands}: must be 2 at least')
  if empty := int((~features.filters.any(axis=1)).sum()):
    window = f'a window of {features.size} samples at {features.rate} Hz'
    raise UserError(f'config.data.bands={features.bands}: {empty} of them hold no frequency of {window}; set fewer')
  return features


def measure_voices(analyses: Mapping[str, Sequence[Analysis]]) -> dict[str, Voice]:
  """{side: Voice} of training utterances."""
  return {side: measure_voice(of_side) for side, of_side in analyses.items()}


def windows_of(frames: np.ndarray, window: int) -> np.ndarray:
  """Windows [N,window,bands] of frames [T,bands], a fourth apart, the last at the end; fewer frames are mirrored."""
  if len(frames) < window:
    frames = np.pad(frames, ((0, window - len(frames)), (0, 0)), mode='symmetric')
  last = len(frames) - window
  starts = [*range(0, last, max(1, window // OVERLAP)), last]
  return np.stack([frames[start : start + window] for start in starts])


def from_analyses(analyses: Mapping[str, Sequence[Analysis]], sound: Sound, window: int) -> Dataset:
  """A split whose rows are 'image_a' and 'image_b' [N,window,bands,1], standardized by the voice of the side."""
  arrays = {}
  for side, of_side in analyses.items():
    windows = [windows_of(standardize(analysis.frames, sound.voices[side]), window) for analysis in of_side]
    arrays[f'image_{side}'] = np.concatenate(windows)[..., None]
  feature = Feature((window, sound.features.bands, 1), 0, 'sound')
  return from_sides(arrays, dict.fromkeys(arrays, feature))._replace(sound=sound)
