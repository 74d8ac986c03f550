"""Points in the plane: samples over their target, a discriminator's surface, a generator's map of the noise."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gen_jax.plots.canvas import COLORS, FAINT, INK, new_figure, plain_axes

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

Extent = tuple[float, float, float, float]  # low x, high x, low y, high y
Names = Sequence[str]  # of the axes x and y; () where they have none
REAL, FAKE = '#b6d4e8', COLORS[1]


def extent_of(real: np.ndarray, margin: float = 0.15) -> Extent:
  """A square around the middle 99.8 % of points [N,2] in each direction, with a margin on every side."""
  low, high = np.percentile(real, (0.1, 99.9), axis=0)
  center, half = (low + high) / 2, (0.5 + margin) * max((high - low).max(), 1e-6)
  (left, bottom), (right, top) = center - half, center + half
  return float(left), float(right), float(bottom), float(top)


def lattice(extent: Extent, n: int) -> np.ndarray:
  """float32 [n*n,2], where `surface` wants the scores: x to the right is fastest, rows go upwards."""
  left, right, bottom, top = extent
  x, y = np.meshgrid(np.linspace(left, right, n), np.linspace(bottom, top, n))
  return np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)


def noise_lines(rings: int = 8, spokes: int = 24, resolution: int = 400) -> np.ndarray:
  """Circles and rays that cut N(0, I) into cells of one probability: float32 [rings + spokes, resolution, 2].

  The radii are sqrt(-2 log(1 - p)) with p = 1 / rings, 2 / rings, ..., but .99 for the last, where the rays end too.
  """
  p = np.append(np.arange(1, rings) / rings, 0.99)
  radii, turn = np.sqrt(-2 * np.log1p(-p)), np.linspace(0, 2 * np.pi, resolution)
  angles, along = np.arange(spokes) * 2 * np.pi / spokes, np.linspace(0, radii[-1], resolution)
  direction = lambda angle: np.stack([np.cos(angle), np.sin(angle)], axis=-1)
  circles = radii[:, None, None] * direction(turn)
  rays = along[None, :, None] * direction(angles)[:, None]
  return np.concatenate([circles, rays]).astype(np.float32)


def place_colors(z: np.ndarray) -> np.ndarray:
  """A color for each place [...,2] of the noise plane, RGB [...,3]: hue by angle, paler towards the middle."""
  from matplotlib.colors import hsv_to_rgb

  hue = np.arctan2(z[..., 1], z[..., 0]) / (2 * np.pi) % 1
  outside = 1 - np.exp(-(z**2).sum(-1) / 2)  # the share of N(0, I) that lies further in
  return hsv_to_rgb(np.stack([hue, 0.15 + 0.85 * outside, 0.95 - 0.25 * outside], axis=-1))


def plane_axes(
  axes: Axes, extent: Extent, title: str, samples: np.ndarray | None = None, names: Names = ()
) -> None:
  """A square that shows the extent, and a note of the share of `samples` [N,2] that it does not show."""
  left, right, bottom, top = extent
  axes.set_xlim(left, right)
  axes.set_ylim(bottom, top)
  axes.set_box_aspect(1)
  plain_axes(axes)
  axes.set_title(title, size=10.5, weight='bold', color=INK, loc='left')
  if names:
    axes.set_xlabel(names[0], size=9, color=INK)
    axes.set_ylabel(names[1], size=9, color=INK)
  if samples is None or not len(samples):
    return
  outside = 1 - ((samples >= (left, bottom)) & (samples <= (right, top))).all(axis=1).mean()
  if outside >= 0.0005:  # a share that is not shown as 0.0%
    note = f'{outside:.1%} of the samples lie outside'
    axes.text(0.99, 0.01, note, transform=axes.transAxes, size=7, color=INK, ha='right')


def titled_figure(width: float, height: float, title: str) -> Figure:
  """An empty figure of panels that stand close, `title` above them."""
  figure = new_figure(width, height + (0.3 if title else 0.0))
  figure.set_layout_engine('constrained', w_pad=0.05, h_pad=0.05)
  if title:
    figure.suptitle(title, size=10.5, weight='bold', color=INK, x=0.1 / width, ha='left')
  return figure


def square_panel(axes: Axes, extent: Extent, name: str, samples: np.ndarray | None = None) -> None:
  """A framed square without ticks, named below."""
  plane_axes(axes, extent, '', samples)
  axes.grid(False)
  axes.tick_params(labelbottom=False, labelleft=False, length=0)
  axes.spines[:].set_visible(True)
  axes.spines[:].set_color(FAINT)
  axes.set_xlabel(name, size=9.5, color=INK)


def add_legend(figure: Figure, axes: Axes) -> None:
  """The names of the points below the axes, where they hide none."""
  handles, labels = axes.get_legend_handles_labels()
  figure.legend(
    handles, labels, loc='outside lower center', ncols=2, fontsize=8.5, frameon=False, labelcolor=INK, markerscale=2
  )


def samples_over_target(
  real: np.ndarray,
  fake: np.ndarray,
  title: str = 'Samples over their target',
  extent: Extent | None = None,
  names: Names = (),
) -> Figure:
  """Points [N,2] of the target, broad and gray, under samples [M,2]; by default the frame is that of `real`."""
  extent = extent or extent_of(real)
  figure = new_figure(4.4, 4.8)
  figure.set_layout_engine('constrained', w_pad=0.1, h_pad=0.1)
  axes = figure.subplots()
  axes.scatter(*real.T, s=26, color=REAL, linewidths=0, label='real')
  axes.scatter(*fake.T, s=2.5, color=FAKE, alpha=0.7, linewidths=0, label='generated')
  plane_axes(axes, extent, title, fake, names)
  add_legend(figure, axes)
  return figure


def surface(
  score: np.ndarray,
  extent: Extent,
  real: np.ndarray,
  fake: np.ndarray,
  *,
  critic: bool = False,
  title: str = '',
  names: Names = (),
) -> Figure:
  """What the discriminator says of every place in the frame, under real and generated points.

  Args:
    score: [n,n] logits at `lattice(extent, n)`; what is drawn is their sigmoid, from 0 to 1.
    extent: the frame.
    real: [N,2].
    fake: [M,2].
    critic: the score is no logit but has any scale, as that of a Wasserstein critic: what is drawn is itself.
    title: says what is seen.
    names: of the axes.
  """
  import matplotlib
  from matplotlib.ticker import MaxNLocator
  from scipy.special import expit

  n = len(score)
  values = np.asarray(score, np.float64) if critic else expit(np.asarray(score, np.float64))
  low, high = (float(values.min()), float(values.max())) if critic else (0.0, 1.0)
  high = max(high, low + 1e-6)  # a constant has no levels
  x, y = lattice(extent, n).reshape(n, n, 2).transpose(2, 0, 1)
  figure = new_figure(5.2, 4.8)
  figure.set_layout_engine('constrained', w_pad=0.1, h_pad=0.1)
  axes = figure.subplots()
  shades = matplotlib.colormaps['Blues'](np.linspace(0, 0.8, 20))  # darker ones would hide the points
  filled = axes.contourf(x, y, values, np.linspace(low, high, 21), colors=shades)
  if not critic and values.min() < 0.5 < values.max():
    axes.contour(x, y, values, [0.5], colors=[INK], linewidths=1)
  axes.scatter(*fake.T, s=9, color=FAKE, linewidths=0, label='generated')
  axes.scatter(*real.T, s=1.5, color=INK, linewidths=0, label='real')
  plane_axes(axes, extent, title or ("The critic's score" if critic else 'The probability of being real'), fake, names)
  axes.grid(False)
  bar = figure.colorbar(filled, ax=axes, shrink=0.9, pad=0.02, ticks=MaxNLocator(6))
  bar.ax.tick_params(colors=FAINT, labelcolor=INK, labelsize=8)
  bar.outline.set_visible(False)
  add_legend(figure, axes)
  return figure


def transform(
  lines: np.ndarray,
  mapped_lines: np.ndarray,
  z: np.ndarray,
  samples: np.ndarray,
  *,
  extent: Extent | None = None,
  title: str = 'The noise plane, and where the model sends it',
  names: Names = (),
) -> Figure:
  """Left, the plane of z ~ N(0, I), colored by place; right, where its lines and points go, in the same colors.

  Args:
    lines: [L,M,2], those of `noise_lines`.
    mapped_lines: [L,M,2], G of them.
    z: [N,2] from N(0, I).
    samples: [N,2], what the model makes of z.
    extent: the frame on the right; by default that of `samples`.
    title: says what is seen.
    names: of the axes on the right.
  """
  from matplotlib.collections import LineCollection

  figure = new_figure(9.0, 4.9)
  figure.set_layout_engine('constrained', w_pad=0.1, h_pad=0.1)
  figure.suptitle(title, size=10.5, weight='bold', color=INK, x=0.1 / figure.get_figwidth(), ha='left')
  middles = (lines[:, 1:] + lines[:, :-1]) / 2
  line_colors, colors = 0.75 * place_colors(middles).reshape(-1, 3), place_colors(z)
  frames = (-3.3, 3.3, -3.3, 3.3), extent or extent_of(samples)
  rows = (figure.subplots(1, 2), (lines, mapped_lines), (z, samples), frames, ('z', 'x(z)'))
  for axes, ends, places, frame, name in zip(*rows, strict=True):
    segments = np.stack([ends[:, :-1], ends[:, 1:]], axis=2).reshape(-1, 2, 2)
    axes.scatter(*places.T, s=3, color=colors, linewidths=0)
    axes.add_collection(LineCollection(segments, colors=line_colors, linewidths=0.6, alpha=0.7), autolim=False)
    noise = places is z
    plane_axes(axes, frame, name, None if noise else samples, () if noise else names)
    axes.grid(False)
  return figure


def paths(source: np.ndarray, sent: np.ndarray, target: np.ndarray, title: str, lines: int = 200) -> Figure:
  """Left, points [N,2], colored by place; right, where they are sent, [N,2], in the same colors, over the target [M,2].

  Lines join some of the points to where they are sent.
  """
  from matplotlib.collections import LineCollection

  figure = new_figure(9.0, 4.9)
  figure.set_layout_engine('constrained', w_pad=0.1, h_pad=0.1)
  figure.suptitle(title, size=10.5, weight='bold', color=INK, x=0.1 / figure.get_figwidth(), ha='left')
  colors = place_colors((source - source.mean(0)) / source.std(0))
  left, right = figure.subplots(1, 2)
  extent = extent_of(np.concatenate([source, target]))
  left.scatter(*source.T, s=4, color=colors, linewidths=0)
  plane_axes(left, extent, 'before')
  right.scatter(*target.T, s=14, color=REAL, linewidths=0)
  ends = np.stack([source[:lines], sent[:lines]], axis=1)
  right.add_collection(LineCollection(ends, colors=colors[:lines], linewidths=0.5, alpha=0.5), autolim=False)
  right.scatter(*sent.T, s=4, color=colors, linewidths=0)
  plane_axes(right, extent, 'after, over their target', sent)
  return figure


def animation(frames: Sequence[bytes], seconds: float = 0.15, pause: float = 2.0) -> bytes:
  """An animated PNG of figures as PNGs of one size, which repeats and holds the last for `pause` seconds.

  What shows no animations shows the last frame.
  """
  from PIL import Image

  images = [Image.open(io.BytesIO(frame)).convert('RGB') for frame in frames]
  durations = [1000 * seconds] * (len(images) - 1) + [1000 * pause]
  buffer = io.BytesIO()
  images[-1].save(buffer, 'PNG', save_all=True, append_images=images, default_image=True, duration=durations, loop=0)
  return buffer.getvalue()


def strip(real: np.ndarray, by_step: Mapping[int, np.ndarray], extent: Extent, title: str, columns: int = 3) -> Figure:
  """Points [N,2] of the target under those that were generated, {step: [M,2]}: a square for each step, without axes."""
  columns = min(columns, len(by_step))
  rows = -(-len(by_step) // columns)
  figure = new_figure(max(3.6, 2.0 * columns), 0.4 + 2.2 * rows)  # as wide as the title
  figure.set_layout_engine('constrained', w_pad=0.05, h_pad=0.05)
  figure.suptitle(title, size=10.5, weight='bold', color=INK, x=0.1 / figure.get_figwidth(), ha='left')
  places = figure.subplots(rows, columns, squeeze=False).ravel()
  for axes, (step, fake) in zip(places, by_step.items(), strict=False):
    axes.scatter(*real.T, s=8, color=REAL, linewidths=0)
    axes.scatter(*fake.T, s=1.5, color=FAKE, alpha=0.7, linewidths=0)
    plane_axes(axes, extent, f'Step {step:,}')
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
  for axes in places[len(by_step) :]:
    axes.remove()
  return figure
