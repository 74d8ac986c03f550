"""Curves: metrics against the training step, and errors against the size of a code."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gen_jax.metrics import Explanation
from gen_jax.plots.canvas import COLORS, DPI, FAINT, INK, new_figure, plain_axes, png
from gen_jax.plots.grids import grid

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

SPLITS = ('train', 'validation', 'test')
PLAYER_METRICS = ('loss', 'grad_norm')  # the train step adds '<player>/<metric>' for each player of the model
MAX_LEGEND = 6  # with more, a legend hides the lines
WIDTH, HEIGHT = 4.0, 2.7  # inches of a panel
SMOOTHED = 200  # values above which a curve is drawn faint, under its running mean

Curve = tuple[np.ndarray, np.ndarray]  # steps [n], values [n]
Explained = Mapping[str, Explanation]  # of metrics, without the name of a split


def split_and_metric(name: str) -> tuple[str, str]:
  """'validation/elbo' -> validation, elbo; 'elbo' -> train, elbo."""
  first, _, rest = name.partition('/')
  return (first, rest) if first in SPLITS and rest else ('train', name)


def panel_and_curve(name: str, explained: Explained) -> tuple[str, str]:
  """'elbo' -> elbo, train; 'validation/elbo' -> elbo, validation; 'model/loss' -> loss, model.

  The entries of a family share a panel: 'validation/spearman_0' -> spearman_{factor}, validation shape; and so do
  those that are numbered and that nobody explains: 'validation/own_03' -> own, validation 3.
  """
  split, rest = split_and_metric(name)
  if rest in explained:
    return explained[rest].family, f'{split} {explained[rest].entry}'.rstrip()
  player, _, metric = rest.rpartition('/')
  if player and metric in PLAYER_METRICS:
    return metric, player if split == 'train' else f'{player}, {split}'
  vector, _, entry = rest.rpartition('_')
  return (vector, f'{split} {int(entry)}') if vector and entry.isdigit() else (rest, split)


def gather_curves(
  records: Sequence[Mapping], explained: Explained | None = None
) -> dict[str, dict[str, Curve]]:
  """{panel: {curve: (steps, values)}} from records with 'step' and numbers.

  Records may lack any name. A repeated step keeps its last value; what is not a number is passed over, and an
  infinity becomes NaN.
  """
  values: dict[tuple[str, str], dict[int, float]] = {}
  for record in (record for record in records if 'step' in record):
    for name, value in record.items():
      if name != 'step' and isinstance(value, int | float) and not isinstance(value, bool):
        points = values.setdefault(panel_and_curve(name, explained or {}), {})
        points[record['step']] = value if math.isfinite(value) else math.nan
  panels: dict[str, dict[str, Curve]] = {}
  for (panel, curve), points in values.items():
    steps = sorted(points)
    panels.setdefault(panel, {})[curve] = (np.array(steps), np.array([points[step] for step in steps]))
  return panels


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
  """The centered running mean over `window` values, fewer at the ends; NaN is left out."""
  finite, kernel = np.isfinite(values), np.ones(window)
  total = np.convolve(np.where(finite, values, 0), kernel, 'same')
  count = np.convolve(finite, kernel, 'same')
  return np.where(finite, total / np.maximum(count, 1), np.nan)


def wants_log(values: np.ndarray) -> bool:
  """Whether finite values are positive and span two decades, stray ones aside."""
  if values.size == 0 or values.min() <= 0:
    return False
  low, high = np.percentile(values, (2, 98))
  return high > 100 * low


def axis_limits(curves: Sequence[Curve]) -> tuple[float, float] | None:
  """Limits that leave out the first 3 % of the steps, where their values dwarf all others; else None."""
  steps, values = (np.concatenate(parts) for parts in zip(*curves, strict=True))
  late = values[np.isfinite(values) & (steps > steps.min() + 0.03 * np.ptp(steps))]
  if late.size < 5:
    return None
  low, high = late.min(), late.max()
  margin = 0.08 * (high - low)
  dwarfed = np.nanmax(values) - np.nanmin(values) > 5 * (high - low) > 0
  return (low - margin, high + margin) if dwarfed else None


def draw_panel(axes: Axes, title: str, unit: str, curves: Mapping[str, Curve]) -> None:
  """One metric: the raw values faint under their running mean where there are many."""
  finite = np.concatenate([values[np.isfinite(values)] for _, values in curves.values()])
  notes = []
  colors = itertools.cycle(COLORS)
  for curve, (steps, values) in sorted(curves.items(), key=curve_order):
    n, color = len(steps), next(colors)
    label = curve if len(curves) > 1 or curve != 'train' else None
    if n > SMOOTHED:
      axes.plot(steps, values, color=color, linewidth=0.6, alpha=0.3)
      axes.plot(steps, running_mean(values, n // 50), color=color, linewidth=1.6, label=label)
    else:
      axes.plot(
        steps, values, color=color, linewidth=1.6, label=label, marker='o' if n <= 40 else None, markersize=3
      )
    if not np.isfinite(values).all():
      notes.append(f'{curve}: not finite at step {steps[~np.isfinite(values)][0]:,}')
  if wants_log(finite):
    axes.set_yscale('log')
  elif finite.size and (bounds := axis_limits(list(curves.values()))):
    axes.set_ylim(bounds)
    notes.append('the first steps lie outside')
  plain_axes(axes)
  axes.set_title(title, size=10, weight='bold', color=INK, loc='left')
  axes.set_ylabel(unit, size=8, color=INK)
  axes.set_xlabel('step', size=8, color=INK)
  axes.xaxis.set_major_formatter(lambda x, _: f'{x / 1000:g}k' if abs(x) >= 1000 else f'{x:g}')
  axes.locator_params(axis='x', nbins=5)
  if len(curves) > MAX_LEGEND:
    notes.append(f'{len(curves)} lines, one an entry')
  elif axes.get_legend_handles_labels()[1]:
    axes.legend(fontsize=7.5, frameon=False, labelcolor=INK)
  if notes:
    axes.set_title('; '.join(notes), size=6.5, color=COLORS[1], loc='right')


def is_smoothed(records: Sequence[Mapping]) -> bool:
  """Whether a curve of the records is drawn as a running mean, over its faint values."""
  return any(len(steps) > SMOOTHED for curves in gather_curves(records).values() for steps, _ in curves.values())


def title_and_unit(panel: str, explained: Explained) -> tuple[str, str]:
  """What stands above a panel and beside its axis; no unit where nobody explains it."""
  known = explanation_of(panel, explained)
  return (known.label, known.metric.unit) if known else (panel.replace('_', ' '), '')


def caption_of(panel: str, explained: Explained) -> str:
  """What a panel's metric means; '' where nobody explains it."""
  known = explanation_of(panel, explained)
  if known is None:
    return ''
  return f'{known.beside.replace("_", " ")}: {known.metric.meaning}' if known.beside else known.metric.meaning


