"""Whether a translated utterance still says what it said, and as it said it: evaluators.

Metrics end as those of `suite`.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import flax.linen as nn
import numpy as np

from gen_jax.audio.world import estimate_pitch
from gen_jax.data.side_format import OTHER
from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import methods, needs
from gen_jax.evaluation.source import Source
from gen_jax.evaluation.translation.suite import with_baselines
from gen_jax.evaluation.voices.contours import content_costs, loudness, mean_correlation, reading_costs
from gen_jax.evaluation.voices.suite import analyzed, cepstral, with_heard
from gen_jax.evaluation.voices.translate import translate_utterances
from gen_jax.evaluation.voices.utterances import (
  Frames,
  candidates,
  directions,
  frames_of,
  frames_of_resynthesis,
  heard,
  recordings,
  resynthesized,
  same_sentences,
  standardized,
  utterances_of,
  window_of,
)
from gen_jax.evaluation.voices.words import learn_words, list_words, read_words, word_of
from gen_jax.metrics import Metric, measures

Values = Iterator[tuple[str, float]]
MOST_HEARD = 20  # utterances whose pitch is measured, as they have to be heard for it
PITCHED = '_of_gaussian-transport'  # what needs no model, and is heard for its pitch
SEMITONE = np.log(2) / 12  # of the logs of Hz

TRANSLATED = 'utterances translated to {side}'
OF_SOURCES = {
  'content_cost': Metric(f'how far what is said in {TRANSLATED} is from their source', 'dB', 'lower'),
  'loudness_correlation': Metric(
    f'the correlation of the loudness, as it moves, of {TRANSLATED} with that of their source', '', 'higher'
  ),
}
OF_READINGS = {
  'content_to_reference': Metric(
    f'how far what is said in {TRANSLATED} is from that voice reading the same sentence', 'dB', 'lower'
  ),
  'sentences_recognized': Metric(
    f'the share of {TRANSLATED} that are nearer to that voice reading the same sentence than to any of up to seven '
    'others', '', 'higher', True,
  ),
}  # fmt: skip
RATIO = {
  'content_ratio': Metric(
    f'how far what is said in {TRANSLATED} is from that voice reading the same sentence, by how far their source is, '
    'heard again', '', 'lower', True,
  ),
}  # fmt: skip
ANOTHER = {
  'content_to_reference': 'how far what is said in recordings of {given} is from other sentences of {side}',
  'content_ratio': 'how far recordings of {given} are from other sentences of {side}, by how far from the same one',
}


def of_sides(metrics: Mapping[str, Metric], ending: str = '') -> dict[str, Metric]:
  """{metric_side: its meaning} of both sides that are translated to."""
  in_words = lambda meaning, side: meaning.format(side=side.upper(), given=OTHER[side].upper())
  return {
    f'{name}_{side}{ending}': metric._replace(meaning=in_words(metric.meaning, side))
    for name, metric in metrics.items()
    for side in OTHER
  }


def of_resynthesis(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
  """The same of recordings that were only heard again."""
  said = lambda meaning: meaning.replace(TRANSLATED, 'recordings of {given}, analyzed and heard again,')
  return {name: metric._replace(meaning=said(metric.meaning), headline=False) for name, metric in metrics.items()}


OF_PITCH = {
  'pitch_correlation': Metric(
    f'the correlation of the log pitch, as it moves, of {TRANSLATED} with that of their source', '', 'higher'
  ),
  'pitch_distance': Metric(
    f'how far the mean log pitch of {TRANSLATED} is from that of recordings of {{side}}', 'semitones', 'lower'
  ),
  'voicing_error': Metric(
    f'the share of frames that are voiced in {TRANSLATED} or in their source, and not in both', '', 'lower'
  ),
}
PITCH_OF_RECORDINGS = {
  'pitch_distance': Metric(
    'how far the mean log pitch of a recording of {side} is from that of all of them', 'semitones', 'lower'
  )
}
CHANCE = {'sentences_recognized': Metric(f'the share of {TRANSLATED} that would be recognized by chance')}
OF_CYCLES = {
  f'cycle_error_via_{side}': Metric(
    f'the mean absolute difference of utterances from what becomes of them in the voice of {side.upper()} and back',
    'deviations of a band',
    'lower',
  )
  for side in OTHER
}


@measures(
  with_heard(of_sides(OF_SOURCES | OF_READINGS | RATIO)),
  with_baselines(of_sides(OF_PITCH)),
  of_sides(of_resynthesis(OF_SOURCES | OF_READINGS | OF_PITCH), '_of_resynthesis'),
  of_sides(CHANCE, '_by_chance'),
  of_sides(PITCH_OF_RECORDINGS, '_real'),
  of_sides({name: Metric(meaning) for name, meaning in ANOTHER.items()}, '_of_another-sentence'),
  OF_CYCLES,
)
@needs(methods('translate_to_b'), recordings, cepstral)
def content_kept(model: BoundModel, source: Source) -> Values:
  """How much of what was said is left in translations, and of how it was said.

  `content_cost`: the mean distance of cepstra c1 to c8, less their means over an utterance, along the path of dynamic
  time warping, from the translation to its source: 0 where only a filter was applied, or nothing. Where both voices say
  the same sentences, `content_to_reference` is that to the wanted voice's reading, and `content_ratio` divides it by
  that of the source, analyzed and heard again. The wrong sentence is not far either: its ratio, `_of_another-sentence`,
  is between 1.2 and 1.3 for real speech; so `sentences_recognized`, 1/8 by chance of eight sentences or more, stands
  beside it. All by the frames that the model makes, `_heard` by those of their waves, to be read beside
  `_of_resynthesis`. Pitch, where pyworld is installed, is that of waves, of 20 utterances at most: a wave without a
  clear one may be near in `pitch_distance`, and then moves otherwise and is voiced elsewhere.
  """
  for to in directions(model):
    made = dict(candidates(model, source, to))
    waves = heard(source, to, made[''])
    made |= {'_heard': analyzed(source, waves), '_of_resynthesis': frames_of_resynthesis(source, OTHER[to])}
    for suffix, frames in made.items():
      yield from ((f'{name}_{to}{suffix}', value) for name, value in of_sources(source, to, frames))
    if len(same_sentences(source, to)) > 1:
      yield from of_readings(source, to, made)
    with contextlib.suppress(UserError):  # without pyworld
      yield from of_pitch(source, to, waves, made)
    if f'translate_to_{OTHER[to]}' in model:
      yield f'cycle_error_via_{to}', cycle_error(model, source, to)


def of_sources(source: Source, to: str, made: Frames) -> Values:
  """Of frames that were made of the recordings of a side, beside these."""
  given = frames_of(source, OTHER[to])
  yield 'content_cost', float(content_costs(made, given).mean())
  yield 'loudness_correlation', mean_correlation([*map(loudness, made)], [*map(loudness, given)])


def of_readings(source: Source, to: str, rows: Mapping[str, Frames]) -> Values:
  """Of such frames, {ending of names: frames}, beside what the wanted voice says: names with endings."""
  places, recorded = same_sentences(source, to), frames_of(source, to)
  readings = [recorded[place] for _, place in places]
  costs = {suffix: reading_costs([made[place] for place, _ in places], readings) for suffix, made in rows.items()}
  floor = costs['_of_resynthesis'][:, 0].mean()
  for suffix, found in costs.items():
    yield f'content_to_reference_{to}{suffix}', found[:, 0].mean()
    yield f'sentences_recognized_{to}{suffix}', (found[:, 0] < found[:, 1:].min(1)).mean()
    if suffix != '_of_resynthesis':
      yield f'content_ratio_{to}{suffix}', found[:, 0].mean() / floor
  yield f'sentences_recognized_{to}_by_chance', 1 / costs['_of_resynthesis'].shape[1]
  others = costs['_of_resynthesis'][:, 1:].mean()
  yield f'content_to_reference_{to}_of_another-sentence', others
  yield f'content_ratio_{to}_of_another-sentence', others / floor


def of_pitch(source: Source, to: str, waves: Sequence[np.ndarray], made: Mapping[str, Frames]) -> Values:
  """Of the waves of the first translations, and of frames that need no model, as heard. UserError without pyworld."""
  features, spoken = source.data.sound.features, utterances_of(source, OTHER[to])[:MOST_HEARD]
  pitch = lambda waves: [estimate_pitch(wave, features.rate, features.hop) for wave in waves[:MOST_HEARD]]
  own, wanted = (pitch([spoken.wave for spoken in utterances_of(source, side)]) for side in (OTHER[to], to))
  again = [resynthesized(utterance.wave.tobytes(), features) for utterance in spoken]
  rows = {'': waves, PITCHED: heard(source, to, made[PITCHED][:MOST_HEARD]), '_of_resynthesis': again}
  values = {f'pitch_distance_{to}_real': pitch_distance(wanted, wanted)}
  for ending, pitches in ((ending, pitch(row)) for ending, row in rows.items()):
    values[f'pitch_correlation_{to}{ending}'] = mean_correlation(pitches, own)
    values[f'pitch_distance_{to}{ending}'] = pitch_distance(pitches, wanted)
    values[f'voicing_error_{to}{ending}'] = voicing_error(pitches, own)
  yield from ((name, value) for name, value in values.items() if np.isfinite(value))  # what is unvoiced has no pitch


def pitch_distance(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
  """The mean distance, in semitones, of utterances' mean log pitches from that of others, NaN where all are unvoiced.

  Of logs of Hz [T] each, NaN where unvoiced.
  """
  voiced = lambda pitches: [known.mean() for pitch in pitches if len(known := pitch[np.isfinite(pitch)])]
  found, wanted = voiced(found), voiced(wanted)
  return float(np.abs(found - np.mean(wanted)).mean() / SEMITONE) if found and wanted else float('nan')


def voicing_error(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> float:
  """The share of frames that are voiced in one of two utterances: of the logs of Hz [T] of several pairs."""
  return float(np.mean(np.isfinite(np.concatenate(first)) != np.isfinite(np.concatenate(second))))


def cycle_error(model: BoundModel, source: Source, via: str) -> float:
  """The mean over frames and bands of |x - what becomes of x there and back|, x standardized."""
  window, given = window_of(source), standardized(source, OTHER[via], frames_of(source, OTHER[via]))
  back = translate_utterances(model, translate_utterances(model, given, via, window), OTHER[via], window)
  return float(np.abs(np.concatenate(back) - np.concatenate(given)).mean())


# Words


def words(model: nn.Module, source: Source) -> str | None:
  """Other speakers' recordings of the words that the files of the two voices are named by."""
  del model
  folder = source.settings.words
  if not folder:
    return 'needs recordings of words by other speakers: --config.words=FOLDER that holds SPEAKER/WORD_*.wav'
  try:
    known = {word_of(path.name) for paths in list_words(folder).values() for path in paths}
  except UserError as error:
    return str(error)
  said = {word_of(spoken.name) for side in OTHER for spoken in utterances_of(source, side)}
  unknown = ', '.join(sorted(said - known)[:3])
  return f'needs files that are named by words, WORD_*.wav, and {folder} holds none of {unknown}' if unknown else None


