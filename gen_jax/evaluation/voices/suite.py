"""How near translated utterances are to the wanted voice: to the truth, to its readings, to what tells it apart.

Metrics end in the side that is translated to, `_b` or `_a`, and are of the frames that a model makes; then in `_heard`
for the frames of the waves that are heard of these, in `_of_BASELINE` for frames that need no model, in
`_of_resynthesis` for a recording that is only analyzed and heard again, in `_real` for recordings. What is heard stands
beside `_of_resynthesis`: frames that were never heard have not lost what a wave of them loses.
"""

from collections.abc import Iterator, Mapping, Sequence

import flax.linen as nn
import numpy as np

from gen_jax.audio.cepstra import COEFFICIENTS, cepstra
from gen_jax.audio.features import Features, analyze
from gen_jax.audio.griffin_lim import spectral_convergence
from gen_jax.audio.voice import standardize
from gen_jax.data.side_format import OTHER
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import methods, needs
from gen_jax.evaluation.source import Source
from gen_jax.evaluation.translation.statistics import mean_interval
from gen_jax.evaluation.translation.suite import with_baselines
from gen_jax.evaluation.voices.contours import SILENT, aligned_distances, spoken
from gen_jax.evaluation.voices.speakers import CLASSIFIERS, Tell
from gen_jax.evaluation.voices.utterances import (
  Frames,
  aligned,
  candidates,
  directions,
  frames_of,
  frames_of_resynthesis,
  heard,
  parallel,
  recordings,
  resynthesized,
  same_sentences,
  utterances_of,
)
from gen_jax.metrics import Metric, measures

Values = Iterator[tuple[str, float | str]]
RECIPE = {'mcd_recipe': Metric('how distortions are measured; those of another recipe do not compare')}
INTERVAL = {'{metric}_interval': Metric('half of the 95 % interval over sentences')}


def with_interval(name: str, suffix: str, values: np.ndarray) -> Values:
  """The mean over sentences, and half of its interval."""
  yield f'{name}{suffix}', values.mean()
  if len(values) > 1:
    value = mean_interval(values)
    yield f'{name}{suffix}_interval', value.high - value.value


