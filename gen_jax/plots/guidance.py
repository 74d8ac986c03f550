"""What guidance makes of a class of points in the plane: samples of several samplers over the class itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gen_jax.plots.planar import FAKE, Extent, lattice, square_panel, titled_figure

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

HELD = (0.995, 0.9, 0.5)  # of a class, by the regions that are filled
CLASS, OTHER = ('#e3eff7', '#c8dfee', '#a9cde4'), '#ececec'  # of those regions; of another class


def density_levels(log_density: np.ndarray, held: Sequence[float] = HELD) -> np.ndarray:
  """The densities over which lie these shares of the mass of a lattice of log densities, ascending, [len(held)].

  Relative to the largest, so that no density is too large or too small for a number.
  """
  density = np.sort(relative_density(log_density).ravel())[::-1]
  mass = np.cumsum(density) / density.sum()
  return density[np.searchsorted(mass, held).clip(max=len(density) - 1)]


def relative_density(log_density: np.ndarray) -> np.ndarray:
  """The density by its largest value, float64."""
  log_density = np.asarray(log_density, np.float64)
  return np.exp(log_density - log_density.max())


def fill_density(
  axes: Axes, log_density: np.ndarray, extent: Extent, held: Sequence[float], colors: Sequence[str]
) -> None:
  """Fills the smallest regions that hold shares of the mass, in descending order of these; [n,n] log densities."""
  n, density, levels = len(log_density), relative_density(log_density), density_levels(log_density, held)
  x, y = lattice(extent, n).reshape(n, n, 2).transpose(2, 0, 1)
  for level, color in zip(levels, colors, strict=True):
    # of the log, which is smooth where the density itself leaps
    axes.contourf(x, y, np.log(np.maximum(density, 1e-300)), [np.log(level) - 1e-9, 1.0], colors=[color])


def guidance_panels(
  log_density: np.ndarray,
  other: np.ndarray,
  panels: Mapping[str, np.ndarray],
  extent: Extent,
  *,
  title: str = '',
  columns: int = 4,
) -> Figure:
  """Samples of a class by several samplers, each over the class itself, and faintly over the other one.

  Args:
    log_density: [n,n] log p(x|y) at `lattice(extent, n)`; what is filled are the smallest regions that hold 50, 90 and
      99.5 % of it.
    other: [n,n] the same of the other class, or of all others, of which the largest region alone is seen.
    panels: {what is said below: samples [N,2]}, such as 'truth', 'unguided', 'classifier-free', 'autoguidance'.
    extent: the frame of all panels.
    title: says what is seen.
    columns: of panels, at most.
  """
  columns = min(columns, len(panels))
  rows = -(-len(panels) // columns)
  figure = titled_figure(3.1 * columns, 3.3 * rows, title)
  places = figure.subplots(rows, columns, squeeze=False).ravel()
  for axes, (name, samples) in zip(places, panels.items(), strict=False):
    fill_density(axes, other, extent, HELD[:1], [OTHER])
    fill_density(axes, log_density, extent, HELD, CLASS)
    axes.scatter(*samples.T, s=1.6, color=FAKE, alpha=0.8, linewidths=0)
    square_panel(axes, extent, name, samples)
  for axes in places[len(panels) :]:
    axes.remove()
  return figure
