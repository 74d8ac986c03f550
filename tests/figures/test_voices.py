"""Utterances seen and heard: what is translated, in which order, and what is played."""

import json
import types

import numpy as np
import pytest
import soundfile
from page import Page

from gen_jax import figures
from gen_jax.audio.features import Features
from gen_jax.data.sounds import Sound as Sounds
from gen_jax.data.sounds import Utterance
from gen_jax.figures import write
from gen_jax.figures.figure import Picture, Sound, missing
from gen_jax.figures.voices import hear_voices
from gen_jax.plots.report import write_report

RATE = 8_000


def utterances(names, seed):
  rng = np.random.default_rng(seed)
  return tuple(Utterance(name, np.float32(0.1 * rng.normal(size=2_000 + 100 * i))) for i, name in enumerate(names))


def fake_run(model=('translate_to_b', 'translate_to_a'), a='abcdef', b='abcdef', parallel=True):
  """A run whose translations are the waves at half the level."""
  sound = Sounds(Features('mel', RATE, 8), {}, {'a': utterances(a, 0), 'b': utterances(b, 1)}, parallel)
  source = types.SimpleNamespace(data=types.SimpleNamespace(sound=sound, kind='sound'), name='fake')
  return types.SimpleNamespace(source=source, model=model, translate_wave=lambda wave, rate, to: wave / 2)


def test_each_utterance_is_seen_and_heard_beside_its_translation_and_the_own_reading():
  run = fake_run()
  outputs = list(hear_voices(run))
  assert [output.name for output in outputs if isinstance(output, Picture)] == ['voices_to_b', 'voices_to_a']
  sounds = [output for output in outputs if isinstance(output, Sound)]
  assert len(sounds) == 2 * 4 * 3 and len({sound.name for sound in sounds}) == len(sounds)
  assert {sound.rate for sound in sounds} == {RATE}
  own = run.source.data.sound.utterances
  shown = [0, 2, 3, 5]  # spread over six
  for row, place in enumerate(shown):
    source, made, other = sounds[3 * row : 3 * row + 3]
    assert source.group == made.group == other.group == f'A to B: {"abcdef"[place]}'
    assert (source.caption, made.caption, other.caption) == ('A', 'A translated to B', "B's own reading")
    np.testing.assert_array_equal(source.wave, own['a'][place].wave)
    np.testing.assert_array_equal(made.wave, own['a'][place].wave / 2)
    np.testing.assert_array_equal(other.wave, own['b'][place].wave)
  assert sounds[-1].group == 'B to A: f' and sounds[-2].caption == 'B translated to A'


def test_readings_are_those_of_the_same_name():
  outputs = list(hear_voices(fake_run(a='ab', b='xb', model=('translate_to_b',))))
  assert [getattr(output, 'caption', '') for output in outputs[1:]] == [
    'A', 'A translated to B', 'A', 'A translated to B', "B's own reading",
  ]  # fmt: skip
  axes = outputs[0].content.axes
  assert [ax.get_visible() for ax in axes] == [True, True, False, True, True, True]


def test_where_sides_say_different_things_there_is_no_own_reading():
  outputs = list(hear_voices(fake_run(parallel=False)))
  assert sum(isinstance(output, Sound) for output in outputs) == 2 * 4 * 2


@pytest.mark.parametrize('name', ['cyclegan', 'vae'])
def test_of_images_nothing_is_heard(name, run_of):
  assert missing(run_of(name), *hear_voices.needs).startswith('needs ')


def test_recordings_that_are_gone_are_missed():
  run = fake_run()
  sound = run.source.data.sound._replace(utterances={})
  source = types.SimpleNamespace(data=types.SimpleNamespace(sound=sound, kind='sound'), name='fake')
  condition = hear_voices.needs[1]
  assert condition(None, source) == 'needs the recordings of two voices, which are not where fake says'
  assert condition(None, run.source) is None


def test_a_run_of_voices_is_seen_and_heard(run_of):
  run = run_of('voices')
  chosen = [figure.__name__ for figure in write.automatic_figures(figures.all_figures().values(), run)]
  assert 'hear_voices' in chosen and 'translations' not in chosen
  written = write.write_figure(hear_voices, run)
  assert {'voices_to_b.png', 'voices_to_a.png', 'voices_to_b_1_translated.flac'} <= {path.name for path in written}
  sound = run.source.data.sound
  wave, rate = soundfile.read(run.workdir / 'figures/voices_to_b_1_source.flac')
  assert rate == sound.features.rate
  np.testing.assert_allclose(wave, np.clip(sound.utterances['a'][0].wave, -1, 1), atol=2**-15)
  assert {path.name for path in written} == set(json.loads((run.workdir / 'figures/index.json').read_text()))
  write_report(
    run.workdir / 'report.html', title='t', about='a', command='c', config={}, scores={}, scores_note='', explained={},
    best='', records=[], panels={}, figures=write.figures_of(run.workdir), sounds=write.sounds_of(run.workdir),
  )  # fmt: skip
  page = Page((run.workdir / 'report.html').read_text())
  assert len(page.of('audio')) == len(written) - 2 > 0 and len(page.of('img')) == 2
