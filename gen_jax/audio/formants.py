"""Two synthetic speakers: sentences of random phones by a source and a filter (Fant, 1960; Klatt, 1980), in JAX.

A voice is a sum of harmonics of the pitch, the glottal source, each with the gain of the resonances of the vocal tract,
the formants, at its frequency; breath is noise through the same resonances, and a fricative noise of a band of its own.
A `Sentence` knows no speaker: said by two, it is the same utterance in two voices, frame by frame. Vowels have the mean
formants of the men of Peterson and Barney (1952). Those of their children are on average 1.33, 1.35 and 1.37 times as
high, with a pitch of 264 Hz; the child here is older.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.audio.stft import istft, stft

SYLLABLES = 6  # of a sentence: a consonant or a pause, and a vowel
SHORTEST, LONGEST = 0.08, 0.2  # seconds a phone
SECONDS = 2 * SYLLABLES * LONGEST  # that every rendered wave lasts; silent after the sentence's end
DECLINATION, ACCENT = 0.15, 0.12  # ln pitch: half the fall over a sentence, and the most that a syllable deviates
LOUDNESS = 0.2  # natural logarithm of an amplitude: the most that a phone deviates
GLIDE, PITCH_GLIDE = 0.03, 0.08  # seconds from one phone to the next
STEP = 0.005  # seconds, about, from one frame of what changes slowly to the next
HIGHER_FORMANTS = (3500.0, 4500.0, 5500.0, 6500.0, 7500.0)  # Hz, of a uniform tube of 17.5 cm
BANDWIDTHS = (60.0, 90.0, 150.0, 200.0, 250.0, 300.0, 350.0, 400.0)  # Hz
ROOM = 1e-3  # amplitude of white noise, in speech and in pauses


class Speaker(NamedTuple):
  """Who speaks: the pitch in Hz, how many times a man's the first three formants are, and the amplitude of breath.

  Higher formants and the bands of fricatives are scaled as the third formant.
  """

  pitch: float
  tract: tuple[float, float, float]
  breath: float


MAN = Speaker(115.0, (1.0, 1.0, 1.0), 0.01)
CHILD = Speaker(205.0, (1.25, 1.35, 1.3), 0.02)


class Phone(NamedTuple):
  """A man's phone: its first three formants, the amplitudes of voice and hiss, the hiss's peak and half width in Hz."""

  formants: tuple[float, float, float]
  voice: float = 1.0
  hiss: float = 0.0
  peak: float = 4000.0
  width: float = 1000.0


VOWELS = {  # Peterson and Barney (1952), table II: men; names as in the ARPABET
  'iy': Phone((270.0, 2290.0, 3010.0)),  # heed
  'ih': Phone((390.0, 1990.0, 2550.0)),  # hid
  'eh': Phone((530.0, 1840.0, 2480.0)),  # head
  'ae': Phone((660.0, 1720.0, 2410.0)),  # had
  'aa': Phone((730.0, 1090.0, 2440.0)),  # hod
  'ao': Phone((570.0, 840.0, 2410.0)),  # hawed
  'uh': Phone((440.0, 1020.0, 2240.0)),  # hood
  'uw': Phone((300.0, 870.0, 2240.0)),  # who'd
  'ah': Phone((640.0, 1190.0, 2390.0)),  # hud
  'er': Phone((490.0, 1350.0, 1690.0)),  # heard
}
CONSONANTS = {
  'm': Phone((250.0, 1000.0, 2200.0), 0.35),
  'n': Phone((250.0, 1500.0, 2500.0), 0.35),
  'l': Phone((350.0, 1100.0, 2700.0), 0.5),
  'w': Phone((300.0, 650.0, 2200.0), 0.5),
  's': Phone((320.0, 1400.0, 2550.0), 0.0, 0.5, 5200.0, 700.0),
  'sh': Phone((300.0, 1800.0, 2700.0), 0.0, 0.5, 2900.0, 600.0),
  'f': Phone((340.0, 1100.0, 2100.0), 0.0, 0.1, 4500.0, 3000.0),
  ' ': Phone((500.0, 1500.0, 2500.0), 0.0),  # the last: a pause
}
PHONES = VOWELS | CONSONANTS


class Sentence(NamedTuple):
  """What is said and how, by nobody yet; N phones.

  Attributes:
    phones: int32 [N], places in PHONES.
    ends: [N], seconds at which the phones end.
    intonation: [N], natural logarithm of the pitch by the speaker's.
    loudness: [N], amplitudes.
    key: of the noise.
  """

  phones: jax.Array
  ends: jax.Array
  intonation: jax.Array
  loudness: jax.Array
  key: jax.Array


def draw_phones(key: jax.Array) -> Sentence:
  """A random sentence of SYLLABLES, each a consonant or a pause and a vowel, that begins with a consonant."""
  keys = jax.random.split(key, 6)
  choices = np.full(SYLLABLES, len(CONSONANTS))
  choices[0] -= 1  # no pause
  consonants = len(VOWELS) + jax.random.randint(keys[0], (SYLLABLES,), 0, choices)
  vowels = jax.random.randint(keys[1], (SYLLABLES,), 0, len(VOWELS))
  number = (2 * SYLLABLES,)
  durations = jax.random.uniform(keys[2], number, minval=SHORTEST, maxval=LONGEST)
  accents = jnp.repeat(jax.random.uniform(keys[3], (SYLLABLES,), minval=-ACCENT, maxval=ACCENT), 2)
  loudness = jnp.exp(jax.random.uniform(keys[4], number, minval=-LOUDNESS, maxval=LOUDNESS))
  intonation = jnp.linspace(DECLINATION, -DECLINATION, *number) + accents
  phones = jnp.stack([consonants, vowels], -1).ravel()
  return Sentence(phones, jnp.cumsum(durations), intonation, loudness, keys[5])


def render(key: jax.Array, speaker: Speaker, rate: int) -> np.ndarray:
  """The wave of `draw_phones(key)` by the speaker, float32, that ends where it does; the noise is the key's."""
  wave, end = draw_and_say(key, speaker, rate)
  return np.asarray(wave)[: math.ceil(float(end) * rate)]


