"""What evaluations of voices are made of: whole utterances by windows, no models, who speaks, what is said."""

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.stats
import soundfile
from two_voices import FEATURES, FORMANTS, RATE, Translator, say, sound_of_split

from gen_jax.audio.features import analyze
from gen_jax.errors import UserError
from gen_jax.evaluation.voices.baselines import BASELINES, fit_baselines
from gen_jax.evaluation.voices.contours import (
  content_costs,
  correlation,
  loudness,
  mean_correlation,
  reading_costs,
  spoken,
)
from gen_jax.evaluation.voices.speakers import (
  CLASSIFIERS,
  correlations,
  correlations_of,
  fit_ridge,
  pieces_of,
  whitened_windows,
)
from gen_jax.evaluation.voices.translate import BATCH, translate_frames, translate_utterances
from gen_jax.evaluation.voices.words import learn_words, list_words, read_words, resample, word_of

RNG = np.random.default_rng(0)

# Whole utterances


@pytest.mark.parametrize('length', [1, 2, 5, 15, 16, 17, 24, 40, 100])
@pytest.mark.parametrize('window', [16, 7, 1])
def test_what_a_model_leaves_as_it_is_comes_back(length, window):
  frames = RNG.normal(size=(length, 3)).astype(np.float32)
  made = translate_frames(Translator(), frames, 'b', window)
  assert made.dtype == np.float32
  np.testing.assert_allclose(made, frames, atol=1e-5)


def test_what_is_done_to_each_frame_is_done_to_the_utterance():
  frames = RNG.normal(size=(61, 3)).astype(np.float32)
  matrix = RNG.normal(size=(3, 3)).astype(np.float32)
  model = Translator(lambda x: np.einsum('btfc,fg->btgc', np.tanh(x), matrix))
  np.testing.assert_allclose(translate_frames(model, frames, 'a', 16), np.tanh(frames) @ matrix, atol=1e-5)


def test_no_seams_where_windows_meet():
  frames = np.sin(np.arange(200) / 9)[:, None].astype(np.float32)
  ramp = np.linspace(-1, 1, 16, dtype=np.float32)[:, None, None]  # an error that jumps from a window's end to the next
  made = translate_frames(Translator(lambda x: x + ramp), frames, 'b', 16)
  error = (made - frames)[:, 0]
  assert np.abs(np.diff(error)).max() < 0.15 and np.abs(error).max() < 0.6  # joined end to end it would jump by 2


def test_windows_at_the_ends_see_the_utterance_mirrored():
  frames = RNG.normal(size=(40, 2)).astype(np.float32)
  model = Translator()
  translate_frames(model, frames, 'b', 8)
  first, last = model.batches[0]['image_a'][0, :, :, 0], model.batches[0]['image_a'][10, :, :, 0]
  np.testing.assert_array_equal(first, np.concatenate([frames[3::-1], frames[:4]]))
  np.testing.assert_array_equal(last, np.concatenate([frames[-4:], frames[:-5:-1]]))


def test_utterances_share_batches_of_few_sizes_and_keep_their_noise():
  utterances = [RNG.normal(size=(n, 2)).astype(np.float32) for n in (3, 200, 90, 57)]
  model = Translator(lambda x: x * 2)
  made = translate_utterances(model, utterances, 'b', 8)
  for frames, twice in zip(utterances, made, strict=True):
    np.testing.assert_allclose(twice, 2 * frames, atol=1e-5)
  sizes = [len(batch['row']) for batch in model.batches]
  assert set(sizes[:-1]) == {BATCH} and sizes[-1].bit_count() == 1 and sizes[-1] <= BATCH
  assert all(batch['image_a'].shape[1:] == (8, 2, 1) and batch['row'].dtype == np.int32 for batch in model.batches)
  rows = np.concatenate([batch['row'] for batch in model.batches])
  np.testing.assert_array_equal(rows[:4], [0, 1, 0, 1])  # an utterance's begin anew: noise is that of a lone one


# Without a model


