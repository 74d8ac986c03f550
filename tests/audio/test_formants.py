import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from gen_jax import randomness
from gen_jax.audio import formants
from gen_jax.audio.formants import CHILD, CONSONANTS, MAN, PHONES, VOWELS, Speaker

RATE = 16_000
SPEAKERS = pytest.mark.parametrize('speaker', [MAN, CHILD], ids=['man', 'child'])
say = jax.jit(formants.say, static_argnums=(1, 2))


@functools.cache
def steady(phone: str, speaker: Speaker, rate: int = RATE) -> np.ndarray:
  """One second of a phone at the speaker's pitch, away from its ends."""
  ends = jnp.linspace(0, 2, 13)[1:]  # of as many phones as a sentence has: one program for all
  phones = jnp.full(12, list(PHONES).index(phone))
  sentence = formants.Sentence(phones, ends, jnp.zeros(12), jnp.ones(12), randomness.key(0))
  return np.asarray(say(sentence, speaker, rate))[rate // 2 : 3 * rate // 2]


def harmonics_of(wave, pitch, number):
  """The amplitudes of harmonics 1..number by a projection under a window."""
  window = signal.windows.blackmanharris(len(wave))
  angles = 2j * np.pi * pitch / RATE * np.outer(np.arange(1, number + 1), np.arange(len(wave)))
  return 2 * np.abs(np.exp(-angles) @ (window * wave)) / window.sum()


def envelope_by_scipy(phone, speaker, hertz):
  """The gain of analog resonances by their poles."""
  centers = np.array([*PHONES[phone].formants, *formants.HIGHER_FORMANTS])
  centers = 2 * np.pi * centers * [*speaker.tract, *[speaker.tract[2]] * 5]
  polynomials = [[1, 2 * np.pi * width, f**2] for f, width in zip(centers, formants.BANDWIDTHS, strict=True)]
  poles = np.concatenate([np.roots(polynomial) for polynomial in polynomials])
  return np.abs(signal.freqs_zpk([], poles, np.prod(centers**2), 2 * np.pi * hertz)[1])


@SPEAKERS
@pytest.mark.parametrize('phone', ['iy', 'aa', 'm'])
def test_the_pitch_is_the_speakers(phone, speaker):
  wave = steady(phone, speaker)
  correlation = signal.correlate(wave, wave, method='fft')[len(wave) - 1 :]
  lags = np.arange(RATE // 400, RATE // 70)
  peak = lags[np.argmax(correlation[lags])]
  left, top, right = correlation[peak - 1 : peak + 2]
  peak = peak + (left - right) / (2 * (left - 2 * top + right))
  assert RATE / peak == pytest.approx(speaker.pitch, rel=0.01)


@SPEAKERS
@pytest.mark.parametrize('phone', ['iy', 'ih', 'eh', 'ae', 'uw'])
def test_formants_are_where_the_table_has_them(phone, speaker):
  order = np.arange(1, int(4800 / speaker.pitch))
  amplitude = order * harmonics_of(steady(phone, speaker), speaker.pitch, len(order))
  peaks = speaker.pitch * order[signal.argrelmax(np.r_[0, amplitude, 0])[0] - 1]
  for formant in np.multiply(PHONES[phone].formants, speaker.tract):
    assert np.abs(peaks - formant).min() < speaker.pitch


@SPEAKERS
@pytest.mark.parametrize('phone', VOWELS)
def test_harmonics_have_the_gain_of_the_resonances(phone, speaker):
  order = np.arange(1, int(3000 / speaker.pitch))
  expected = envelope_by_scipy(phone, speaker, speaker.pitch * order) / order
  found = harmonics_of(steady(phone, speaker), speaker.pitch, len(order))
  np.testing.assert_allclose(found, expected, rtol=0.02, atol=2e-3 * expected.max())  # breath and room add noise


@pytest.mark.parametrize('rate', [8_000, 16_000])
def test_nothing_is_aliased(rate):
  """What folded back would lie between the harmonics: the pitch divides no rate."""
  wave = steady('iy', Speaker(207.3, (1.25, 1.35, 1.3), 0.0), rate)
  window = signal.windows.blackmanharris(len(wave))
  power = np.abs(np.fft.rfft(window * wave)) ** 2
  hertz = np.fft.rfftfreq(len(wave), 1 / rate)
  between = np.abs(hertz / 207.3 - np.round(hertz / 207.3)) > 0.1
  assert power[between].sum() < 1e-5 * power.sum()
  assert power[hertz > 0.485 * rate].sum() < 1e-6 * power.sum()


@SPEAKERS
@pytest.mark.parametrize('phone', ['s', 'sh'])
def test_a_fricative_is_noise_of_its_band(phone, speaker):
  hertz, power = signal.welch(steady(phone, speaker), RATE, nperseg=512)
  peak, width = PHONES[phone].peak * speaker.tract[2], PHONES[phone].width * speaker.tract[2]
  center = np.abs(hertz - peak) < width / 4
  edge = np.abs(hertz - (peak - width)) < width / 4  # a fourth of the power
  assert power[edge].mean() == pytest.approx(power[center].mean() / 4, rel=0.3)
  assert power[hertz < peak - 4 * width].max(initial=0) < power[center].mean() / 10


def test_a_pause_is_silent_but_for_the_room():
  np.testing.assert_allclose(steady(' ', MAN).std(), formants.ROOM, rtol=0.02)
  assert steady('aa', MAN).std() > 100 * formants.ROOM


def test_sentences_are_syllables_of_phones():
  sentences = jax.vmap(lambda i: formants.draw_phones(randomness.key(i)))(jnp.arange(200, dtype=jnp.uint32))
  phones = np.asarray(sentences.phones)
  consonants, vowels = phones[:, ::2], phones[:, 1::2]
  assert set(vowels.ravel()) == set(range(len(VOWELS)))
  assert set(consonants.ravel()) == set(range(len(VOWELS), len(VOWELS) + len(CONSONANTS)))
  assert list(PHONES)[-1] == ' ' and consonants[:, 0].max() == len(PHONES) - 2  # no sentence begins with a pause
  durations = np.diff(np.asarray(sentences.ends), prepend=0)
  assert durations.min() > formants.SHORTEST - 1e-5 and durations.max() < formants.LONGEST + 1e-5
  assert np.abs(sentences.intonation).max() <= formants.DECLINATION + formants.ACCENT
  np.testing.assert_allclose(np.mean(sentences.intonation), 0, atol=0.02)


def test_shares_are_those_of_phones_and_glide():
  ends, times = jnp.array([0.1, 0.3, 0.4]), jnp.array([0.0, 0.05, 0.1, 0.2, 0.29, 0.39, 0.6])
  found = np.asarray(formants.shares(ends, times, 0.04))
  np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-6)
  np.testing.assert_allclose(
    found[[0, 1, 2, 3, 6]], [[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]], atol=1e-5
  )
  np.testing.assert_allclose(found[4, 2], np.sin(np.pi / 8) ** 2, atol=1e-5)  # a fourth of its way


def test_two_speakers_say_a_sentence_in_the_same_time():
  key = randomness.key(5)
  man, child = (formants.render(key, speaker, RATE) for speaker in (MAN, CHILD))
  assert man.dtype == np.float32 and len(man) == len(child)
  assert len(man) == np.ceil(float(formants.draw_phones(key).ends[-1]) * RATE)
  contours = [np.log(np.abs(signal.stft(wave, RATE, nperseg=1024)[2]).sum(0)) for wave in (man, child)]
  assert np.corrcoef(contours)[0, 1] > 0.9
  spectra = [np.log(signal.welch(wave, RATE, nperseg=1024)[1]) for wave in (man, child)]
  assert np.abs(spectra[0] - spectra[1]).mean() > 0.5


def test_a_key_says_one_sentence():
  wave = formants.render(randomness.key(5), MAN, RATE)
  np.testing.assert_array_equal(wave, formants.render(randomness.key(5), MAN, RATE))
  other = formants.render(randomness.key(6), MAN, RATE)
  assert len(other) != len(wave)
