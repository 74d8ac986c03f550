"""A wave in another voice: with models whose translations are known."""

import types

import numpy as np
import pytest
import soxr
from scipy.signal import sawtooth

from gen_jax.audio.features import Features, analyze
from gen_jax.audio.levels import active_level
from gen_jax.audio.voice import measure_voice
from gen_jax.data.sounds import Sound
from gen_jax.errors import UserError
from gen_jax.runs import sounds
from gen_jax.runs.sounds import as_wave, in_pieces, quietest, resample, translate_wave

RATE, WINDOW = 8_000, 16
FEATURES = Features('mel', RATE, 20)
KEEPING = types.SimpleNamespace(translate_to_b=lambda batch: batch['image_a'])  # each frame as it is


def spoken(seconds=1.0, rate=RATE, hertz=120.0, level=0.1):
  """A hum of many harmonics that swells and fades, in a little noise."""
  time = np.arange(round(seconds * rate)) / rate
  wave = sawtooth(2 * np.pi * hertz * time) * (1.2 + np.sin(2 * np.pi * 3 * time))
  return (level * wave + 0.01 * np.random.default_rng(0).normal(size=len(time))).astype(np.float32)


VOICE = measure_voice([analyze(sounds.normalize_level(spoken()), FEATURES)])


def sound_of(b=VOICE, features=FEATURES):
  return Sound(features, {'a': VOICE, 'b': b}, {})


def translated(wave, rate=RATE, sound=None, model=KEEPING):
  return translate_wave(model, sound or sound_of(), WINDOW, wave, rate, 'b')


def frames_of(wave, rate=RATE):
  """As the model sees a wave: float32 [T,bands]."""
  return analyze(sounds.normalize_level(soxr.resample(wave, rate, RATE)), FEATURES).frames


def correlation(x, y):
  return np.corrcoef(np.ravel(x), np.ravel(y))[0, 1]


def test_one_voice_in_place_of_itself_says_what_was_said():
  wave = spoken()
  made = translated(wave)
  assert made.dtype == np.float32 and made.shape == wave.shape
  np.testing.assert_allclose(frames_of(made)[2:-2], frames_of(wave)[2:-2], atol=0.5)
  np.testing.assert_allclose(active_level(made), active_level(wave), atol=1e-3)


def test_what_the_wanted_voice_has_louder_is_louder():
  tilt = np.linspace(1.0, -1.0, FEATURES.bands)  # nepers
  brighter = VOICE._replace(mean=tuple(np.add(VOICE.mean, tilt)))
  wave = spoken()
  difference = (frames_of(translated(wave, sound=sound_of(brighter))) - frames_of(wave))[2:-2].mean(0)
  slope = np.polyfit(tilt, difference, 1)[0]
  assert 0.8 < slope < 1.2


@pytest.mark.parametrize('rate', [8_000, 11_025, 44_100, 48_000])
@pytest.mark.parametrize('level', [0.003, 0.3])
def test_length_rate_and_level_are_kept(rate, level):
  wave = spoken(0.7, rate, level=level)[:-3]
  made = translated(wave, rate)
  assert made.shape == wave.shape
  np.testing.assert_allclose(active_level(made), active_level(wave), atol=1e-3)
  given, heard = frames_of(wave, rate), frames_of(made, rate)
  agreement = [correlation(given[4:-4], np.roll(heard, shift, 0)[4:-4]) for shift in (-1, 0, 1)]
  assert agreement[1] > 0.95 and agreement[1] == max(agreement)  # nothing is shifted in time


@pytest.mark.parametrize('length', [1, 2, 10, 511, 513])
def test_the_shortest_waves_have_a_translation(length):
  wave = spoken()[:length]
  for rate in (RATE, 48_000):
    made = translated(wave, rate)
    assert made.shape == wave.shape and np.isfinite(made).all()


def test_silence_stays_silence():
  np.testing.assert_array_equal(translated(np.zeros(500, np.float32)), np.zeros(500))
  wave = np.concatenate([np.zeros(RATE, np.float32), spoken(), np.zeros(RATE, np.float32)])
  made = translated(wave)
  assert active_level(made[: RATE - 600]) < active_level(wave) - 40


def test_long_waves_are_translated_in_pieces_that_nobody_hears(monkeypatch):
  wave = spoken(3.0)
  whole = translated(wave)
  monkeypatch.setattr(sounds, 'LONGEST', 1.0)
  parts = translated(wave)
  assert parts.shape == wave.shape and correlation(frames_of(whole), frames_of(parts)) > 0.98
  np.testing.assert_allclose(active_level(parts), active_level(whole), atol=1e-3)
  assert np.abs(np.diff(parts)).max() < 1.3 * np.abs(np.diff(whole)).max()  # no clicks


@pytest.mark.parametrize('length', [1, 19, 20, 21, 25, 39, 40, 41, 200])
def test_pieces_that_overlap_add_up(length):
  seen = []
  wave = np.random.default_rng(0).normal(size=length)
  made = in_pieces(wave, lambda piece: seen.append(len(piece)) or piece, 20, 3)
  np.testing.assert_allclose(made, wave, atol=1e-12)
  assert max(seen) <= 20 and sum(seen) == length + 3 * (len(seen) - 1)
  assert (len(seen) == 1) == (length <= 20)


def test_pieces_are_cut_where_it_is_quiet():
  wave = np.ones(50)
  wave[14:19] = 0.1
  seen = []
  in_pieces(wave, lambda piece: seen.append(len(piece)) or piece, 20, 3)
  assert 17 <= seen[0] <= 19
  assert quietest(wave, 10, 20, 5) == 14


def test_a_pitch_is_that_of_the_wanted_voice():
  features = Features('world', RATE, 20)
  wave = spoken()
  given = measure_voice([analyze(sounds.normalize_level(wave), features)])
  wanted = given._replace(pitch=(given.pitch[0] + np.log(1.5), given.pitch[1]))
  made = translated(wave, sound=Sound(features, {'a': given, 'b': wanted}, {}))
  voiced = [analyze(x, features).log_pitch for x in (wave, made)]
  middle, raised = (np.nanmedian(x) for x in voiced)
  np.testing.assert_allclose(np.exp(middle), 120, rtol=0.02)
  np.testing.assert_allclose(np.exp(raised), 180, rtol=0.03)


def test_waves_of_integers_have_a_full_scale_of_1():
  wave = as_wave(np.array([-(2**15), 0, 2**14], np.int16), 16_000)
  np.testing.assert_array_equal(wave, np.float32([-1, 0, 0.5]))
  assert as_wave(np.zeros(3), 16_000).dtype == np.float32


@pytest.mark.parametrize(
  ('wave', 'rate', 'message'),
  [
    (np.zeros(3, np.int32), 8_000, r'a wave must be floats or int16 \[T\], of one channel, not int32 \[3\]'),
    (np.zeros((3, 2)), 8_000, r'not float64 \[3, 2\]'),
    (np.zeros(0), 8_000, r'not float64 \[0\]'),
    ([0.0, np.nan], 8_000, 'a wave must be finite'),
    (np.zeros(3), 8_000.0, 'rate=8000.0: must be an integer'),
    (np.zeros(3), 0, 'rate=0: must be an integer of 1000 to 768000'),
  ],
)
def test_what_is_no_wave_is_refused(wave, rate, message):
  with pytest.raises(UserError, match=message):
    as_wave(wave, rate)


def test_no_wave_is_empty_at_another_rate():
  assert len(resample(np.ones(1, np.float32), 48_000, 8_000)) == 1
