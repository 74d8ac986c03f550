"""The ways of points of the plane from noise to data: with the velocities that move them, and as an animation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gen_jax.plots.canvas import FAINT, INK, new_figure, png
from gen_jax.plots.planar import FAKE, REAL, Extent, animation, place_colors, square_panel, titled_figure

if TYPE_CHECKING:
  from matplotlib.figure import Figure


def vector_field(
  places: np.ndarray,
  velocities: Mapping[str, np.ndarray],
  trajectories: np.ndarray,
  extent: Extent,
  *,
  title: str = '',
) -> Figure:
  """The velocity at several times, a panel each, over the ways of points from noise to data.

  Args:
    places: [P,2], those of the arrows.
    velocities: {what is said below, such as 't = .5': [P,2]}. The arrows of a panel share a scale of its own, as
      velocities at one time may be many times those at another; of the longest tenth, all are as long as its shortest.
    trajectories: [F,N,2], of N points from noise to data; colored by where each began.
    extent: the frame of all panels.
    title: says what is seen.
  """
  from matplotlib.collections import LineCollection

  start, end = trajectories[0], trajectories[-1]
  colors = start_colors(start)
  spacing = (extent[1] - extent[0]) / max(len(places) ** 0.5, 1)
  figure = titled_figure(3.6 * len(velocities), 3.8, title)
  panels, ways = figure.subplots(1, len(velocities), squeeze=False)[0], list(trajectories.swapaxes(0, 1))
  for axes, (name, velocity) in zip(panels, velocities.items(), strict=True):
    axes.add_collection(LineCollection(ways, colors=colors, linewidths=0.5, alpha=0.35), autolim=False)
    axes.scatter(*start.T, s=3, color=FAINT, linewidths=0)
    axes.scatter(*end.T, s=4, color=FAKE, linewidths=0)
    arrows = limit_lengths(velocity, spacing)
    axes.quiver(*places.T, *arrows.T, angles='xy', scale_units='xy', scale=1, width=0.0025, color=INK, zorder=3)
    square_panel(axes, extent, name)
  return figure


def limit_lengths(velocity: np.ndarray, longest: float) -> np.ndarray:
  """Arrows [P,2] of one scale, by which a length that 90 % do not exceed becomes `longest`, as do all beyond."""
  lengths = np.linalg.norm(velocity, axis=-1)
  most = max(np.quantile(lengths, 0.9), 1e-12)
  return longest * velocity / np.maximum(lengths, most)[:, None]


def start_colors(start: np.ndarray) -> np.ndarray:
  """A color for each point [N,2] by its place among all, RGB [N,3]."""
  return place_colors((start - start.mean(0)) / np.maximum(start.std(0), 1e-6))


def trajectory_animation(
  frames: np.ndarray, extent: Extent, real: np.ndarray, titles: Sequence[str] = (), seconds: float = 0.1
) -> bytes:
  """An animated PNG of points [F,N,2] on their way from noise to data, over real points [M,2].

  Each keeps the color of its place in the first frame. `titles`: what is said of each frame, such as its time.
  """
  colors = start_colors(frames[0])

  def draw(points: np.ndarray, name: str) -> bytes:
    """A frame as a PNG."""
    figure = new_figure(4.4, 4.6)
    figure.set_layout_engine('constrained', w_pad=0.1, h_pad=0.1)
    axes = figure.subplots()
    axes.scatter(*real.T, s=14, color=REAL, linewidths=0)
    axes.scatter(*points.T, s=4, color=colors, linewidths=0)
    square_panel(axes, extent, name)
    return png(figure)

  names = titles or [''] * len(frames)
  return animation([draw(points, name) for points, name in zip(frames, names, strict=True)], seconds)