@functools.partial(jax.jit, static_argnums=(1, 2))
def draw_and_say(key: jax.Array, speaker: Speaker, rate: int) -> tuple[jax.Array, jax.Array]:
  """The wave of a random sentence and the second at which this ends; one program for all keys."""
  sentence = draw_phones(key)
  return say(sentence, speaker, rate), sentence.ends[-1]


def say(sentence: Sentence, speaker: Speaker, rate: int) -> jax.Array:
  """The wave of a sentence by a speaker, float32 [T], at `rate` Hz; T is about SECONDS * rate, for all the same."""
  hop = round(STEP * rate)
  times = jnp.arange(1 + math.ceil(SECONDS * rate / hop)) * (hop / rate)
  of_phones = shares(sentence.ends, times, GLIDE)
  inside = smooth_step(times / GLIDE) * smooth_step((sentence.ends[-1] - times) / GLIDE)
  level = inside[:, None] * of_phones * sentence.loudness[None]  # [F,N]
  of = lambda field: jnp.array([getattr(phone, field) for phone in PHONES.values()], jnp.float32)[sentence.phones]

  scales = jnp.array([*speaker.tract, *len(HIGHER_FORMANTS) * speaker.tract[-1:]])
  higher = jnp.broadcast_to(jnp.array(HIGHER_FORMANTS), (len(times), len(HIGHER_FORMANTS)))
  formants = scales[None] * jnp.concatenate([of_phones @ of('formants'), higher], -1)
  pitch = speaker.pitch * jnp.exp(shares(sentence.ends, times, PITCH_GLIDE) @ sentence.intonation)
  voice = level @ of('voice')
  voiced = add_harmonics(pitch, voice, formants, most_harmonics(speaker, rate), rate, hop)

  hertz = jnp.linspace(0, rate / 2, 2 * hop + 1)
  breath = speaker.breath * voice[:, None] * jnp.abs(resonate(hertz[None], formants))
  scale = speaker.tract[-1]
  bands = 1 / (1 + ((hertz[None] - scale * of('peak')[:, None]) / (scale * of('width')[:, None])) ** 2)  # [N,bins]
  hiss = (level * of('hiss')[None]) @ bands
  noise = jax.random.normal(sentence.key, voiced.shape)
  return voiced + istft((breath + hiss + ROOM) * stft(noise, 4 * hop, hop), hop, len(noise))


