"""The accuracy of a classifier against the share of examples that it does not reject."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gen_jax.plots.canvas import COLORS, INK, new_figure, plain_axes

if TYPE_CHECKING:
  from matplotlib.figure import Figure


def rejection_curve(shares: np.ndarray, accuracies: np.ndarray, title: str, least: float = 0.2) -> Figure:
  """Accuracy [N] against the share kept [N], ascending, from the share `least` on; fewer examples say little."""
  figure = new_figure(5.6, 3.8)
  figure.set_layout_engine('constrained', w_pad=0.1, h_pad=0.1)
  axes = figure.subplots()
  shown = shares >= least
  axes.plot(100 * shares[shown], 100 * accuracies[shown], color=COLORS[0], linewidth=1.8)
  plain_axes(axes)
  axes.invert_xaxis()
  axes.set_xlabel('images kept, those of which it is surest, %', size=9, color=INK)
  axes.set_ylabel('of these told right, %', size=9, color=INK)
  axes.set_title(title, size=10.5, weight='bold', color=INK, loc='left')
  return figure