def with_heard(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
  """The metrics, those of the waves of translations, 'NAME_heard', and those of what needs no model."""
  said = lambda metric: metric._replace(meaning=f'{metric.meaning}; of the waves that are heard', headline=False)
  return with_baselines(metrics) | {f'{name}_heard': said(metric) for name, metric in metrics.items()}


def analyzed(source: Source, waves: Sequence[np.ndarray]) -> Frames:
  """The frames of waves."""
  return [analyze(wave, source.data.sound.features).frames for wave in waves]


def candidates_heard(model: BoundModel, source: Source, to: str) -> Iterator[tuple[str, Frames]]:
  """`candidates`, and ('_heard', the frames of the waves of the translations)."""
  for suffix, made in candidates(model, source, to):
    yield suffix, made
    if not suffix:
      yield '_heard', analyzed(source, heard(source, to, made))


def cepstral(model: nn.Module, source: Source) -> str | None:
  """Frames of more bands than a distortion has cepstra."""
  del model
  bands = source.data.sound.features.bands
  if bands > COEFFICIENTS:
    return None
  return f'needs frames of more than {COEFFICIENTS} bands: set config.data.bands, which is {bands}'


# Beside the truth


@measures(
  with_baselines({
    f'true_voice_error_{side}': Metric(
      f'the mean absolute difference of utterances translated to {side.upper()} from what that voice says in the same '
      'time', 'deviations of a band', 'lower', True,
    )
    for side in OTHER
  }),
  INTERVAL,
)  # fmt: skip
@needs(methods('translate_to_b'), aligned)
def true_voice_errors(model: BoundModel, source: Source) -> Values:
  """The errors of translations of whole utterances where the wanted voice says the same, frame by frame.

  Means over frames and bands, in the wanted voice's deviations of a band: guessing its mean costs about .8. Nothing of
  a split in which the two do not say the same.
  """
  if not source.data.sound.aligned:
    return
  for to in directions(model):
    places, truth, voice = same_sentences(source, to), frames_of(source, to), source.data.sound.voices[to]
    for suffix, made in candidates(model, source, to):
      error = lambda x, y, v=voice: np.abs(standardize(x, v) - standardize(y, v)).mean()
      values = np.array([error(made[given], truth[wanted]) for given, wanted in places])
      yield from with_interval(f'true_voice_error_{to}', suffix, values)


# Beside the sentence as the wanted voice reads it


def distortions(
  made: Sequence[np.ndarray], sources: Sequence[np.ndarray], readings: Sequence[np.ndarray]
) -> np.ndarray:
  """The mel-cepstral distortion in dB [N] of each utterance from a reading of its sentence, frames [T,bands].

  Without the silence before and behind what is said, in the recording that it was made of and in the reading.
  """
  without = [frames[spoken(source)] for frames, source in zip(made, sources, strict=True)]
  wanted = [frames[spoken(frames)] for frames in readings]
  return aligned_distances([*map(cepstra, without)], [*map(cepstra, wanted)])


def variance_ratio(made: Sequence[np.ndarray], sources: Sequence[np.ndarray], readings: Sequence[np.ndarray]) -> float:
  """The variance of c1 to c13 over an utterance, by that over its reading: means over sentences, then over cepstra."""
  variance = lambda frames, recorded: cepstra(frames[spoken(recorded)]).var(0)
  own = np.mean([variance(*pair) for pair in zip(made, sources, strict=True)], axis=0)
  return float((own / np.mean([variance(reading, reading) for reading in readings], axis=0)).mean())


def recipe(features: Features) -> str:
  """By what numbers of distortion are comparable."""
  milliseconds = lambda samples: f'{1000 * samples / features.rate:.3g} ms'
  spectrum = {'mel': f'Hann windows of {milliseconds(features.size)}', 'world': "WORLD's envelope"}[features.kind]
  return (
    f"c1 to c{COEFFICIENTS} of the logs of {features.bands} mel bands (Slaney's scale) of {spectrum} at "
    f'{features.rate} Hz, every {milliseconds(features.hop)}, silence trimmed at {SILENT:.0f} dB, DTW'
  )


DISTORTION = 'the mel-cepstral distortion of utterances translated to {side} from that voice reading the same sentence'
VARIANCE = (
  'the variance of the cepstra of utterances translated to {side} by that of the readings of that voice; below 1 they '
  'are flatter, which distortions favor'
)
OF_RESYNTHESIS = 'the mel-cepstral distortion of recordings of {side} from themselves, analyzed and heard again'


@measures(
  with_heard(
    {
      f'mel_cepstral_distortion_{side}': Metric(DISTORTION.format(side=side.upper()), 'dB', 'lower', True)
      for side in OTHER
    }
    | {f'global_variance_{side}': Metric(VARIANCE.format(side=side.upper())) for side in OTHER}
  ),
  {
    f'mel_cepstral_distortion_{side}_of_resynthesis': Metric(OF_RESYNTHESIS.format(side=side.upper()), 'dB', 'lower')
    for side in OTHER
  },
  INTERVAL,
  RECIPE,
)
@needs(methods('translate_to_b'), parallel, cepstral)
def mel_cepstral_distortion(model: BoundModel, source: Source) -> Values:
  """MCD of translated sentences from the wanted voice's readings, along the path of dynamic time warping.

  Two readings by one speaker differ too, so 0 is out of reach; `_of_resynthesis` is how far analysis and synthesis
  alone move a reading, and `_heard` is of what they make of translations. Flat speech is nearer to any other: see
  `_of_shrunk-transport`, and `global_variance` (Toda et al., 2007). Nothing of a split in which the two do not say the
  same.
  """
  if not source.data.sound.parallel:
    return
  for to in directions(model):
    places, recorded, readings = same_sentences(source, to), frames_of(source, OTHER[to]), frames_of(source, to)
    given, wanted = [recorded[place] for place, _ in places], [readings[place] for _, place in places]
    for suffix, made in candidates_heard(model, source, to):
      values = distortions([made[place] for place, _ in places], given, wanted)
      yield from with_interval(f'mel_cepstral_distortion_{to}', suffix, values)
      variance = variance_ratio([made[place] for place, _ in places], given, wanted)
      yield f'global_variance_{to}{suffix}', variance
    again = frames_of_resynthesis(source, to)
    yield f'mel_cepstral_distortion_{to}_of_resynthesis', distortions(again, readings, readings).mean()
  yield 'mcd_recipe', recipe(source.data.sound.features)


# By what tells the speakers apart

TOLD = {
  'correlations': 'by how its cepstra go together, which a linear map may bring about',
  'windows': 'by short windows of whitened cepstra, which a linear map changes little',
}
SHARE = 'the share of {what} that a classifier gives to that voice, {by}'


def learn_speakers(source: Source) -> dict[str, Tell]:
  """{name: classifier} learned from the training recordings of both sides; above 0 is B."""
  first, second = (frames_of(source, side, 'train') for side in ('a', 'b'))
  return {name: learn(first, second) for name, learn in CLASSIFIERS.items()}


def share_of(tell: Tell, said: Frames, side: str) -> float:
  """The share of utterances that are given to a side."""
  return float(np.mean([(tell(frames) > 0) == (side == 'b') for frames in said]))


def shares(what: str, ending: str = '', headline: bool = False) -> dict[str, Metric]:
  """{metric: its meaning} of the share of such utterances, by each classifier, of each side."""
  return {
    f'voice_by_{name}_{side}{ending}': Metric(
      SHARE.format(what=what.format(side=side.upper()), by=by), '', 'higher', headline and name == 'windows'
    )
    for name, by in TOLD.items()
    for side in OTHER
  }


@measures(with_heard(shares('utterances translated to {side}', headline=True)), shares('recordings of {side}', '_real'))
@needs(methods('translate_to_b'), recordings)
def speaker_recognition(model: BoundModel, source: Source) -> Values:
  """The share of translations that two classifiers, learned from training recordings, take for the wanted voice.

  See `speakers`. The first alone proves nothing: the Gaussian transport, which only mends second moments, gets nearly
  all. By the second, which sees what is beyond them, it gets nearly none. What is heard, `_heard`, is to be read beside
  recordings heard again, of `resynthesis`.
  """
  classifiers = learn_speakers(source)
  for to in directions(model):
    for suffix, made in [*candidates_heard(model, source, to), ('_real', frames_of(source, to))]:
      for name, tell in classifiers.items():
        yield f'voice_by_{name}_{to}{suffix}', share_of(tell, made, to)


# Without a model


@measures(
  {
    f'spectral_convergence_{side}': Metric(
      f'how far the spectrum of recordings of {side.upper()}, heard again, is from their own, by the size of that', '',
      'lower',
    )
    for side in OTHER
  },
  {
    f'mel_cepstral_distortion_{side}_of_resynthesis': Metric(OF_RESYNTHESIS.format(side=side.upper()), 'dB', 'lower')
    for side in OTHER
  },
  shares('recordings of {side}, analyzed and heard again,', '_of_resynthesis'),
  shares('recordings of {side}', '_real'),
  RECIPE,
)  # fmt: skip
@needs(recordings, cepstral)
def resynthesis(model: BoundModel, source: Source) -> Values:
  """What analysis and synthesis alone cost: recordings heard of their own frames.

  No bound of translations: a metric of these that does not end in `_heard` is of frames of which nothing was heard.
  """
  del model
  classifiers = learn_speakers(source)
  for side in OTHER:
    real, again = frames_of(source, side), frames_of_resynthesis(source, side)
    yield f'spectral_convergence_{side}', np.mean([convergence(source, x.wave) for x in utterances_of(source, side)])
    yield f'mel_cepstral_distortion_{side}_of_resynthesis', distortions(again, real, real).mean()
    for name, tell in classifiers.items():
      yield f'voice_by_{name}_{side}_of_resynthesis', share_of(tell, again, side)
      yield f'voice_by_{name}_{side}_real', share_of(tell, real, side)
  yield 'mcd_recipe', recipe(source.data.sound.features)


def convergence(source: Source, wave: np.ndarray) -> float:
  """`spectral_convergence` of a wave heard again, to the magnitudes of its own spectrum."""
  features = source.data.sound.features
  waves = resynthesized(wave.tobytes(), features), wave
  again, own = (analyze(x, features._replace(kind='mel')).spectrum for x in waves)
  return float(spectral_convergence(again, np.abs(own)))
