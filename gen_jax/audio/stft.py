"""The short-time Fourier transform of a wave, and its inverse.

Frame t is the Fourier transform of the wave around sample t hop, under a periodic Hann window; beyond its ends the
wave is 0. A wave of T samples has 1 + ceil(T / hop) frames, so that each sample lies under the middle of some window.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np


def count_frames(length: int, hop: int) -> int:
  """The number of frames of a wave of `length` samples."""
  return 1 + -(-length // hop)


def of_length(array: np.ndarray, length: int) -> np.ndarray:
  """The first rows of an array [T,...], or zeros behind it: [length,...]."""
  return np.pad(array[:length], [(0, max(0, length - len(array))), *[(0, 0)] * (array.ndim - 1)])


def hann(size: int) -> np.ndarray:
  """The periodic Hann window sin^2(pi n / size), float32 [size]; its shifts by size / 4 add up to 2."""
  return np.float32(np.sin(np.pi * np.arange(size) / size) ** 2)


@functools.partial(jax.jit, static_argnums=(1, 2))
def stft(wave: jax.Array, size: int, hop: int) -> jax.Array:
  """The spectrum complex64 [frames,size/2+1] of a wave [T].

  sum_n wave[t hop + n - size / 2] hann[n] e^(-2 pi i k n / size), n = 0 ... size - 1; a frame's phase is thus that at
  its first sample, as that of scipy.fft.rfft.
  """
  frames = count_frames(len(wave), hop)
  padded = jnp.pad(wave, (size // 2, (frames - 1) * hop + size // 2 - len(wave)))
  places = hop * np.arange(frames)[:, None] + np.arange(size)
  return jnp.fft.rfft(padded[places] * hann(size)[None])


@functools.partial(jax.jit, static_argnums=(1, 2))
def istft(spectrum: jax.Array, hop: int, length: int) -> jax.Array:
  """The wave float32 [length] whose spectrum is nearest to the one given, [frames,size/2+1], in squared distance.

  sum_t w(n - t hop) x_t(n - t hop) / sum_t w(n - t hop)^2 (Griffin and Lim, 1984, eq. 6), the inverse of `stft`.
  """
  frames, size = len(spectrum), 2 * (spectrum.shape[1] - 1)
  window = hann(size)
  pieces = jnp.fft.irfft(spectrum, size) * window[None]
  total = overlap_add(pieces, hop)
  weight = overlap_add(jnp.broadcast_to(window**2, (frames, size)), hop)
  wave = total / jnp.maximum(weight, 1e-8)
  wave = wave[size // 2 :][:length]
  return jnp.pad(wave, (0, length - len(wave)))


def overlap_add(pieces: jax.Array, hop: int) -> jax.Array:
  """The sum of pieces [frames,size], each `hop` samples after the one before: [(frames - 1) hop + size]."""
  frames, size = pieces.shape
  parts = -(-size // hop)
  pieces = jnp.pad(pieces, ((0, 0), (0, parts * hop - size))).reshape(frames, parts, hop)
  total = jnp.zeros((frames + parts - 1, hop), pieces.dtype)
  for part in range(parts):
    total = total.at[part : part + frames].add(pieces[:, part])
  return total.reshape(-1)[: (frames - 1) * hop + size]
