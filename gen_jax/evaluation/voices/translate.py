"""Whole utterances, translated by a model of windows: overlapping windows of one length, cross-faded."""

import math
from collections.abc import Sequence

import numpy as np

from gen_jax.data.side_format import OTHER
from gen_jax.evaluation.bound import BoundModel

BATCH = 32  # windows at a time; the last batch is filled up to a power of two, so that few programs are compiled


def translate_frames(model: BoundModel, frames: np.ndarray, to: str, window: int) -> np.ndarray:
  """Frames [T,bands] standardized by the given voice, as the voice of the side `to` says them, standardized by it.

  Of any T. The model sees windows of `window` frames, each half a window after the one before, the utterance mirrored
  at its ends; what it makes of them is averaged with weights sin^2, which vanish at the borders of a window. The noise
  of a window is that of its place in the utterance.
  """
  (made,) = translate_utterances(model, [frames], to, window)
  return made


def translate_utterances(model: BoundModel, utterances: Sequence[np.ndarray], to: str, window: int) -> list[np.ndarray]:
  """`translate_frames` of each of several utterances, whose windows share batches."""
  parts = [cut_windows(frames, window) for frames in utterances]
  rows = np.concatenate([np.arange(len(part), dtype=np.int32) for part in parts])
  made = translate_windows(model, np.concatenate(parts), rows, to)
  ends = np.cumsum([len(part) for part in parts])[:-1]
  lengths = map(len, utterances)
  return [join_windows(part, length) for part, length in zip(np.split(made, ends), lengths, strict=True)]


def translate_windows(model: BoundModel, windows: np.ndarray, rows: np.ndarray, to: str) -> np.ndarray:
  """Windows [N,window,bands] as the model translates them, in batches of few sizes."""
  translate, made = getattr(model, f'translate_to_{to}'), []
  for start in range(0, len(windows), BATCH):
    part = windows[start : start + BATCH]
    filled = np.resize(np.arange(len(part)), 2 ** math.ceil(math.log2(len(part))))
    batch = {f'image_{OTHER[to]}': np.float32(part[filled, ..., None]), 'row': rows[start : start + BATCH][filled]}
    made.append(np.asarray(translate(batch), np.float32)[: len(part), ..., 0])
  return np.concatenate(made)


def hop_of(window: int) -> int:
  """Frames from a window to the next."""
  return max(1, window // 2)


def cut_windows(frames: np.ndarray, window: int) -> np.ndarray:
  """Windows [N,window,bands] of frames [T,bands], so that every frame lies in two at least."""
  hop, length = hop_of(window), len(frames)
  number = math.ceil(length / hop) + 1
  after = (number - 1) * hop + window - hop - length
  padded = np.pad(frames, [(hop, after), (0, 0)], mode='symmetric')
  return np.stack([padded[k * hop : k * hop + window] for k in range(number)])


def join_windows(windows: np.ndarray, length: int) -> np.ndarray:
  """Frames [length,bands] of windows [N,window,bands] as `cut_windows` cuts them: their means, weighted by sin^2."""
  number, window, bands = windows.shape
  hop = hop_of(window)
  weights = np.sin(np.pi * (np.arange(window) + 0.5) / window)[:, None] ** 2
  total = np.zeros(((number - 1) * hop + window, bands))
  weight = np.zeros((len(total), 1))
  for k, made in enumerate(windows):
    total[k * hop : k * hop + window] += weights * made
    weight[k * hop : k * hop + window] += weights
  return (total / weight)[hop : hop + length].astype(np.float32)
