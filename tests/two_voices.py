"""Two voices that say the same sentences in the same time, and a `Source` and a model of them."""

import functools
import types

import numpy as np
from ml_collections import FrozenConfigDict

from gen_jax.audio.features import Features, analyze
from gen_jax.audio.voice import measure_voice
from gen_jax.data.sounds import Sound, Utterance

RATE = 8_000
FEATURES = Features(rate=RATE, bands=16)
SPEAKERS = {  # Hz of the pitch, scale of formants, steepness
  'a': (110.0, 1.0, 0.0), 'b': (190.0, 1.2, 0.8), 'c': (120.0, 1.05, 0.5), 'd': (100.0, 0.95, 0.2),
}  # fmt: skip
FORMANTS = np.array([[700, 1200], [300, 2200], [400, 900], [500, 1700], [250, 700], [600, 1500]])  # Hz


def say(phones, side, seconds=0.15):
  """The wave float32 [T] of numbers of FORMANTS, in turn: harmonics, louder around formants, and a little noise."""
  pitch, scale, steepness = SPEAKERS[side]
  formants = scale * np.repeat(FORMANTS[phones], round(seconds * RATE), axis=0)
  time = np.arange(len(formants)) / RATE
  phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.2 * np.sin(3 * time + phones[0]))) / RATE
  wave = np.zeros(len(time))
  for k in range(1, int(RATE / 2 / pitch / 1.3)):
    near = np.exp(-(((k * pitch - formants) / 150) ** 2) / 2).sum(1) + 0.01
    wave += near * k**-steepness * np.cos(k * phase)
  loud = 0.6 + 0.4 * np.sin(7 * time + phones[-1])
  return np.float32(0.05 * loud * wave + 1e-3 * np.random.default_rng(phones).normal(size=len(time)))


@functools.cache
def sound_of_split(split):
  """The `Sound` of 'train' or 'test'; in training both say sentences of their own."""
  utterances, sentences = {}, 4 if split == 'test' else 12
  for number, side in enumerate('ab'):
    seed = [100, number] if split == 'train' else [200]
    phones = np.random.default_rng(seed).integers(0, len(FORMANTS), (sentences, 6))
    named = enumerate(phones.tolist())
    utterances[side] = tuple(Utterance(f'{i % 2}_{i}', say(said, side)) for i, said in named)
  if split == 'test':
    voices = sound_of_split('train').voices
  else:
    voices = {side: measure_voice([analyze(x.wave, FEATURES) for x in said]) for side, said in utterances.items()}
  return Sound(FEATURES, voices, utterances, split == 'test', split == 'test')


class TwoVoices:
  """A `Source` of them: nothing but what the evaluators of voices ask for."""

  name, examples = 'two voices', 0

  def __init__(self, split='test', **settings):
    self.data = self.split(split)
    self.settings = FrozenConfigDict({'words': ''} | settings)

  def split(self, name):
    feature = types.SimpleNamespace(shape=(16, FEATURES.bands, 1))
    return types.SimpleNamespace(sound=sound_of_split(name), features={'image_a': feature, 'image_b': feature})

  def of_split(self, name):
    return TwoVoices(name, **self.settings)


class Translator:
  """A model whose translations are a function of windows [B,window,bands,1]; the batches are kept."""

  def __init__(self, function=lambda x: x, multiple=4):
    self.function, self.batches = function, []
    self.module = types.SimpleNamespace(multiple=multiple)

  def __contains__(self, name):
    return name in ('translate_to_a', 'translate_to_b')

  def translate_to_b(self, batch):
    self.batches.append(batch)
    return self.function(batch['image_a'])

  def translate_to_a(self, batch):
    self.batches.append(batch)
    return self.function(batch['image_b'])