def smooth_step(x: jax.Array) -> jax.Array:
  """From 0 at x = 0 to 1 at x = 1 by half a cosine, and level outside."""
  return 0.5 - 0.5 * jnp.cos(jnp.pi * jnp.clip(x, 0, 1))


def shares(ends: jax.Array, times: jax.Array, width: float) -> jax.Array:
  """The share of each of N phones at each of F times, [F,N], of sum 1: a glide of `width` seconds about each border."""
  begun = smooth_step((times[:, None] - ends[None, :-1]) / width + 0.5)
  edge = jnp.ones((len(times), 1))
  return jnp.concatenate([edge, begun], -1) - jnp.concatenate([begun, 0 * edge], -1)


def resonate(hertz: jax.Array, formants: jax.Array) -> jax.Array:
  """The gain, complex64 [F,K], of a cascade of resonances [F,8] at frequencies [1,K] or [F,K], in Hz; 1 at 0 Hz."""
  gain = jnp.ones((1, 1), jnp.complex64)
  for i, bandwidth in enumerate(BANDWIDTHS):
    center = formants[:, i, None]
    gain = gain * (center**2 / (center**2 - hertz**2 + 1j * bandwidth * hertz))
  return gain


def most_harmonics(speaker: Speaker, rate: int) -> int:
  """How many harmonics of a speaker's lowest pitch lie below half the rate."""
  return math.ceil(rate / 2 / (speaker.pitch * math.exp(-DECLINATION - ACCENT)))


def add_harmonics(
  pitch: jax.Array, level: jax.Array, formants: jax.Array, number: int, rate: int, hop: int
) -> jax.Array:
  """The wave [(F - 1) * hop] of harmonics k = 1..number of amplitudes 1/k, through the formants.

  A glottal pulse falls by 12 dB an octave, and radiation from the lips adds 6. What is given at each frame ([F], and
  formants [F,8]) is linear between. Harmonics are faded out from .45 to .48 of the rate.
  """
  order = jnp.arange(1, number + 1)[None]
  hertz = pitch[:, None] * order
  gain = level[:, None] / order * jnp.clip((0.48 - hertz / rate) / 0.03, 0, 1) * resonate(hertz, formants)
  weight = jnp.arange(hop, dtype=jnp.float32)[None] / hop
  between = lambda x: x[:-1, None] * (1 - weight) + x[1:, None] * weight  # [F-1,hop]
  # the phase in 2^-32 of a cycle: a sum that overflows takes off whole cycles, and rounds nothing
  phase = jnp.cumsum((between(pitch) * (2.0**32 / rate)).astype(jnp.uint32).ravel()).reshape(-1, hop)
  angle = phase.astype(jnp.int32) * (2 * jnp.pi / 2.0**32)
  sin, cos = jnp.sin(angle), jnp.cos(angle)

  def add(carry: tuple[jax.Array, jax.Array, jax.Array], gain: jax.Array) -> tuple[tuple, None]:
    wave, sin_k, cos_k = carry
    wave = wave + between(gain.real) * sin_k + between(gain.imag) * cos_k
    return (wave, sin_k * cos + cos_k * sin, cos_k * cos - sin_k * sin), None

  (wave, _, _), _ = jax.lax.scan(add, (jnp.zeros(phase.shape), sin, cos), gain.T)
  return wave.ravel()
