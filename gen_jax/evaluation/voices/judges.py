"""Judges of voices from outside, which others have trained on many speakers: evaluators of packages of their own.

Nothing here needs them: `pip install` what INSTALL says, and name the evaluator. They hear waves of the first
utterances of a split. Metrics end as those of `suite`; `_of_recordings` are recordings of the voice that is translated.
"""

import importlib
from collections.abc import Callable, Iterator, Sequence

import flax.linen as nn
import numpy as np
import soxr

from gen_jax.data.side_format import OTHER
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import Condition, methods, needs
from gen_jax.evaluation.source import Source
from gen_jax.evaluation.voices.suite import INTERVAL, Values, with_interval
from gen_jax.evaluation.voices.utterances import (
  candidates,
  directions,
  heard,
  recordings,
  resynthesized,
  utterances_of,
)
from gen_jax.metrics import Metric, measures

RATE = 16_000  # Hz of the waves that the judges hear
MOST = 20  # utterances that are judged, and of a side those by which its voice is known
BASELINE = '_of_gaussian-transport'  # what needs no model, and is heard
INSTALL = {'resemblyzer': "pip install resemblyzer 'setuptools<81'", 'speechmos': 'pip install speechmos onnxruntime'}

Waves = Sequence[np.ndarray]  # float32 [T] each
HEARD = {
  '': 'utterances translated to {side}',
  BASELINE: 'what Gaussian transport makes of utterances for {side}',
  '_of_recordings': 'recordings of {given}',
  '_of_resynthesis': 'recordings of {given}, analyzed and heard again',
  '_real': 'recordings of {side}',
}


def package(name: str) -> Condition:
  """The package can be imported."""

  def condition(model: nn.Module, source: Source) -> str | None:
    """How it is installed, where it cannot."""
    del model, source
    try:
      importlib.import_module(name)
    except ImportError as error:
      return f'needs the package {name} ({error}): {INSTALL[name]}'
    return None

  return condition


def of_waves(name: str, meaning: str, unit: str = '', headline: bool = False) -> dict[str, Metric]:
  """{name_side: Metric} of what is heard, whose `meaning` names it by {heard} and the wanted voice by {side}."""
  metrics = {}
  for side in OTHER:
    for ending, what in HEARD.items():
      known = {'side': side.upper(), 'given': OTHER[side].upper()}
      said = meaning.format(heard=what.format(**known), **known)
      metrics[f'{name}_{side}{ending}'] = Metric(said, unit, 'higher', headline and not ending)
  return metrics


def at_rate(source: Source, waves: Waves) -> Waves:
  """Waves of the source's rate, as the judges hear them: at RATE, within [-1, 1]."""
  rate = source.data.sound.features.rate
  return [np.float32(soxr.resample(wave, rate, RATE)).clip(-1, 1) for wave in waves]


def waves_heard(model: BoundModel, source: Source, to: str) -> Iterator[tuple[str, Waves]]:
  """(ending of metrics, waves) of HEARD."""
  features = source.data.sound.features
  given, wanted = ([each.wave for each in utterances_of(source, side)[:MOST]] for side in (OTHER[to], to))
  for ending, made in candidates(model, source, to):
    if ending in HEARD:
      yield ending, at_rate(source, heard(source, to, made[:MOST]))
  yield '_of_recordings', at_rate(source, given)
  yield '_of_resynthesis', at_rate(source, [resynthesized(wave.tobytes(), features) for wave in given])
  yield '_real', at_rate(source, wanted)


def voice_of(source: Source, side: str, embed: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
  """The mean direction [D] of the embeddings of a side's first recordings in training."""
  waves = at_rate(source, [each.wave for each in utterances_of(source, side, 'train')[:MOST]])
  mean = np.mean([embed(wave) for wave in waves], axis=0)
  return mean / np.linalg.norm(mean)


@measures(
  of_waves(
    'speaker_similarity',
    'the mean cosine of the embeddings, by Resemblyzer, of {heard} and of the voice of {side}',
    headline=True,
  ),
  of_waves('voice_by_embedding', 'the share of {heard} whose embeddings are nearer to the voice of {side}'),
  INTERVAL,
)
@needs(methods('translate_to_b'), recordings, package('resemblyzer'))
def speaker_similarity(model: BoundModel, source: Source) -> Values:
  """How near waves are to the wanted voice by an encoder of speakers that was trained on thousands of them.

  Resemblyzer's embeddings have unit length (Wan et al., 2018, Generalized end-to-end loss); a voice is the mean
  direction of recordings of the training split.
  """
  embed = importlib.import_module('resemblyzer').VoiceEncoder('cpu', verbose=False).embed_utterance
  voices = {side: voice_of(source, side, embed) for side in OTHER}
  for to in directions(model):
    for ending, waves in waves_heard(model, source, to):
      cosines = {side: np.array([embed(wave) @ voice for wave in waves]) for side, voice in voices.items()}
      yield from with_interval(f'speaker_similarity_{to}', ending, cosines[to])
      yield f'voice_by_embedding_{to}{ending}', float((cosines[to] > cosines[OTHER[to]]).mean())


@measures(
  of_waves('naturalness', 'the mean overall opinion of {heard} that DNSMOS P.835 predicts', 'of 1 to 5', True), INTERVAL
)
@needs(methods('translate_to_b'), recordings, package('speechmos'))
def naturalness(model: BoundModel, source: Source) -> Values:
  """How natural waves sound, by a network that predicts what listeners say (Reddy et al., 2022, DNSMOS P.835)."""
  judge = importlib.import_module('speechmos.dnsmos').run
  for to in directions(model):
    for ending, waves in waves_heard(model, source, to):
      opinions = np.array([float(judge(wave, RATE)['ovrl_mos']) for wave in waves])
      yield from with_interval(f'naturalness_{to}', ending, opinions)
