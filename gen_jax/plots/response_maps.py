"""Latents beside the factors that made the data: heat maps, and response curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gen_jax.plots.canvas import COLORS, INK, new_figure, plain_axes

if TYPE_CHECKING:
  from matplotlib.figure import Figure

MOVES = 0.1  # standard deviation of a latent's codes below which it is dead
FOLLOWS = 0.1  # share of a factor's entropy that a latent must tell to be said to follow it


def heat_maps(matrices: Mapping[str, np.ndarray], names: Sequence[str]) -> Figure:
  """Each {title: matrix [D,K] of values in [0, 1]} as a map with its numbers; factors are named by `names`."""
  latents = next(iter(matrices.values())).shape[0]
  figure = new_figure(1.2 + len(matrices) * (1.0 + 0.62 * len(names)), 1.4 + 0.3 * latents)
  figure.set_layout_engine('constrained', w_pad=0.1, h_pad=0.1)
  axes = np.atleast_1d(figure.subplots(1, len(matrices)))
  for ax, (title, matrix) in zip(axes, matrices.items(), strict=True):
    image = ax.imshow(matrix, vmin=0, vmax=1, cmap='Blues', aspect='auto')
    for j, k in np.ndindex(matrix.shape):
      color = 'white' if matrix[j, k] > 0.6 else INK
      ax.text(k, j, f'{matrix[j, k]:.2f}', ha='center', va='center', size=7, color=color)
    ax.set_xticks(range(len(names)), names, rotation=30, ha='right', size=8, color=INK)
    ax.set_yticks(range(latents), [f'z{j}' for j in range(latents)], size=8, color=INK)
    ax.set_title(title, size=9, weight='bold', color=INK, loc='left')
    ax.tick_params(length=0)
  figure.colorbar(image, ax=axes, shrink=0.6)
  return figure


def response_curves(
  means: Sequence[np.ndarray], stds: Sequence[np.ndarray], names: Sequence[str], latents: Sequence[int]
) -> Figure:
  """A row a latent, a column a factor: its mean code by the factor's value, and one standard deviation around it.

  Args:
    means: [V_k,D] for each factor k, over all images with one value of it.
    stds: the same shapes.
    names: of the factors.
    latents: the rows.
  """
  figure = new_figure(1.0 + 1.7 * len(names), 0.8 + 1.1 * len(latents))
  figure.set_layout_engine('constrained', w_pad=0.05, h_pad=0.05)
  axes = figure.subplots(len(latents), len(names), squeeze=False, sharey=True, sharex='col')
  for row, j in zip(axes, latents, strict=True):
    row[0].set_ylabel(f'z{j}', size=9, color=INK)
    for ax, mean, std in zip(row, means, stds, strict=True):
      value = np.arange(len(mean))
      ax.fill_between(value, mean[:, j] - std[:, j], mean[:, j] + std[:, j], color=COLORS[0], alpha=0.2, linewidth=0)
      ax.plot(value, mean[:, j], color=COLORS[0], linewidth=1.6, marker='o' if len(mean) < 10 else None, markersize=4)
      plain_axes(ax)
  for ax, name in zip(axes[0], names, strict=True):
    ax.set_title(name, size=9, weight='bold', color=INK)
  return figure


def followed_factors(information: np.ndarray, spread: np.ndarray, names: Sequence[str]) -> list[str]:
  """The factor of which each latent tells most, '' where that is less than a tenth, or the latent hardly moves.

  Of I(z_j; v_k) / H(v_k) [D,K], and the standard deviations of the codes [D].
  """
  follow = (information.max(1) >= FOLLOWS) & (spread >= MOVES)
  return [names[row.argmax()] if follows else '' for row, follows in zip(information, follow, strict=True)]
