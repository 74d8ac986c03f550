"""Figures without global state: matplotlib's object-oriented interface, PNG bytes, colors.

matplotlib is slow to import, so every function imports it where it is used.
"""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

DPI = 150
INK, FAINT = '#1f2328', '#6e7781'

# Okabe & Ito (2008), safe for color-blind readers; black and the pale yellow are left out
COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')
# Petroff (2021), 'Accessible color sequences for data visualization', for up to ten classes
CLASS_COLORS = (
  '#3f90da', '#ffa90e', '#bd1f01', '#94a4a2', '#832db6',
  '#a96b59', '#e76300', '#b9ac70', '#717581', '#92dadb',
)  # fmt: skip


def new_figure(width: float, height: float) -> Figure:
  """An empty white figure of `width` x `height` inches."""
  from matplotlib.figure import Figure

  return Figure(figsize=(width, height), dpi=DPI, facecolor='white')


def png(figure: Figure) -> bytes:
  """The figure as a PNG of exactly its size."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from PIL import Image

  canvas, buffer = FigureCanvasAgg(figure), io.BytesIO()
  canvas.draw()  # once; `savefig` draws twice, the first time for the layout
  Image.fromarray(np.asarray(canvas.buffer_rgba())).save(buffer, 'png', dpi=(DPI, DPI))
  return buffer.getvalue()


@functools.lru_cache(maxsize=1024)
def text_width(text: str, size: float, weight: str = 'normal') -> float:
  """Width in inches of one line at `size` points."""
  from matplotlib.font_manager import FontProperties
  from matplotlib.textpath import TextPath

  if not text.strip():
    return 0.0
  return TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight)).get_extents().width / 72


def plain_axes(axes: Axes) -> None:
  """Removes the box, keeps a faint grid behind the data."""
  axes.spines[['top', 'right']].set_visible(False)
  axes.spines[['left', 'bottom']].set_color(FAINT)
  axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=8)
  axes.grid(color='#d8dee4', linewidth=0.6)
  axes.set_axisbelow(True)
