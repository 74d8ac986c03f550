"""What an utterance says and how, apart from who says it: cepstra less the speaker, loudness and pitch as they move."""

from collections.abc import Sequence

import numpy as np

from gen_jax.audio.alignment import bucket_of
from gen_jax.audio.cepstra import cepstra, mel_cepstral_distortions
from gen_jax.audio.levels import ACTIVE as SILENT

TOGETHER = 32  # pairs of utterances that are aligned at once
CELLS = TOGETHER * 640**2  # of their distances; of utterances longer than 640 frames fewer are aligned at once
CONTENT = 8  # cepstra of what is said; higher ones, and deviations of 1, only make other sentences more alike
OTHERS = 7  # other sentences beside which a reading is recognized
LEAST = 1e-6  # deviation of what does not vary


def aligned_distances(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
  """The mean distance in dB [N] of the cepstra [T,K] of each pair of utterances, along their warping path."""
  lengths = np.array([bucket_of(pair) for pair in zip(first, second, strict=True)])
  found, order = np.zeros(len(lengths)), np.argsort(-lengths, kind='stable')  # those of one length go together
  while len(order):
    number = int(np.clip(CELLS // lengths[order[0]] ** 2, 1, TOGETHER))
    part, order = order[:number], order[number:]
    found[part] = mel_cepstral_distortions([first[k] for k in part], [second[k] for k in part])
  return found


def content(frames: np.ndarray) -> np.ndarray:
  """c1 to c8 [T,8] of log amplitudes [T,bands], less their means over the utterance, which a filter changes."""
  found = cepstra(frames, CONTENT)
  return found - found.mean(0)


def content_costs(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
  """How far in dB what is said in each pair of utterances is apart, [N]: their `content` along the warping path."""
  return aligned_distances([*map(content, first)], [*map(content, second)])


def reading_costs(made: Sequence[np.ndarray], readings: Sequence[np.ndarray]) -> np.ndarray:
  """`content_costs` [N,1+others] of utterances beside the readings of their sentences, then of the next ones' in turn.

  Of N sentences, seven others or all where there are fewer.
  """
  number = len(readings)
  turned = lambda k: [readings[(i + k) % number] for i in range(number)]
  return np.stack([content_costs(made, turned(k)) for k in range(min(OTHERS + 1, number))], axis=1)


def loudness(frames: np.ndarray) -> np.ndarray:
  """dB [T] of the power of log amplitudes [T,bands], up to a constant."""
  return 10 * np.log10(np.exp(2 * np.float64(frames)).sum(1))


def spoken(frames: np.ndarray) -> slice:
  """Which of the frames of a recording are left without those before and behind that are 40 dB below the loudest."""
  levels = loudness(frames)
  loud = np.flatnonzero(levels > levels.max() - SILENT)
  return slice(loud[0], loud[-1] + 1)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
  """Pearson's, of two contours [T], where both are finite: 0 where one does not move, NaN of fewer than 3 frames."""
  known = np.isfinite(a) & np.isfinite(b)
  if known.sum() < 3:
    return float('nan')
  a, b = a[known], b[known]
  return float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > LEAST else 0.0


def mean_correlation(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> float:
  """The mean over pairs of contours that have one; NaN where none has."""
  found = np.array([correlation(a, b) for a, b in zip(first, second, strict=True)])
  return float(found[np.isfinite(found)].mean()) if np.isfinite(found).any() else float('nan')
