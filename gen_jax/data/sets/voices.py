"""Two synthetic speakers, a man (A) and a child (B), who say random phones: unpaired voices whose true map is known."""

import functools

import numpy as np
from ml_collections import ConfigDict

from gen_jax import randomness
from gen_jax.audio.features import Analysis, Features, analyze
from gen_jax.audio.formants import CHILD, MAN, render
from gen_jax.audio.levels import normalize_level
from gen_jax.audio.voice import Voice
from gen_jax.data.dataset import About, Dataset
from gen_jax.data.sounds import Sound, Utterance, features_of, from_analyses, measure_voices
from gen_jax.progress import with_progress
from gen_jax.randomness import row_keys

TAKES = ('swap', 'features', 'rate', 'bands', 'frames', 'sentences')  # the keys of config.data
SPEAKERS = {'a': MAN, 'b': CHILD}
TEXTS = ('man', 'child', 'validation', 'test')  # from which sentences are drawn, each with a key of its own
SAID = {  # by the two sides
  'train': {'a': 'man', 'b': 'child'},
  'validation': dict.fromkeys(SPEAKERS, 'validation'),
  'test': dict.fromkeys(SPEAKERS, 'test'),
}
NUMBERS = {'validation': 16, 'test': 34}  # sentences of a side


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` names these voices."""
  return data.name == 'voices'


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split, in the features and windows of the section."""
  return load(split, features_of(data), data.frames, data.sentences)


def load(split: str, features: Features, window: int = 64, sentences: int = 200) -> Dataset:
  """Windows 'image_a' of the man and 'image_b' of the child, float32 [N,window,bands,1], in orders of their own.

  In training each says so many `sentences`, and other ones; in validation and test both say the same sentences in the
  same time, with the same noise as breath, so that utterance i of B is the true translation of utterance i of A, frame
  by frame.
  """
  spoken, analyses = analyzed(split, features, NUMBERS.get(split, sentences))
  same = split != 'train'
  sound = Sound(features, voices_of(features, sentences), spoken, parallel=same, aligned=same)
  about = About(
    "a synthetic man's and a synthetic child's voice",
    f'drawn anew for each split: {sentences} sentences of each in training, which the other does not say; '
    f'{NUMBERS["validation"]} of both in validation, {NUMBERS["test"]} in test',
  )
  return from_analyses(analyses, sound, window)._replace(about=about)


@functools.cache
def voices_of(features: Features, sentences: int) -> dict[str, Voice]:
  """{side: Voice} of the training sentences."""
  return measure_voices(analyzed('train', features, sentences)[1])


@functools.cache
def analyzed(
  split: str, features: Features, number: int
) -> tuple[dict[str, tuple[Utterance, ...]], dict[str, list[Analysis]]]:
  """The utterances of each side, and their analyses, of which spectra and aperiodicities are not kept."""
  spoken, analyses = {}, {}
  for side, text in SAID[split].items():
    said = speak(side, text, number, features.rate)
    analyses[side] = [analyze(x.wave, features)._replace(spectrum=None, aperiodicity=None) for x in said]
    spoken[side] = tuple(x._replace(frames=y.frames) for x, y in zip(said, analyses[side], strict=True))
  return spoken, analyses


def speak(side: str, text: str, number: int, rate: int) -> tuple[Utterance, ...]:
  """The first `number` sentences of one of TEXTS by the speaker of a side, each of the level of all."""
  keys = row_keys(randomness.key(TEXTS.index(text)), np.arange(number))
  digits = len(str(number - 1))
  say = lambda i: Utterance(f'{text}_{i:0{digits}}', normalize_level(render(keys[i], SPEAKERS[side], rate)))
  return tuple(with_progress(map(say, range(number)), number, f'voices: sentences of {text} said'))