@measures(
  with_baselines({
    f'words_recognized_{side}': Metric(
      f'the share of words translated to {side.upper()} that are recognized', '', 'higher', True
    )
    for side in OTHER
  }),
  {
    f'words_recognized_{side}_of_{what}': Metric(
      f'the share of words that are recognized in {meaning.format(side=OTHER[side].upper())}', '', 'higher'
    )
    for side in OTHER
    for what, meaning in (
      ('recordings', 'recordings of {side}'), ('resynthesis', 'recordings of {side} analyzed and heard again')
    )
  },
)  # fmt: skip
@needs(methods('translate_to_b'), recordings, words)
def words_kept(model: BoundModel, source: Source) -> Values:
  """The share of words that a recognizer finds in translations, as they are heard, and in what they were made of.

  It learns the words from the speakers in the folder `config.words`, which must be others than the two voices; what the
  recordings say is the name of their file before the first '_'. See `words`: all that one voice says is standardized
  together, so that a filter changes nothing, and a few words of a voice are too few.
  """
  features = source.data.sound.features
  recognize = learn_words(read_words(source.settings.words, features))
  for to in directions(model):
    truth = [word_of(spoken.name) for spoken in utterances_of(source, OTHER[to])]
    share = lambda frames, truth=truth: float(np.mean([a == b for a, b in zip(recognize(frames), truth, strict=True)]))
    for suffix, made in candidates(model, source, to):
      waves = heard(source, to, made)
      yield f'words_recognized_{to}{suffix}', share(analyzed(source, waves))
    yield f'words_recognized_{to}_of_recordings', share(frames_of(source, OTHER[to]))
    yield f'words_recognized_{to}_of_resynthesis', share(frames_of_resynthesis(source, OTHER[to]))
