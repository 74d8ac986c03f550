"""Codes and factors as the metrics take them: checked, drawn at random, cut into bins."""

from typing import NamedTuple

import numpy as np

from gen_jax.errors import UserError

BINS = 20
TRAIN, TEST = 10_000, 5_000  # points, of most published scores


class Points(NamedTuple):
  """Rows of codes and of the factors that made them."""

  codes: np.ndarray  # float64 [n,D]
  factors: np.ndarray  # integers 0, 1, ... for the values that there are, [n,K]


def finite_codes(codes: np.ndarray) -> np.ndarray:
  """Codes as float64 [N,D]. UserError where they are no matrix or not finite."""
  codes = np.asarray(codes, np.float64)
  if codes.ndim != 2 or not codes.size:
    raise UserError(f'codes must have the shape [N, D]; these have {list(codes.shape)}')
  if not np.isfinite(codes).all():
    bad = sorted({int(j) for j in np.argwhere(~np.isfinite(codes))[:, 1]})
    raise UserError(f'codes must be finite; latents {bad} are not')
  return codes


def points_of(codes: np.ndarray, factors: np.ndarray) -> Points:
  """All rows. UserError where codes or factors are misshapen, not finite, or a factor has one value alone."""
  codes, factors = finite_codes(codes), np.asarray(factors)
  if factors.ndim != 2 or len(factors) != len(codes) or not factors.size:
    raise UserError(f'factors must have the shape [{len(codes)}, K], like codes; these have {list(factors.shape)}')
  if not np.issubdtype(factors.dtype, np.integer):
    raise UserError(f'factors must be integers; these are {factors.dtype}')
  columns = [np.unique(column, return_inverse=True)[1] for column in factors.T]
  if single := [k for k, column in enumerate(columns) if not column.any()]:
    raise UserError(f'factors {single} have one value alone: leave them out')
  return Points(codes, np.stack(columns, axis=1))


def draw_subsets(points: Points, counts: tuple[int | None, ...], usual: tuple[int, ...], seed: int) -> list[Points]:
  """Disjoint sets of rows, drawn with `seed`: as many as `counts` says, None for the `usual` number.

  Where the usual numbers are not to be had, what is left is shared out in their proportion. UserError where fewer are
  there than asked for, or a factor has one value alone in the first set, from which is learned.
  """
  available, requested = len(points.codes), sum(count for count in counts if count is not None)
  free = sum(n for count, n in zip(counts, usual, strict=True) if count is None)
  share = min(1.0, (available - requested) / free) if free else 1.0
  wanted = [int(share * n) if count is None else count for count, n in zip(counts, usual, strict=True)]
  if min(wanted) < 1 or sum(wanted) > available:
    raise UserError(f'{requested} points are asked for and {available} are there: ask for fewer, of each at least 1')
  rows = np.random.default_rng(seed).permutation(available)
  ends = np.cumsum(wanted)
  parts = [Points(*(x[rows[end - n : end]] for x in points)) for n, end in zip(wanted, ends, strict=True)]
  if alone := np.flatnonzero(np.ptp(parts[0].factors, axis=0) == 0).tolist():
    raise UserError(f'factors {alone} have one value alone among the {wanted[0]} points drawn: give more codes')
  return parts


def bin_codes(codes: np.ndarray, bins: int = BINS) -> np.ndarray:
  """The bin 0 ... bins - 1 of each code [N,D], of equal width from a latent's least to its largest value.

  All codes of a constant latent are in one bin. UserError where there are fewer than two.
  """
  if bins < 2:
    raise UserError(f'bins={bins}: at least 2 are needed')
  edges = np.linspace(codes.min(0), codes.max(0), bins + 1)[1:-1]  # an edge belongs to the bin above it
  return np.stack([np.searchsorted(e, z, side='right') for e, z in zip(edges.T, codes.T, strict=True)], axis=1)