def test_baselines_bring_moments_to_those_of_the_wanted_voice():
  mixed = lambda n: RNG.normal(size=(n, 4)) @ RNG.normal(size=(4, 4)) + RNG.normal(size=4)
  given, wanted = mixed(500), mixed(600)
  made = {name: translate(given) for name, translate in fit_baselines(given, wanted).items()}
  assert list(made) == list(BASELINES)
  np.testing.assert_array_equal(made['untranslated'], given)
  for name in ('mean-shift', 'mean-and-deviation', 'gaussian-transport', 'shrunk-transport'):
    np.testing.assert_allclose(made[name].mean(0), wanted.mean(0), atol=1e-9)
  np.testing.assert_allclose(made['mean-shift'] - given, (wanted.mean(0) - given.mean(0))[None].repeat(500, 0))
  np.testing.assert_allclose(made['mean-and-deviation'].std(0), wanted.std(0), rtol=1e-3)
  covariances = [np.cov(x, rowvar=False) for x in (made['gaussian-transport'], wanted, given)]
  np.testing.assert_allclose(covariances[0], covariances[1], atol=5e-3)
  flat = np.cov(made['shrunk-transport'], rowvar=False)
  np.testing.assert_allclose(flat, 0.49 * covariances[0], atol=1e-9)
  # of all maps with that covariance the one that moves frames least: its matrix is symmetric
  matrix = np.linalg.lstsq(given - given.mean(0), made['gaussian-transport'] - wanted.mean(0))[0]
  np.testing.assert_allclose(matrix, matrix.T, atol=1e-9)
  root = scipy.linalg.sqrtm(covariances[2])
  closed = np.linalg.inv(root) @ scipy.linalg.sqrtm(root @ covariances[1] @ root) @ np.linalg.inv(root)
  np.testing.assert_allclose(matrix, closed, atol=5e-3)


# Who speaks


def recorded(split='train'):
  """{side: frames of its utterances}."""
  return {
    side: [analyze(x.wave, FEATURES).frames for x in said] for side, said in sound_of_split(split).utterances.items()
  }


def gaussian_speech(mixing, memory, number, seed):
  """Utterances [250,bands] of a Gaussian process with the covariance M^T M, whose frames remember those before."""
  noise = np.random.default_rng(seed).normal(size=(number, 250, len(mixing)))
  speech = scipy.signal.lfilter([np.sqrt(1 - memory**2)], [1, -memory], noise, axis=1)
  return list(speech @ mixing + 3)


def test_voices_are_told_apart_by_second_moments_or_by_what_is_beyond_them():
  rng = np.random.default_rng(1)
  mixing = {side: rng.normal(size=(26, 26)) for side in 'ab'}
  memory = {'a': 0.8, 'b': 0.3}
  train, test = ({side: gaussian_speech(mixing[side], memory[side], 12, seed) for side in 'ab'} for seed in (2, 3))
  fitted = fit_baselines(*(np.concatenate(train[side]) for side in 'ab'))
  shares = {}
  for name, learn in CLASSIFIERS.items():
    tell = learn(train['a'], train['b'])
    assert not any(tell(x) > 0 for x in test['a']) and all(tell(x) > 0 for x in test['b'])
    for baseline, translate in fitted.items():
      shares[name, baseline] = np.mean([tell(translate(x)) > 0 for x in test['a']])
  assert shares['correlations', 'mean-shift'] == shares['windows', 'mean-shift'] == 0  # a filter
  assert shares['correlations', 'gaussian-transport'] == 1  # which is a linear map
  assert shares['windows', 'gaussian-transport'] == 0  # frames follow each other as before


def test_features_of_speakers():
  x = RNG.normal(size=(300, 5)) @ RNG.normal(size=(5, 5))
  np.testing.assert_allclose(correlations_of(x), np.corrcoef(x.T)[np.triu_indices(5, 1)], atol=1e-12)
  assert correlations(RNG.normal(size=(40, 30))).shape == (24 * 23,)
  frames = RNG.normal(size=(2_000, 30)) @ RNG.normal(size=(30, 30))
  windows = whitened_windows(frames)
  assert windows.shape == (2_000, 72)
  np.testing.assert_allclose(windows[:, 24:48].T @ windows[:, 24:48] / 2_000, np.eye(24), atol=0.1)
  np.testing.assert_array_equal(windows[3:, :24], windows[:-3, 24:48])
  np.testing.assert_allclose(whitened_windows(5 * frames + RNG.normal(size=30)), windows, atol=1e-5)
  assert [len(piece) for piece in pieces_of(np.zeros((260, 2)))] == [125] * 3 and len(pieces_of(np.zeros((9, 2)))) == 1


