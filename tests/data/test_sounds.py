"""Windows of utterances as examples of two sides."""

import numpy as np
import pytest

from gen_jax.audio.features import Features, analyze
from gen_jax.config import common
from gen_jax.data.dataset import exchange_sides
from gen_jax.data.sounds import Sound, Utterance, features_of, from_analyses, measure_voices, windows_of
from gen_jax.errors import UserError

FEATURES = Features(bands=8)


def test_windows_begin_a_fourth_apart_and_end_with_the_utterance():
  frames = np.arange(21.0)[:, None]
  windows = windows_of(frames, 8)
  np.testing.assert_array_equal(windows[:, 0, 0], [0, 2, 4, 6, 8, 10, 12, 13])
  np.testing.assert_array_equal(windows[-1, :, 0], np.arange(13, 21))
  np.testing.assert_array_equal(windows_of(frames[:8], 8)[:, :, 0], [np.arange(8)])
  np.testing.assert_array_equal(windows_of(frames[:3], 8)[0, :, 0], [0, 1, 2, 2, 1, 0, 0, 1])  # mirrored, again


@pytest.fixture(scope='module')
def data():
  rng = np.random.default_rng(0)
  spoken = {
    side: tuple(Utterance(str(n), np.float32(0.1 * rng.normal(size=n))) for n in lengths)
    for side, lengths in {'a': (9_000, 12_000, 300), 'b': (8_000,)}.items()
  }
  analyses = {side: [analyze(each.wave, FEATURES) for each in of_side] for side, of_side in spoken.items()}
  sound = Sound(FEATURES, measure_voices(analyses), spoken)
  return from_analyses(analyses, sound, 16)


def test_rows_are_standardized_windows_of_either_side(data):
  a, b = data.arrays['image_a'], data.arrays['image_b']
  assert a.shape[1:] == b.shape[1:] == (16, 8, 1) and a.dtype == np.float32
  assert data.own_order == {'image_a': len(a), 'image_b': len(b)} and data.size == len(a)
  assert data.kind == 'sound' and data.levels == 0
  frames = analyze(data.sound.utterances['b'][0].wave, FEATURES).frames
  np.testing.assert_allclose(b[0, :, :, 0], (frames[:16] - frames.mean(0)) / frames.std(0), atol=1e-3)


def test_exchanged_sides_take_their_voices_along(data):
  turned = exchange_sides(data)
  np.testing.assert_array_equal(turned.arrays['image_a'], data.arrays['image_b'])
  assert turned.sound.voices['a'] == data.sound.voices['b']
  assert turned.sound.utterances['b'] == data.sound.utterances['a']


@pytest.mark.parametrize('kind', ['mel', 'world'])
def test_every_band_holds_something(kind):
  data = common().data
  data.update({'features': kind, 'bands': 300})
  assert features_of(data) == Features(kind, 16_000, 300)
  for bands, message in (
    (400, r'bands=400: \d+ of them hold no frequency of a window of 1024 samples at 16000 Hz; set fewer'),
    (1, 'bands=1: must be 2 at least'),
  ):
    data.bands = bands
    with pytest.raises(UserError, match=message):
      features_of(data)
