"""Bands of the mel scale: filters, the logs of the amplitudes in them, and the way back to a spectrum.

The scale is Slaney's (1998): linear up to 1000 Hz, 3/200 mel a Hz, and above logarithmic, 27 mel for a factor of 6.4.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

LINEAR, STEP = 200 / 3, np.log(6.4) / 27  # Hz a mel below 1000 Hz; the log of the factor a mel above
FLOOR = 1e-5  # amplitudes below are taken for it; a full sine at 16 kHz has 11 at 300 Hz and 1 at 6 kHz, of 80 bands
ROUNDS = 32  # of the inversion


def hertz_to_mel(frequency: np.ndarray) -> np.ndarray:
  """Hz to mel."""
  frequency = np.asarray(frequency, np.float64)
  above = 15 + np.log(np.maximum(frequency, 1000) / 1000) / STEP
  return np.where(frequency < 1000, frequency / LINEAR, above)


def mel_to_hertz(mel: np.ndarray) -> np.ndarray:
  """The inverse of `hertz_to_mel`."""
  mel = np.asarray(mel, np.float64)
  return np.where(mel < 15, mel * LINEAR, 1000 * np.exp(STEP * (np.maximum(mel, 15) - 15)))


def band_edges(rate: int, bands: int) -> np.ndarray:
  """The frequencies [bands + 2] between 0 and rate / 2, evenly spaced in mel: band b peaks at the one after its own."""
  return mel_to_hertz(np.linspace(0, hertz_to_mel(rate / 2), bands + 2))


@functools.cache
def mel_filters(rate: int, size: int, bands: int) -> np.ndarray:
  """Triangles float32 [bands,size/2+1] between the `band_edges`, each of area 1 over Hz, as those of librosa."""
  edges, frequencies = band_edges(rate, bands), np.linspace(0, rate / 2, size // 2 + 1)
  rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
  falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
  triangles = np.maximum(0, np.minimum(rising, falling))
  return np.float32(triangles * (2 / (edges[2:] - edges[:-2]))[:, None])


def log_mel(magnitudes: jax.Array, filters: np.ndarray) -> jax.Array:
  """ln max(filters magnitudes, 1e-5), float32 [T,bands], of magnitudes [T,size/2+1]."""
  return jnp.log(jnp.maximum(magnitudes @ filters.T, FLOOR))


@jax.jit
def invert_log_mel(frames: jax.Array, filters: jax.Array) -> jax.Array:
  """Magnitudes [T,size/2+1], none negative, whose `log_mel` is near `frames` [T,bands].

  Begins with each frequency at the level of the bands around it, and corrects it by Lee and Seung's (2001)
  multiplicative steps for the Kullback-Leibler divergence, which keep smooth what begins smooth.
  """
  bands = jnp.exp(frames)
  weight = filters.sum(0, keepdims=True) + 1e-12
  spread = lambda ratio: (ratio @ filters) / weight
  start = spread(bands / (filters.sum(1)[None] + 1e-12)) + 1e-8
  correct = lambda _, x: x * spread(bands / (x @ filters.T + 1e-12))
  return jax.lax.fori_loop(0, ROUNDS, correct, start)
