import numpy as np
import pytest
from scipy import signal

from gen_jax import randomness
from gen_jax.audio.features import Features, analyze
from gen_jax.audio.formants import CHILD, MAN, render
from gen_jax.audio.levels import active_level
from gen_jax.audio.voice import standardize
from gen_jax.config import common
from gen_jax.data import sources
from gen_jax.data.dataset import Feature
from gen_jax.data.sets import voices
from gen_jax.errors import UserError

FEATURES = Features('mel', 8_000, 24)
SENTENCES = 20


def section(**changes):
  data = common().data
  settings = {'name': 'voices', 'rate': 8_000, 'bands': 24, 'frames': 32, 'sentences': SENTENCES}
  data.update(settings | changes)
  return data


@pytest.fixture(scope='module')
def splits():
  return {split: sources.open_split(section(), split) for split in sources.SPLITS}


def test_rows_are_windows_of_both_sides(splits):
  for split, number in {'train': SENTENCES, 'validation': 16, 'test': 34}.items():
    data = splits[split]
    assert data.features == dict.fromkeys(('image_a', 'image_b'), Feature((32, 24, 1), 0, 'sound'))
    assert {side: len(spoken) for side, spoken in data.sound.utterances.items()} == {'a': number, 'b': number}
    last = data.sound.utterances['b'][-1]
    np.testing.assert_array_equal(last.frames, analyze(last.wave, FEATURES).frames)
    assert data.sound.features == FEATURES and data.sound.voices == splits['train'].sound.voices
    assert data.sound.parallel == data.sound.aligned == (split != 'train')
    assert data.arrays['image_a'].shape[1:] == (32, 24, 1) and data.arrays['image_a'].dtype == np.float32


def test_training_frames_are_standardized(splits):
  sound = splits['train'].sound
  for side, spoken in sound.utterances.items():
    frames = [standardize(analyze(each.wave, FEATURES).frames, sound.voices[side]) for each in spoken]
    np.testing.assert_allclose(np.concatenate(frames).mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(np.concatenate(frames).std(0), 1, atol=1e-4)
    rows = splits['train'].arrays[f'image_{side}']
    np.testing.assert_array_equal(rows[0, ..., 0], frames[0][:32])
    assert abs(rows.mean()) < 0.2 and abs(rows.std() - 1) < 0.2


@pytest.mark.parametrize('split', ['validation', 'test'])
def test_both_say_the_same_in_the_same_time(splits, split):
  spoken = splits[split].sound.utterances
  assert [each.name for each in spoken['a']] == [each.name for each in spoken['b']]
  assert splits[split].arrays['image_a'].shape == splits[split].arrays['image_b'].shape
  for a, b in zip(spoken['a'], spoken['b'], strict=True):
    assert len(a.wave) == len(b.wave)
    correlation = np.corrcoef([np.log(np.abs(signal.stft(each.wave, nperseg=512)[2]).sum(0)) for each in (a, b)])
    assert correlation[0, 1] > 0.8


def test_the_child_says_what_the_man_does(splits):
  """The true frames of B from a sentence of A: the key of the third of the fourth text, by both speakers."""
  key = voices.row_keys(randomness.key(3), np.arange(3))[2]
  for side, speaker in {'a': MAN, 'b': CHILD}.items():
    wave, found = render(key, speaker, 8_000), splits['test'].sound.utterances[side][2].wave
    assert active_level(found) == pytest.approx(-26, abs=0.01)
    np.testing.assert_allclose(found / found.std(), wave / wave.std(), atol=1e-4)


def test_the_two_say_other_sentences_in_training(splits):
  spoken = splits['train'].sound.utterances
  names = [each.name for side in spoken.values() for each in side]
  assert len(set(names)) == 2 * SENTENCES
  lengths = [len(each.wave) for data in splits.values() for each in data.sound.utterances['a']]
  lengths += [len(each.wave) for each in spoken['b']]
  assert len(set(lengths)) > 0.95 * len(lengths)  # no sentence is in two splits, or on both sides


def test_more_sentences_are_the_same_and_others(splits):
  fewer = voices.load('train', FEATURES, 32, 5).sound.utterances['a']
  for each, same in zip(fewer, splits['train'].sound.utterances['a'], strict=False):
    np.testing.assert_array_equal(each.wave, same.wave)


def test_sides_can_be_exchanged(splits):
  other = sources.open_split(section(swap=True), 'test')
  np.testing.assert_array_equal(other.arrays['image_a'], splits['test'].arrays['image_b'])
  assert other.sound.voices['a'] == splits['test'].sound.voices['b'] and other.sound.aligned


def test_empty_bands_are_refused():
  with pytest.raises(UserError, match='hold no frequency'):
    sources.open_split(section(bands=300), 'train')


def test_keys_of_other_sets_are_told():
  assert not list(sources.problems(section()))
  assert list(sources.problems(section(name='digits')))
