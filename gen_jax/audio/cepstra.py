"""Mel-cepstra, the smooth shape of a spectrum in a few numbers, and the distortion between two readings by them.

Numbers of other recipes (another order, a bilinear warp, c0 included, without warping of time) are not comparable.
"""

from collections.abc import Sequence

import numpy as np

from gen_jax.audio.alignment import warp_each
from gen_jax.errors import UserError

COEFFICIENTS = 13
DECIBELS = 10 / np.log(10) * np.sqrt(2)  # of a distance 1 between cepstra: 6.1419


def cepstra(log_mel: np.ndarray, coefficients: int = COEFFICIENTS) -> np.ndarray:
  """c_d = (2 / N) sum_k log_mel_k cos(pi d (k + 1/2) / N), d = 1 ... coefficients, float32 [T,coefficients].

  Of natural logs of amplitudes in N mel bands, [T,N]: the orthonormal DCT-II times sqrt(2 / N), without c0, the level,
  so that ln |H| = c0 / 2 + sum_d c_d cos(pi d (k + 1/2) / N), as cepstra of the literature are scaled.
  """
  bands = log_mel.shape[-1]
  if coefficients >= bands:
    raise UserError(f'{coefficients} cepstra of {bands} mel bands: there are {bands - 1}; take more bands')
  cosines = np.cos(np.pi / bands * (np.arange(bands)[:, None] + 0.5) * np.arange(1, coefficients + 1))
  return np.float32(log_mel @ (2 / bands * cosines))


def mel_cepstral_distortion(first: np.ndarray, second: np.ndarray) -> float:
  """(10 / ln 10) sqrt(2) mean ||c - c'|| in dB, along the path of dynamic time warping of cepstra [T,K] and [T',K]."""
  return float(mel_cepstral_distortions([first], [second])[0])


def mel_cepstral_distortions(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
  """`mel_cepstral_distortion` of each of B pairs, [B]."""
  return DECIBELS * warp_each(first, second).mean
