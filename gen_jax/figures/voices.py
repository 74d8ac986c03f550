"""Test utterances, what a model makes of them, and how the other voice says the same: seen and heard."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gen_jax.audio.features import analyze
from gen_jax.data.side_format import OTHER
from gen_jax.data.sounds import Utterance
from gen_jax.evaluation.needs import methods
from gen_jax.evaluation.voices.utterances import own_recordings
from gen_jax.figures.figure import Output, Picture, Sound, figure
from gen_jax.plots.spectrograms import spectrograms
from gen_jax.runs import Run

SHOWN = 4  # utterances of each side


class Reading(NamedTuple):
  """What is heard of an utterance."""

  file: str  # the last part of its name
  caption: str
  wave: np.ndarray  # float32 [T]


@figure(
  'test utterances, and how the other voice says them: figures/voices_to_b.png, and to_a, and sounds beside them',
  needs=(methods('translate_to_b'), own_recordings),
  place=14,
  automatic=True,
)
def hear_voices(run: Run) -> Iterator[Output]:
  """Some test utterances of each side, translated, and where the other side says the same, its own reading."""
  features = run.source.data.sound.features
  for to in ('b', 'a'):
    if f'translate_to_{to}' not in run.model:
      continue
    given, rows, sounds = OTHER[to].upper(), [], []
    for number, utterance in enumerate(shown_utterances(run, OTHER[to]), start=1):
      readings = readings_of(run, utterance, to)
      rows.append((utterance.name, {read.caption: analyze(read.wave, features).frames for read in readings}))
      group = f'{given} to {to.upper()}: {utterance.name}'
      names = [f'voices_to_{to}_{number}_{read.file}' for read in readings]
      sounds += [
        Sound(name, read.wave, features.rate, read.caption, group) for name, read in zip(names, readings, strict=True)
      ]
    title = f'Test utterances of {given}, translated: bands of the mel scale, low ones below'
    yield Picture(f'voices_to_{to}', spectrograms(rows, features.hop / features.rate, title), title)
    yield from sounds


def readings_of(run: Run, utterance: Utterance, to: str) -> list[Reading]:
  """An utterance, its translation to the side `to`, and where that side says the same, its own reading."""
  sound, given, wanted = run.source.data.sound, OTHER[to].upper(), to.upper()
  made = run.translate_wave(utterance.wave, sound.features.rate, to)
  readings = [Reading('source', given, utterance.wave), Reading('translated', f'{given} translated to {wanted}', made)]
  same = (other for other in sound.utterances[to] if sound.parallel and other.name == utterance.name)
  return readings + [Reading('own', f"{wanted}'s own reading", other.wave) for other in list(same)[:1]]


def shown_utterances(run: Run, side: str) -> list[Utterance]:
  """A few test utterances of a side, evenly spread over them, always the same."""
  every = run.source.data.sound.utterances[side]
  places = np.linspace(0, len(every) - 1, min(SHOWN, len(every))).round().astype(int)
  return [every[place] for place in places]
