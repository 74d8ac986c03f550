"""The plane of a two-dimensional latent space: where data fall, and what every point decodes to."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gen_jax.plots.canvas import CLASS_COLORS, FAINT, INK, new_figure, plain_axes
from gen_jax.plots.grids import grid

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure


class Plane(NamedTuple):
  """What `planes` shows of one model."""

  title: str
  codes: np.ndarray  # [N,2] of the test set
  labels: np.ndarray | None  # int [N]
  x: np.ndarray  # [n] ascending, values of z0 where the plane was decoded
  y: np.ndarray  # [m] ascending, values of z1
  decoded: np.ndarray  # uint8 [m,n,H,W,C] of `decode_plane`
  prior: bool = True  # whether p(z) = N(0, I); an autoencoder has none
  names: Sequence[str] = ()  # of the classes; their numbers where there are none


def prior_quantiles(n: int) -> np.ndarray:
  """Phi^-1((i + 1/2) / n) [n], equal steps of the prior's probability (Kingma & Welling, 2014, figure 4)."""
  return np.array([statistics.NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])


def code_range(codes: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
  """Equal steps x [n], y [n] over the middle 98 % of codes [N,2], for a model without a prior; around a single code."""
  low, high = np.percentile(codes, (1, 99), axis=0)
  low, high = np.where(high > low, low, low - 1), np.where(high > low, high, high + 1)
  return np.linspace(low[0], high[0], n), np.linspace(low[1], high[1], n)


def decode_plane(decode: Callable[[np.ndarray], np.ndarray], x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Decodes all z = (x[j], y[i]) -> uint8 [m,n,H,W,C]; x [n] to the right, y [m] upwards: row 0 is y[-1]."""
  first, second = np.meshgrid(x, y[::-1])
  images = np.asarray(decode(np.stack([first.ravel(), second.ravel()], axis=-1)))
  return images.reshape(len(y), len(x), *images.shape[1:])


def draw_codes(axes: Axes, plane: Plane) -> None:
  """Codes colored by label, the prior's circles of 1 and 2 sigma, the frame of the decoded region."""
  labels = np.zeros(len(plane.codes), int) if plane.labels is None else np.asarray(plane.labels)
  classes = np.unique(labels)
  many = len(classes) > len(CLASS_COLORS)
  if many:
    axes.scatter(*plane.codes.T, c=labels, s=4, alpha=0.5, linewidths=0, cmap='viridis', rasterized=True)
  else:
    colors = np.array(CLASS_COLORS)[np.searchsorted(classes, labels)]
    axes.scatter(*plane.codes.T, c=colors, s=4, alpha=0.5, linewidths=0)
  if len(classes) > 1 and not many:
    for label, color in zip(classes, CLASS_COLORS, strict=False):
      x, y = np.median(plane.codes[labels == label], axis=0)
      name = plane.names[label] if plane.names else str(label)
      outline = 'circle' if len(name) <= 2 else 'round'
      box = {'boxstyle': f'{outline},pad=0.2', 'facecolor': 'white', 'edgecolor': color, 'linewidth': 1.5}
      axes.text(x, y, name, size=8, weight='bold', color=INK, ha='center', va='center', bbox=box)
  angle = np.linspace(0, 2 * np.pi, 200)
  for radius in (1, 2) if plane.prior else ():
    axes.plot(radius * np.cos(angle), radius * np.sin(angle), color=INK, linewidth=1)
    box = {'boxstyle': 'round,pad=0.1', 'facecolor': 'white', 'edgecolor': 'none', 'alpha': 0.8}
    x = radius / np.sqrt(2)
    axes.text(x, -x, f'{radius}$\\sigma$', size=8, color=INK, ha='center', va='center', bbox=box, zorder=2.5)
  low1, high1, low2, high2 = plane.x[0], plane.x[-1], plane.y[0], plane.y[-1]
  axes.plot(
    [low1, high1, high1, low1, low1], [low2, low2, high2, high2, low2], '--', color=FAINT, linewidth=1
  )
  # a few stray codes must not shrink the cloud
  low, high = np.percentile(plane.codes, (0.2, 99.8), axis=0)
  circle = 2.0 if plane.prior else -np.inf
  low = np.minimum(np.minimum(low, (low1, low2)), -circle)
  high = np.maximum(np.maximum(high, (high1, high2)), circle)
  center, half = (low + high) / 2, 0.53 * (high - low).max()
  axes.set_xlim(center[0] - half, center[0] + half)
  axes.set_ylim(center[1] - half, center[1] + half)
  axes.set_box_aspect(1)
  plain_axes(axes)
  axes.set_xlabel('z0', size=9, color=INK)
  axes.set_ylabel('z1', size=9, color=INK)
  axes.set_title(plane.title, size=11, weight='bold', color=INK, loc='left')
  outside = np.mean(np.abs(plane.codes - center).max(axis=1) > half)
  if outside:
    note = f'{outside:.1%} of the codes lie outside'
    axes.text(0.99, 0.01, note, transform=axes.transAxes, size=7, color=FAINT, ha='right')


def draw_decoded(axes: Axes, plane: Plane) -> None:
  """The decoded plane, its ticks at latent values between the centers of images."""
  from matplotlib.ticker import MaxNLocator

  rows, columns, height, width, channels = plane.decoded.shape
  canvas = grid(plane.decoded.reshape(-1, height, width, channels), columns, frame=0)
  axes.imshow(
    canvas[..., 0] if channels == 1 else canvas, cmap='gray', vmin=0, vmax=255, interpolation='antialiased',
    extent=(0, columns, 0, rows), aspect='auto',
  )  # fmt: skip
  axes.set_box_aspect(1)
  for axis, values in ((axes.xaxis, plane.x), (axes.yaxis, plane.y)):
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(values[0], values[-1])
    ticks = ticks[(ticks >= values[0]) & (ticks <= values[-1])]
    axis.set_ticks(np.interp(ticks, values, np.arange(len(values)) + 0.5), [f'${tick:g}$' for tick in ticks])
  axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=8)
  axes.spines[:].set_visible(False)
  axes.set_xlabel('z0', size=9, color=INK)
  axes.set_ylabel('z1', size=9, color=INK)


def planes(models: Sequence[Plane], title: str = 'Codes of the test set, and the plane decoded') -> Figure:
  """Models side by side: above, codes colored by label; below, what the dashed frame decodes to."""
  figure = new_figure(0.3 + 4.6 * len(models), 9.4)
  figure.set_layout_engine('constrained', w_pad=0.1, h_pad=0.1)
  figure.suptitle(title, size=10.5, weight='bold', color=INK, x=0.1 / figure.get_figwidth(), ha='left')
  axes = figure.subplots(2, len(models), squeeze=False)
  for column, plane in zip(axes.T, models, strict=True):
    draw_codes(column[0], plane)
    draw_decoded(column[1], plane)
  return figure
