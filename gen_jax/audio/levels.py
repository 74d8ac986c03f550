"""How loud a wave is, and where it is silent. Waves are floats; levels are in dB, of which 0 is an RMS of 1."""

import numpy as np

LEVEL = -26.0  # dB of speech, as telephony has it (ITU-T P.56): its peaks are then below 1, nearly always
FRAME = 256  # samples, of which a level is measured
ACTIVE, SILENT = 40.0, 45.0  # dB below the loudest frame: still speech; silence
SECONDS, MARGIN = 0.01, 0.03  # s of a frame by which silence is found; s of it that are left


def frame_powers(wave: np.ndarray, size: int) -> np.ndarray:
  """The mean square of each frame of `size` samples, float64 [ceil(T/size)]; the last may be shorter."""
  starts = np.arange(0, len(wave), size)
  return np.add.reduceat(np.square(wave, dtype=np.float64), starts) / np.diff(np.append(starts, len(wave)))


def active_level(wave: np.ndarray) -> float:
  """The level in dB of the frames within 40 dB of the loudest; -inf of silence."""
  if not np.any(wave):
    return -np.inf
  powers = frame_powers(wave, FRAME)
  return float(10 * np.log10(powers[powers >= powers.max() * 10 ** (-ACTIVE / 10)].mean()))


def normalize_level(wave: np.ndarray, level: float = LEVEL) -> np.ndarray:
  """A wave float32 [T] scaled so that its `active_level` is `level` dB; silence stays silence.

  Nothing is clipped: peaks of more than 1 stay what they are, so whoever writes integers must see to them.
  """
  measured = active_level(wave)
  return np.float32(wave * 10 ** ((level - measured) / 20)) if np.isfinite(measured) else np.float32(wave)


def match_level(wave: np.ndarray, like: np.ndarray) -> np.ndarray:
  """A wave float32 [T] with the `active_level` of another; where either is silent, silence."""
  level = active_level(like)
  return normalize_level(wave, level) if np.isfinite(level) else np.zeros(len(wave), np.float32)


def trim_silence(wave: np.ndarray, rate: int) -> np.ndarray:
  """A wave [T] without the silence at its ends: frames of 10 ms 45 dB below the loudest, but for 30 ms of them.

  A wave of nothing but zeros stays as it is.
  """
  if not np.any(wave):
    return wave
  size, margin = max(1, round(SECONDS * rate)), round(MARGIN * rate)
  powers = frame_powers(wave, size)
  loud = np.flatnonzero(powers > powers.max() * 10 ** (-SILENT / 10))
  return wave[max(0, loud[0] * size - margin) : (loud[-1] + 1) * size + margin]