def test_the_classifier_weighs_both_speakers_alike():
  x = np.concatenate([RNG.normal(-1, 1, (900, 1)), RNG.normal(1, 1, (100, 1))])
  predict = fit_ridge(x, np.repeat([-1.0, 1.0], [900, 100]), 1.0)
  (border,) = np.roots([*np.diff(predict(np.array([[0.0], [1.0]]))), predict(np.zeros((1, 1)))[0]])
  assert border == pytest.approx(0, abs=0.15)


# What is said


def test_content_is_that_of_the_utterance_whatever_filter_it_went_through():
  test = recorded('test')
  moved = [x + np.linspace(-2, 1, x.shape[1], dtype=np.float32) for x in test['a']]
  np.testing.assert_allclose(content_costs(moved, test['a']), 0, atol=1e-4)
  costs = reading_costs(test['a'], test['b'])
  assert costs.shape == (4, 4)
  np.testing.assert_allclose(costs[:, 0], content_costs(test['a'], test['b']))
  np.testing.assert_allclose(costs[3, 1], content_costs(test['a'][3:], test['b'][:1])[0])  # in turn
  assert (costs.argmin(1) == 0).all()


def test_contours():
  frames = np.full((5, 4), -20.0)
  frames[1:4] = np.log([[1.0], [2.0], [1.0]])
  np.testing.assert_allclose(loudness(frames)[1:4], 10 * np.log10([4, 16, 4]))
  assert spoken(frames) == slice(1, 4)
  a, b = RNG.normal(size=(2, 50))
  with_gaps = np.where(np.arange(50) % 3 == 0, np.nan, a)
  known = np.isfinite(with_gaps)
  assert correlation(with_gaps, b) == pytest.approx(scipy.stats.pearsonr(a[known], b[known])[0])
  assert correlation(a, np.ones(50)) == 0 and np.isnan(correlation(a[:2], b[:2]))
  assert mean_correlation([a, a[:2], a], [a, a[:2], np.ones(50)]) == pytest.approx(0.5)
  assert np.isnan(mean_correlation([a[:2]], [b[:2]]))


# Words


def write_words(folder, side, words, takes=3):
  """Recordings of a speaker who says each word, two phones, some times."""
  noise = np.random.default_rng([ord(side), len(folder.name)])
  for word, phones in words.items():
    for take in range(takes):
      wave = say(phones, side, 0.15 + 0.05 * noise.random())
      folder.mkdir(parents=True, exist_ok=True)
      soundfile.write(folder / f'{word}_{take}.wav', wave + 1e-3 * noise.normal(size=len(wave)), RATE)


def test_words_are_recognized_whoever_says_them(tmp_path):
  words = {'ai': [0, 1], 'ia': [1, 0], 'uo': [2, 3], 'ou': [3, 4], 'ea': [5, 0]}
  assert max(max(phones) for phones in words.values()) < len(FORMANTS)
  write_words(tmp_path / 'others' / 'first', 'a', words)
  write_words(tmp_path / 'others' / 'second', 'c', words)
  write_words(tmp_path / 'unknown' / 'third', 'd', words)
  assert list(list_words(str(tmp_path / 'others'))) == ['first', 'second']
  recognize = learn_words(read_words(str(tmp_path / 'others'), FEATURES))
  (said,) = read_words(str(tmp_path / 'unknown'), FEATURES).values()
  truth, frames = zip(*said, strict=True)
  assert recognize(frames) == list(truth)
  assert recognize([x + 3 for x in frames]) == list(truth)


def test_folders_without_words_are_refused(tmp_path):
  for make in (lambda: None, lambda: write_words(tmp_path / 'one', 'a', {'ai': [0, 1]})):
    make()
    with pytest.raises(UserError, match='two words at least'):
      list_words(str(tmp_path))


def test_names_and_frames_of_words():
  assert [word_of(name) for name in ('7_theo_32', 'folder/seven_1', 'seven')] == ['7', 'seven', 'seven']
  contours = np.stack([np.arange(5.0), np.arange(5.0) ** 2], axis=1)
  np.testing.assert_allclose(resample(contours, 9)[:, 0], np.arange(9) / 2)
  np.testing.assert_allclose(resample(contours, 5), contours)
  np.testing.assert_allclose(resample(contours[:1], 3), np.zeros((3, 2)))
