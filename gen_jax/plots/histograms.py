"""Histograms of one score, of several groups on one axis."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gen_jax.plots.canvas import COLORS, INK, new_figure, plain_axes

if TYPE_CHECKING:
  from matplotlib.figure import Figure

BINS = 60
LETTERS = 11  # of a title, to an inch
TAILS = 0.002  # of all values, cut off at either side


def overlaid_histograms(panels: Mapping[str, Mapping[str, np.ndarray]], title: str, columns: int = 3) -> Figure:
  """A panel for each score, {panel: {group: values [N]}}: how its values lie in each group, the first group filled."""
  rows = math.ceil(len(panels) / columns)
  columns = min(columns, len(panels))
  width = 3.4 * columns
  figure = new_figure(width, 2.2 * rows + 0.9)
  figure.set_layout_engine('constrained', w_pad=0.08, h_pad=0.08)
  figure.suptitle(textwrap.fill(title, int(LETTERS * width)), size=10.5, weight='bold', color=INK, x=0.02, ha='left')
  all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
  for axes, (name, groups) in zip(all_axes, panels.items(), strict=False):
    values = np.concatenate(list(groups.values()))
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [TAILS, 1 - TAILS])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    for place, (group, of_group) in enumerate(groups.items()):
      weights = np.full(len(of_group), 1 / len(of_group))
      kind = {'histtype': 'stepfilled', 'alpha': 0.35} if place == 0 else {'histtype': 'step', 'linewidth': 1.3}
      color = COLORS[place % len(COLORS)]
      axes.hist(np.clip(of_group, edges[0], edges[-1]), edges, weights=weights, color=color, label=group, **kind)
    plain_axes(axes)
    axes.set_yticks([])
    axes.set_title(name, size=9, color=INK, loc='left')
    axes.tick_params(labelsize=7)
  for axes in all_axes[len(panels) :]:
    axes.set_axis_off()
  handles, labels = all_axes[0].get_legend_handles_labels()
  figure.legend(handles, labels, loc='outside lower center', ncols=4, fontsize=8, frameon=False, labelcolor=INK)
  return figure
