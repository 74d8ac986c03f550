"""The generator's gradient against what the discriminator has learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gen_jax.plots.canvas import COLORS, INK, new_figure, plain_axes

if TYPE_CHECKING:
  from matplotlib.figure import Figure

NAMES = {'minimax': 'minimax, log(1 - D(G(z)))', 'non_saturating': 'non-saturating, -log D(G(z))'}


def gradient_curves(counts: Sequence[int], norms: Mapping[str, np.ndarray]) -> Figure:
  """Norms [len(counts)] of each loss against the number of the discriminator's steps, both on logarithmic axes."""
  figure = new_figure(6.4, 4.2)
  figure.set_layout_engine('constrained', w_pad=0.1, h_pad=0.1)
  axes = figure.subplots()
  for (loss, values), color, marker in zip(norms.items(), COLORS, 'os', strict=False):
    axes.plot(counts, values, color=color, marker=marker, markersize=5, linewidth=1.8, label=NAMES.get(loss, loss))
  axes.set_xscale('symlog', linthresh=1)
  axes.set_xticks(list(counts), [f'{count:g}' for count in counts])
  axes.set_xticks([], minor=True)
  axes.set_yscale('log')
  plain_axes(axes)
  axes.set_xlabel('steps of the discriminator, the generator held fixed', size=9, color=INK)
  axes.set_ylabel("norm of the generator's gradient", size=9, color=INK)
  axes.set_title('What is left for the generator to learn from', size=10.5, weight='bold', color=INK, loc='left')
  axes.legend(fontsize=8.5, frameon=False, labelcolor=INK)
  return figure
