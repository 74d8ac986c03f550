"""Recordings of a split as frames, what a model and what needs no model makes of them, and how they are heard."""

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence

import flax.linen as nn
import numpy as np

from gen_jax.audio.features import Analysis, Features, analyze, synthesize
from gen_jax.audio.voice import restore, standardize, transpose_pitch
from gen_jax.data.side_format import OTHER
from gen_jax.data.sounds import Sound, Utterance
from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.source import Source
from gen_jax.evaluation.voices.baselines import fit_baselines
from gen_jax.evaluation.voices.translate import translate_utterances

Frames = list[np.ndarray]  # natural logs of amplitudes float32 [T,bands], one array an utterance
OfWave = Callable[[bytes, Features], np.ndarray]  # of the float32 samples of a wave
KEPT = 2**28  # bytes of waves that were heard again, and of frames of them, as several evaluators ask for them


def sound_of(source: Source, split: str = '') -> Sound:
  """The voices and recordings of the split of the source, or of another one."""
  return (source.split(split) if split else source.data).sound


def utterances_of(source: Source, side: str, split: str = '') -> tuple[Utterance, ...]:
  """The recordings of a side; of the split of the source as many as the source is of examples, at most."""
  spoken = sound_of(source, split).utterances[side]
  return spoken if split or not source.examples else spoken[: source.examples]


def frames_of(source: Source, side: str, split: str = '') -> Frames:
  """The frames of the recordings of a side."""
  features = source.data.sound.features
  analyzed = lambda spoken: analyze(spoken.wave, features).frames if spoken.frames is None else spoken.frames
  return [analyzed(spoken) for spoken in utterances_of(source, side, split)]


def kept(function: OfWave) -> OfWave:
  """The function, whose latest arrays are kept by hashes of the waves, of KEPT bytes in all."""
  arrays = {}

  @functools.wraps(function)
  def of_wave(wave: bytes, features: Features) -> np.ndarray:
    """The array that is kept, or a new one."""
    key = hashlib.sha256(wave).digest(), features
    array = arrays.pop(key) if key in arrays else function(wave, features)
    arrays[key] = array  # the last in order; the first is the one that was asked for least lately
    while sum(each.nbytes for each in arrays.values()) > KEPT:
      del arrays[next(iter(arrays))]
    return array

  return of_wave


@kept
def resynthesized(wave: bytes, features: Features) -> np.ndarray:
  """A wave as it is heard of its own frames, which no model has touched: what the features lose."""
  return synthesize(analyze(np.frombuffer(wave, np.float32), features), features)


@kept
def frames_again(wave: bytes, features: Features) -> np.ndarray:
  """The frames of a wave that was heard of its own frames."""
  return analyze(resynthesized(wave, features), features).frames


def frames_of_resynthesis(source: Source, side: str) -> Frames:
  """The frames of the recordings of a side, heard of their frames and analyzed again."""
  features = source.data.sound.features
  return [frames_again(spoken.wave.tobytes(), features) for spoken in utterances_of(source, side)]


# Translations


def window_of(source: Source) -> int:
  """Frames of the windows that the model was trained on."""
  return source.data.features['image_a'].shape[0]


def standardized(source: Source, side: str, frames: Frames) -> Frames:
  """Frames as a model sees those of a side."""
  return [standardize(of_one, source.data.sound.voices[side]) for of_one in frames]


def translations(model: BoundModel, source: Source, to: str) -> Frames:
  """What the model makes of the recordings of the other side, whole utterances."""
  given = standardized(source, OTHER[to], frames_of(source, OTHER[to]))
  made = translate_utterances(model, given, to, window_of(source))
  return [restore(of_one, source.data.sound.voices[to]) for of_one in made]


def candidates(model: BoundModel, source: Source, to: str) -> Iterator[tuple[str, Frames]]:
  """('', the translations to a side), and those that need no model: ('_of_untranslated', ...), ..."""
  yield '', translations(model, source, to)
  given, wanted = (np.concatenate(frames_of(source, side, 'train')) for side in (OTHER[to], to))
  for name, translate in fit_baselines(given, wanted).items():
    yield f'_of_{name}', [translate(frames) for frames in frames_of(source, OTHER[to])]


def directions(model: BoundModel) -> Iterator[str]:
  """The sides to which the model translates."""
  return (to for to in ('b', 'a') if f'translate_to_{to}' in model)


def heard(source: Source, to: str, made: Sequence[np.ndarray]) -> list[np.ndarray]:
  """The waves of the first recordings of the other side with frames `made` of them, and WORLD's with another pitch."""
  sound, spoken = source.data.sound, utterances_of(source, OTHER[to])
  waves = []
  for utterance, frames in zip(spoken, made, strict=False):
    analysis = analyze(utterance.wave, sound.features)
    waves.append(synthesize(with_voice(analysis, frames, sound, to), sound.features))
  return waves


def with_voice(analysis: Analysis, frames: np.ndarray, sound: Sound, to: str) -> Analysis:
  """The analysis of an utterance with the translated frames, and the pitch of the side `to` where there is one."""
  changes = {'frames': np.float32(frames)}
  if analysis.log_pitch is not None:
    changes['log_pitch'] = transpose_pitch(analysis.log_pitch, sound.voices[OTHER[to]], sound.voices[to])
  return analysis._replace(**changes)


def same_sentences(source: Source, to: str) -> list[tuple[int, int]]:
  """(its place among the recordings of the given side, and of the side `to`) of each sentence that both say.

  None of a split in which the two do not say the same.
  """
  places = {spoken.name: place for place, spoken in enumerate(utterances_of(source, to))}
  given = enumerate(spoken.name for spoken in utterances_of(source, OTHER[to]))
  return [(place, places[name]) for place, name in given if sound_of(source).parallel and name in places]


# Needs


def own_recordings(model: nn.Module, source: Source) -> str | None:
  """Utterances of two voices in the split of the source."""
  del model
  if source.data.sound is None:
    return f"needs recordings of two voices; {source.name} has none: see config.data.layout='voices'"
  return unread(source.data.sound, source.name)


def recordings(model: nn.Module, source: Source) -> str | None:
  """The same, and those of training, from which classifiers and what needs no model learn."""
  return own_recordings(model, source) or unread(sound_of(source, 'train'), source.name)


def unread(sound: Sound, name: str) -> str | None:
  """Why the recordings of a split are not there; None where they are."""
  try:
    return None if sound.utterances else f'needs the recordings of two voices, which are not where {name} says'
  except UserError as error:
    return str(error)


def parallel(model: nn.Module, source: Source) -> str | None:
  """Test sentences that both voices say."""
  if problem := recordings(model, source):
    return problem
  test = source.of_split('test')
  if problem := own_recordings(model, test):
    return problem
  if len(same_sentences(test, 'b')) > 1:
    return None
  return f'needs two sentences at least that both voices say: files of one name in testA/ and testB/ of {source.name}'


def aligned(model: nn.Module, source: Source) -> str | None:
  """Test sentences that both voices say in the same time."""
  if problem := recordings(model, source):
    return problem
  if source.split('test').sound.aligned:
    return parallel(model, source)
  return f"needs voices that say the same in the same time, such as 'voices'; those of {source.name} do not"