def explanation_of(panel: str, explained: Explained) -> Explanation | None:
  """That of the metrics of a panel."""
  return next((known for known in explained.values() if known.family == panel), None)


def curve_order(item: tuple[str, Curve]) -> tuple[int, str]:
  """Splits in their order, then players by name, so that train is always the first color."""
  curve = item[0]
  return SPLITS.index(curve) if curve in SPLITS else len(SPLITS), curve


def panel_figures(records: Sequence[Mapping], explained: Explained | None = None) -> dict[str, Figure]:
  """{panel: a figure of it} of all numbers in a run's records, sorted by name; a line a split, an entry or a player."""
  explained, figures = explained or {}, {}
  for panel, curves in sorted(gather_curves(records, explained).items()):
    figures[panel] = new_figure(WIDTH, HEIGHT)
    figures[panel].set_layout_engine('constrained', w_pad=0.1, h_pad=0.1)
    draw_panel(figures[panel].subplots(), *title_and_unit(panel, explained), curves)
  return figures


def tile_panels(panels: Sequence[bytes]) -> bytes:
  """PNGs of panels of one size, three a row, as one; where there are none, one that says so."""
  from PIL import Image

  if not panels:
    figure = new_figure(WIDTH, HEIGHT)
    figure.text(0.5, 0.5, 'no metrics were recorded', color=FAINT, ha='center')
    return png(figure)
  images = np.stack([np.asarray(Image.open(io.BytesIO(panel)).convert('RGB')) for panel in panels])
  buffer = io.BytesIO()
  Image.fromarray(grid(images, min(3, len(images)), frame=0)).save(buffer, 'png', dpi=(DPI, DPI))
  return buffer.getvalue()


def error_curve(
  lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
  *,
  x_label: str = 'latent size',
  y_label: str = 'squared error per pixel',
  title: str = 'Reconstruction error against the size of the code',
) -> Figure:
  """Error y against size x, a line for each {name: (x, y)}, sizes on a logarithmic axis of base 2."""
  figure = new_figure(6.4, 4.2)
  figure.set_layout_engine('constrained', w_pad=0.1, h_pad=0.1)
  axes = figure.subplots()
  errors = np.concatenate([np.asarray(y, float) for _, y in lines.values()])
  for (name, (x, y)), color, marker in zip(lines.items(), COLORS * 3, 'osD^vP' * 3, strict=False):
    axes.plot(x, y, color=color, marker=marker, markersize=5, linewidth=1.8, label=name)
  sizes = sorted({float(size) for x, _ in lines.values() for size in x})
  axes.set_xscale('log', base=2)
  axes.set_xticks(sizes, [f'{size:g}' for size in sizes])
  axes.set_xticks([], minor=True)
  if wants_log(errors[np.isfinite(errors)]):
    axes.set_yscale('log')
  else:
    axes.set_ylim(bottom=0)
  plain_axes(axes)
  axes.set_xlabel(x_label, size=9, color=INK)
  axes.set_ylabel(y_label, size=9, color=INK)
  axes.set_title(title, size=10.5, weight='bold', color=INK, loc='left')
  if len(lines) > 1:
    axes.legend(fontsize=8.5, frameon=False, labelcolor=INK)
  return figure
