"""Spectrograms of utterances: time to the right, low bands below, loud ones bright."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gen_jax.plots.canvas import FAINT, INK, new_figure
from gen_jax.plots.grids import LABEL_SIZE, TITLE_SIZE, wrap_title

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

RANGE = 60.0  # dB, from black to the brightest
BRIGHTEST = 0.99  # the share of all amplitudes that lie below it
DECIBELS = 20 / np.log(10)  # of a natural log of an amplitude
WIDTH, ROW, MARGIN = 9.6, 1.35, 0.15  # inches: of the figure, of a row with its name, around all


def spectrograms(rows: Sequence[tuple[str, Mapping[str, np.ndarray]]], seconds: float, title: str) -> Figure:
  """A figure with one row of spectrograms for each utterance, all of one scale of time and one of loudness.

  Args:
    rows: (name, {what it is: natural logs of amplitudes [T,bands]}) of each utterance; those of a column have one name.
    seconds: from a frame to the next.
    title: says what is seen; wraps.
  """
  columns = list(dict.fromkeys(name for _, row in rows for name in row))
  every = [frames for _, row in rows for frames in row.values()]
  loudest = float(np.quantile(np.concatenate([frames.ravel() for frames in every]), BRIGHTEST)) * DECIBELS
  longest = max(len(frames) for frames in every) * seconds
  lines = wrap_title(title, WIDTH - 2 * MARGIN)
  header, footer = MARGIN + 0.2 * len(lines) + 0.3, 0.45
  height = header + ROW * len(rows) + footer
  figure = new_figure(WIDTH, height)
  figure.text(
    MARGIN / WIDTH, 1 - 0.12 / height, '\n'.join(lines), size=TITLE_SIZE, color=INK, weight='bold', va='top',
    linespacing=1.25,
  )  # fmt: skip
  grid = figure.subplots(
    len(rows), len(columns), squeeze=False, sharex=True, sharey=True,
    gridspec_kw={
      'left': MARGIN / WIDTH, 'right': 1 - MARGIN / WIDTH, 'top': 1 - (header + 0.25) / height,
      'bottom': footer / height, 'wspace': 0.03, 'hspace': 0.3,
    },
  )  # fmt: skip
  for axes_of_row, (name, row) in zip(grid, rows, strict=True):
    axes_of_row[0].set_title(textwrap.shorten(name, 110, placeholder=' ...'), size=LABEL_SIZE, color=FAINT, loc='left')
    for axes, column in zip(axes_of_row, columns, strict=True):
      draw(axes, row.get(column), seconds, longest, loudest)
  for axes, column in zip(grid[0], columns, strict=True):
    place = axes.get_position()
    figure.text(place.x0, 1 - (header - 0.12) / height, column, size=LABEL_SIZE + 1, color=INK)
  for axes in grid[:-1].flat:
    axes.tick_params(bottom=False)
  grid[-1][0].set_xlabel('seconds', size=LABEL_SIZE, color=FAINT, loc='left')
  return figure


def draw(axes: Axes, frames: np.ndarray | None, seconds: float, longest: float, loudest: float) -> None:
  """One spectrogram; without frames an empty place."""
  axes.set_yticks([])
  axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=7)
  axes.spines[:].set_visible(False)
  if frames is None:
    axes.set_visible(False)
    return
  axes.imshow(
    frames.T * DECIBELS, origin='lower', aspect='auto', cmap='magma', vmin=loudest - RANGE, vmax=loudest,
    extent=(0, len(frames) * seconds, 0, 1), interpolation='nearest',
  )  # fmt: skip
  axes.set_xlim(0, longest)
