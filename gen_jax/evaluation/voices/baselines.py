"""Translations of frames from one voice to another that need no model, and stand in every table.

A baseline is fitted to all training frames of both voices: `fit(given, wanted) -> (frames -> frames)`, natural logs of
amplitudes, float [T,bands] each.
"""

from collections.abc import Callable

import numpy as np

from gen_jax.evaluation.translation.baselines import transport

Translate = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray], Translate]

SHRUNK = 0.7  # of the distance from the mean is left
RIDGE = 1e-4  # added to variances, so that bands in which nothing is recorded do not count


def untranslated(given: np.ndarray, wanted: np.ndarray) -> Translate:
  """Frames as they are."""
  del given, wanted
  return lambda frames: frames


def mean_shift(given: np.ndarray, wanted: np.ndarray) -> Translate:
  """Each band moved by a number, to the mean that it has in the wanted voice: a gain that is the same in all frames.

  Not all of it is heard as a filter: waves are made of bands anew, and low ones tell harmonics apart.
  """
  shift = wanted.mean(0) - given.mean(0)
  return lambda frames: frames + shift


def mean_and_deviation(given: np.ndarray, wanted: np.ndarray) -> Translate:
  """Each band brought to the mean and deviation that it has in the wanted voice: what standardizing alone does."""
  gain = np.sqrt((wanted.var(0) + RIDGE) / (given.var(0) + RIDGE))
  return lambda frames: wanted.mean(0) + (frames - given.mean(0)) * gain


def gaussian_transport(given: np.ndarray, wanted: np.ndarray) -> Translate:
  """Frames brought to the mean and covariance of the wanted voice, by the optimal transport of Gaussians.

  m_w + (x - m_g) T with T = S_g^(-1/2) (S_g^(1/2) S_w S_g^(1/2))^(1/2) S_g^(-1/2) (Dowson and Landau, 1982).
  """
  ridge = RIDGE * np.eye(given.shape[1])
  matrix = transport(*(np.cov(frames, rowvar=False) + ridge for frames in (given, wanted)))
  return lambda frames: wanted.mean(0) + (frames - given.mean(0)) @ matrix


def shrunk_transport(given: np.ndarray, wanted: np.ndarray) -> Translate:
  """The Gaussian transport, drawn towards the wanted voice's mean: flat speech, which is nearer to any other."""
  transport_of, mean = gaussian_transport(given, wanted), wanted.mean(0)
  return lambda frames: mean + SHRUNK * (transport_of(frames) - mean)


BASELINES: dict[str, Fit] = {
  'untranslated': untranslated,
  'mean-shift': mean_shift,
  'mean-and-deviation': mean_and_deviation,
  'gaussian-transport': gaussian_transport,
  'shrunk-transport': shrunk_transport,
}


def fit_baselines(given: np.ndarray, wanted: np.ndarray) -> dict[str, Translate]:
  """{name: translation} of all baselines, fitted to training frames [N,bands] of both voices."""
  given, wanted = given.astype(np.float64), wanted.astype(np.float64)
  return {name: fit(given, wanted) for name, fit in BASELINES.items()}
