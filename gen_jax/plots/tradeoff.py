"""Two measures against each other along a strength, such as class accuracy against distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gen_jax.plots.canvas import COLORS, FAINT, INK, new_figure, plain_axes

if TYPE_CHECKING:
  from matplotlib.figure import Figure


def tradeoff(
  x: Sequence[float],
  y: Sequence[float],
  names: Sequence[str],
  chosen: int,
  limit: float,
  x_label: str,
  y_label: str,
  limit_label: str,
) -> Figure:
  """Points joined in their order, each with its name, the chosen one filled; a line where x is at its `limit`."""
  figure = new_figure(5.6, 4.0)
  figure.set_layout_engine('constrained', w_pad=0.1, h_pad=0.1)
  axes = figure.subplots()
  axes.plot(x, y, color=COLORS[0], linewidth=1.4, marker='o', markersize=5, markerfacecolor='white')
  axes.plot(x[chosen], y[chosen], color=COLORS[1], marker='o', markersize=7)
  axes.axvline(limit, color=FAINT, linewidth=1, linestyle='--')
  axes.annotate(
    limit_label, (limit, 0.02), xycoords=('data', 'axes fraction'), xytext=(-4, 0), textcoords='offset points',
    rotation=90, ha='right', va='bottom', size=8, color=FAINT,
  )  # fmt: skip
  for name, left, bottom in zip(names, x, y, strict=True):
    axes.annotate(name, (left, bottom), xytext=(6, -10), textcoords='offset points', size=8, color=INK)
  plain_axes(axes)
  axes.set_xscale('log')
  axes.set_xlabel(x_label, size=9, color=INK)
  axes.set_ylabel(y_label, size=9, color=INK)
  return figure
