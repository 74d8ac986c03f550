"""WORLD (Morise, Yokomori and Ozawa, 2016): speech as pitch, smooth envelope and noise, and back, by pyworld.

WORLD is meant for frames of 5 ms; it takes those of any hop, of which it interpolates what lies between.
"""

from types import ModuleType

import numpy as np

from gen_jax.audio.mel import FLOOR, band_edges, hertz_to_mel, mel_filters
from gen_jax.audio.stft import count_frames, of_length
from gen_jax.errors import UserError

PITCH_STEP = 0.005  # s: contours of DIO may not jump from a frame to the next, which presumes short ones
LEAST_RATE = 16_000  # Hz, from which D4C measures noise: it looks at bands around 3 and at up to 7.9 kHz
LOWEST, HIGHEST = 1e-3, 1 - 1e-12  # aperiodicity at 0 Hz, and where all is noise


def pyworld() -> ModuleType:
  """The package, which few need."""
  try:
    import pyworld
  except ImportError as error:
    raise UserError("features='world' needs pyworld: pip install pyworld-prebuilt") from error
  return pyworld


def estimate_pitch(wave: np.ndarray, rate: int, hop: int) -> np.ndarray:
  """ln Hz of a wave [T], float64 [1+ceil(T/hop)], NaN where it is unvoiced: DIO, refined by StoneMask; 71 to 800 Hz.

  Harvest takes twenty times as long; of the frames that it and D4C find voiced, DIO finds nine in ten.
  """
  return as_log(_pitch(_filled_up(wave, hop), len(wave), rate, hop)[0])


def as_log(hertz: np.ndarray) -> np.ndarray:
  """ln Hz, NaN for 0."""
  return np.log(np.where(hertz > 0, hertz, np.nan))


def analyze_world(
  wave: np.ndarray, rate: int, size: int, hop: int, bands: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """What WORLD hears in a wave [T], in frames = 1 + ceil(T/hop).

  Returns:
    ln amplitudes of the smooth envelope, the mean in each mel band, float32 [frames,bands], 1e-5 at the least;
    ln Hz of the pitch, float64 [frames], NaN where unvoiced;
    how noisy bands of 3 kHz are, in dB, float64 [frames,...], of no bands where the rate is below 16 kHz.
  """
  world, filled = pyworld(), _filled_up(wave, hop)
  pitch, times = _pitch(filled, len(wave), rate, hop)
  powers = world.cheaptrick(filled, pitch, times, rate, fft_size=size)
  filters = mel_filters(rate, size, bands).astype(np.float64)
  amplitudes = np.sqrt(powers) @ (filters / filters.sum(1, keepdims=True)).T
  noise = np.zeros((len(pitch), 0))
  if rate >= LEAST_RATE:
    # a threshold of 0: what is voiced the pitch says
    noise = world.code_aperiodicity(world.d4c(filled, pitch, times, rate, threshold=0.0, fft_size=size), rate)
  return np.float32(np.log(np.maximum(amplitudes, FLOOR))), as_log(pitch), noise


def synthesize_world(
  log_bands: np.ndarray, log_pitch: np.ndarray, noise: np.ndarray, rate: int, size: int, hop: int, length: int
) -> np.ndarray:
  """The wave float32 [length] of what `analyze_world` returns."""
  world = pyworld()
  pitch = np.exp(np.nan_to_num(log_pitch, nan=-np.inf))
  powers = np.exp(2 * np.float64(smooth_envelope(log_bands, rate, size)), order='C')
  wave = world.synthesize(pitch, powers, aperiodicity(noise, pitch > 0, rate, size), rate, 1000 * hop / rate)
  return np.float32(of_length(wave, length))


def smooth_envelope(log_bands: np.ndarray, rate: int, size: int) -> np.ndarray:
  """ln amplitudes float64 [T,size/2+1] of those in mel bands [T,bands]: linear in mel between the bands' peaks."""
  bands = log_bands.shape[1]
  peaks = hertz_to_mel(band_edges(rate, bands)[1:-1])
  at = np.interp(hertz_to_mel(np.linspace(0, rate / 2, size // 2 + 1)), peaks, np.arange(bands))  # held beyond the ends
  below = np.minimum(at.astype(int), bands - 2)
  part = at - below
  return log_bands[:, below] * (1 - part) + log_bands[:, below + 1] * part


def aperiodicity(noise: np.ndarray, voiced: np.ndarray, rate: int, size: int) -> np.ndarray:
  """The amplitude of noise over that of all, [T,size/2+1]; it rises from 0 Hz to rate / 2 where nothing is known."""
  if noise.shape[1]:
    whole = pyworld().decode_aperiodicity(np.ascontiguousarray(noise, np.float64), rate, size)
  else:
    whole = np.broadcast_to(LOWEST ** np.linspace(1, 0, size // 2 + 1), (len(voiced), size // 2 + 1))
  return np.where(voiced[:, None], np.minimum(whole, HIGHEST), HIGHEST)


def _pitch(filled: np.ndarray, length: int, rate: int, hop: int) -> tuple[np.ndarray, np.ndarray]:
  """Hz [frames], 0 where unvoiced, and the seconds at which the frames stand."""
  world, finer = pyworld(), -(-hop // round(PITCH_STEP * rate))  # frames of DIO a frame
  hertz, times = world.dio(filled, rate, frame_period=1000 * hop / finer / rate)
  hertz, times = (np.ascontiguousarray(of_all[::finer][: count_frames(length, hop)]) for of_all in (hertz, times))
  return world.stonemask(filled, hertz, times, rate), times


def _filled_up(wave: np.ndarray, hop: int) -> np.ndarray:
  """float64, with zeros to half a hop after its last frame, so that rounding loses no frame."""
  return of_length(np.float64(wave), (count_frames(len(wave), hop) - 1) * hop + hop // 2)
