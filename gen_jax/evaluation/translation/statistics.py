"""Intervals of 95 % over images."""

from typing import NamedTuple

import numpy as np
import scipy.stats

from gen_jax.errors import UserError

CONFIDENCE = 0.95


class Interval(NamedTuple):
  """A value, and where it may lie had other images been drawn."""

  value: float
  low: float
  high: float


def mean_interval(values: np.ndarray) -> Interval:
  """The mean of values [N], one an image, +- t s / sqrt(N) with Student's t of N - 1 degrees of freedom.

  Of the differences of two methods on the same images it says whether one is better. UserError for fewer than two
  values, or values that are not finite.
  """
  values = np.asarray(values, np.float64)
  if len(values) < 2 or not np.isfinite(values).all():
    raise UserError('an interval needs the values of two images at least, all of them finite')
  mean, t = values.mean(), scipy.stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
  half = t * values.std(ddof=1) / np.sqrt(len(values))
  return Interval(float(mean), float(mean - half), float(mean + half))


def resampled_counts(number: int, resamples: int, seed: int) -> np.ndarray:
  """How often each of `number` images is drawn, with replacement, in each bootstrap sample: int [resamples,number]."""
  return np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), resamples)


def percentile_interval(value: float, resampled: np.ndarray) -> Interval:
  """The middle 95 % of a statistic in the bootstrap samples [R] (Efron, 1979), beside its value on all images."""
  low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
  return Interval(float(value), float(low), float(high))
