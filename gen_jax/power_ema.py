"""Averages of the parameters whose width is chosen after training (Karras et al., 2024, arXiv 2312.02696, section 3).

After t steps such an average weighs the parameters after step i as the profile p_t(x) = (g + 1) x^g / t^(g + 1), x in
[0, t], does between i - 1 and i. Its width, the deviation of p_t relative to t, stays the same however long the run is.
Averages of two widths, kept at some steps, are a basis of which those of other widths are combined.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.errors import UserError

WIDEST = 0.28  # the mean of all steps, g = 0, has 1 / sqrt(12)
EXPLAINED = 1e-13  # of the profiles' inner products, scaled to 1: what is below is their rounding


class Combination(NamedTuple):
  """An average of any width as a sum of others."""

  coefficients: np.ndarray  # float64 [steps, widths], of sum 1
  error: float  # ||profile of the sum - wanted profile|| / ||wanted profile||


def name_of(width: float) -> str:
  """The name of an average of this width among the others: 'width_0_05', a key without a point."""
  return f'width_{float(width)}'.replace('.', '_')


def must_be_width(value: Any) -> str | None:
  """A width that an average can have: in (0, 0.28), so that later steps weigh more than earlier ones."""
  is_number = isinstance(value, int | float) and not isinstance(value, bool)
  return None if is_number and 0 < value < WIDEST else f'must lie in (0, {WIDEST}), a share of the steps'


def must_be_widths(value: Any) -> str | None:
  """Widths, no two of them alike; or none."""
  if not isinstance(value, tuple):
    return 'must be widths, such as (0.05, 0.1)'
  if line := next(filter(None, map(must_be_width, value)), None):
    return line
  return None if len(set(value)) == len(value) else 'no two may be alike'


def problems(config: Any) -> Iterator[str]:
  """A line for whatever is asked of these averages and cannot be."""
  width = config.ema_width
  if config.snapshots and len(config.ema_widths) < 2:
    yield f'config.snapshots={config.snapshots}: needs at least two config.ema_widths, such as (0.05, 0.1)'
  if clash := set(config.averages) & set(map(name_of, config.ema_widths)):
    yield f'config.averages.{min(clash)}: is that of config.ema_widths; name this one otherwise'
  if width and (line := must_be_width(width)):
    yield f'config.ema_width={width!r}: {line}'
  if width and config.evaluated_average:
    yield f'config.ema_width={width}: config.evaluated_average={config.evaluated_average!r} is another; set one of them'
  if width and not config.snapshots:
    yield f'config.ema_width={width}: this run keeps no snapshots: train with config.ema_widths and config.snapshots'


def decays(config: Any) -> dict[str, Callable[..., jax.Array]]:
  """{name: rule} of the averages of `config.ema_widths`, see `decay`. UserError where there is a problem."""
  for problem in problems(config):
    raise UserError(problem)
  return {name_of(width): functools.partial(decay, width=width) for width in config.ema_widths}


def width_of(gamma: float) -> float:
  """The deviation of p_t relative to t (equation 54): that of a beta distribution of gamma + 1 and 1."""
  return math.sqrt((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3)))


def gamma_of(width: float) -> float:
  """The exponent of the profile of this width: the largest root of (g + 2)^2 (g + 3) = (g + 1) / width^2."""
  square = width**-2
  roots = np.roots([1, 7, 16 - square, 12 - square])
  return float(roots.real[np.abs(roots.imag) < 1e-6 * np.abs(roots)].max())


def decay(step: jax.Array | int, born: int = 0, *, width: float) -> jax.Array:
  """(1 - 1 / t)^(g + 1), t = step - born + 1: 0 at the first, so that the initial values do not enter."""
  t = jnp.asarray(step - born + 1, float)
  return jnp.exp((gamma_of(width) + 1) * jnp.log1p(-1 / t))  # 1 - 1 / t would be rounded


def inner_products(g: np.ndarray, s: np.ndarray, h: np.ndarray, t: np.ndarray) -> np.ndarray:
  """Integrals of p_s p_t of exponents g [A] at steps s [A] and h [B] at steps t [B] (appendix C), float64 [A,B]."""
  g, s, h, t = g[:, None], s[:, None].astype(np.float64), h[None], t[None].astype(np.float64)
  ratio = np.minimum(s, t) / np.maximum(s, t)
  return (g + 1) * (h + 1) * ratio ** np.where(s < t, h, g) / ((g + h + 1) * np.maximum(s, t))


def combination(widths: Sequence[float], steps: Sequence[int], width: float, step: int) -> Combination:
  """The average of `width` after `step` steps, of those of all `widths` after each of `steps`, by least squares."""
  gammas = np.tile([gamma_of(each) for each in widths], len(steps))
  times = np.repeat(np.asarray(steps), len(widths))
  wanted, end = np.array([gamma_of(width)]), np.array([step])
  products = inner_products(gammas, times, gammas, times)
  targets = inner_products(gammas, times, wanted, end)[:, 0]
  square = inner_products(wanted, end, wanted, end)[0, 0]
  scale = 1 / np.sqrt(np.diag(products))
  scaled = products * scale[:, None] * scale[None]
  x = scale * np.linalg.lstsq(scaled, scale * targets, rcond=EXPLAINED)[0]
  x /= x.sum()
  error = math.sqrt(max(0.0, x @ products @ x - 2 * x @ targets + square) / square)
  return Combination(x.reshape(len(steps), len(widths)), error)
