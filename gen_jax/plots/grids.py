"""Grids of images: plain ones, pixel for pixel, and figures whose rows and columns have names."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gen_jax.plots.canvas import DPI, FAINT, INK, new_figure, text_width

if TYPE_CHECKING:
  from matplotlib.figure import Figure

FRAME, FRAME_GRAY = 1, 192  # pixels of gray around each image: white ones, too, are told from the page
LABEL_SIZE, TITLE_SIZE = 8, 10.5  # points


def check_images(images: np.ndarray) -> np.ndarray:
  """Returns uint8 [N,H,W,C], C 1 or 3, and raises ValueError for anything else."""
  images = np.asarray(images)
  if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
    raise ValueError(f'images must be uint8 [N,H,W,1 or 3], not {images.dtype} {list(images.shape)}')
  return images


def grid(images: np.ndarray, columns: int, frame: int = FRAME) -> np.ndarray:
  """Lays uint8 [N,H,W,C] row by row, each image in a gray frame -> uint8 [H',W',C].

  H' = R (H + 2 frame) with R = ceil(N / columns), W' alike; cells left over stay white.
  """
  images = add_frames(check_images(images), frame)
  n, height, width, channels = images.shape
  rows = math.ceil(n / columns)
  cells = np.full((rows * columns, height, width, channels), 255, np.uint8)
  cells[:n] = images
  return cells.reshape(rows, columns, height, width, channels).swapaxes(1, 2).reshape(-1, columns * width, channels)


def add_frames(images: np.ndarray, frame: int = FRAME) -> np.ndarray:
  """Images uint8 [N,H,W,C] in gray frames: [N, H + 2 frame, W + 2 frame, C]."""
  return np.pad(images, ((0, 0), (frame, frame), (frame, frame), (0, 0)), constant_values=FRAME_GRAY)


def png_bytes(image: np.ndarray, scale: int | None = None) -> bytes:
  """uint8 [H,W,C] as a PNG, each pixel as a square of `scale`; by default its longer side has at least 600."""
  from PIL import Image

  image = check_images(np.asarray(image)[None])[0]
  scale = scale or math.ceil(600 / max(image.shape[:2]))
  image = image.repeat(scale, axis=0).repeat(scale, axis=1)
  buffer = io.BytesIO()
  Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, 'PNG', optimize=True)
  return buffer.getvalue()


def offsets(count: int, size: int, block: int) -> list[int]:
  """Where each of `count` cells of `size` pixels begins, with a gap after each `block` of them; 0: none."""
  gap = max(8, size // 4) if block else 0
  return [i * size + (i // block * gap if block else 0) for i in range(count)]


def stack_rows(
  rows: Sequence[np.ndarray], columns: int, block: int, column_block: int
) -> tuple[np.ndarray, list[int], list[int]]:
  """(rows of images uint8 [n,H,W,C] under each other, uint8 [H',W',3]; tops of rows, lefts of columns).

  `columns` at least; see `labeled_grid`.
  """
  rows = [add_frames(np.repeat(check_images(row), 3 // row.shape[-1], axis=-1)) for row in rows]
  height, width = rows[0].shape[1:3]
  tops = offsets(len(rows), height, block)
  lefts = offsets(max(columns, *map(len, rows)), width, column_block)
  canvas = np.full((tops[-1] + height, lefts[-1] + width, 3), 255, np.uint8)
  for top, row in zip(tops, rows, strict=True):
    for left, image in zip(lefts, row, strict=False):
      canvas[top : top + height, left : left + width] = image
  return canvas, tops, lefts


def wrap_title(title: str, width: float) -> list[str]:
  """The lines of a title that `width` inches hold."""
  whole = max(text_width(title, TITLE_SIZE, 'bold'), 0.01)
  # a line may hold wider letters than the average: leave 5 % for them
  return textwrap.wrap(title, max(10, int(0.95 * len(title) * width / whole)))


def labeled_grid(
  rows: Sequence[np.ndarray],
  row_labels: Sequence[str],
  title: str,
  *,
  column_labels: Sequence[str] = (),
  column_title: str = '',
  block: int = 0,
  column_block: int = 0,
) -> Figure:
  """A figure of image rows with names in the left margin, and column labels above.

  An image pixel is a whole number of figure pixels, so that nothing is resampled. The axes' data coordinates
  are image pixels: the image in row r, column c begins at (c (W + 2) + 1, r (H + 2) + 1) where there are no blocks.

  Args:
    rows: uint8 [n,H,W,C] each, of one H and W; rows may have different n and C.
    row_labels: one name a row; may be empty strings.
    title: says what is seen; wraps.
    column_labels: one a column, or none.
    column_title: what the column labels measure.
    block: leave a gap after each `block` rows; 0 for none.
    column_block: after each so many columns.
  """
  canvas, tops, lefts = stack_rows(rows, len(column_labels), block, column_block)
  height, width = (side + 2 * FRAME for side in rows[0].shape[1:3])
  # at least some 900 figure pixels wide, but no cell above 160 unless the images are that large
  scale = max(1, min(math.ceil(900 / canvas.shape[1]), 160 // max(rows[0].shape[1:3])))
  grid_height, grid_width = (side * scale / DPI for side in canvas.shape[:2])
  label_width = max(text_width(label, LABEL_SIZE) for label in row_labels)
  left = 0.15 + (label_width + 0.1 if label_width else 0)
  total_width = max(left + max(grid_width, text_width(column_title, LABEL_SIZE)) + 0.15, 4.0)
  lines = wrap_title(title, total_width - 0.3)
  header = 0.12 + 0.2 * len(lines) + 0.06
  header_labels = 0.19 * (bool(column_labels) + bool(column_title))
  # whole figure pixels, so that image pixels stay square
  left, header_grid = (round(x * DPI) / DPI for x in (left, header + header_labels))
  total_width = math.ceil(total_width * DPI) / DPI
  total_height = header_grid + grid_height + round(0.15 * DPI) / DPI

  figure = new_figure(total_width, total_height)
  axes = figure.add_axes(
    [
      left / total_width,
      1 - (header_grid + grid_height) / total_height,
      grid_width / total_width,
      grid_height / total_height,
    ]
  )
  axes.imshow(canvas, interpolation='none', extent=(0, canvas.shape[1], canvas.shape[0], 0), aspect='auto')
  axes.set_axis_off()
  figure.text(
    0.15 / total_width, 1 - 0.12 / total_height, '\n'.join(lines), size=TITLE_SIZE, color=INK, weight='bold',
    va='top', linespacing=1.25,
  )  # fmt: skip
  for top, label in zip(tops, row_labels, strict=True):
    y = 1 - (header_grid + (top + height / 2) * scale / DPI) / total_height
    figure.text((left - 0.08) / total_width, y, label, size=LABEL_SIZE, color=INK, ha='right', va='center')
  y = 1 - (header_grid - 0.06) / total_height
  for start, label in zip(lefts, column_labels, strict=False):
    x = (left + (start + width / 2) * scale / DPI) / total_width
    figure.text(x, y, label, size=LABEL_SIZE, color=INK, ha='center', va='bottom')
  y = 1 - (header_grid - 0.06 - 0.19 * bool(column_labels)) / total_height
  figure.text(left / total_width, y, column_title, size=LABEL_SIZE, color=FAINT, va='bottom')
  return figure


def labeled_rows(
  rows: Mapping[str, np.ndarray], title: str, column_labels: Sequence[str] = (), column_title: str = ''
) -> Figure:
  """A figure with one named row of images uint8 [n,H,W,C] for each entry."""
  return labeled_grid(
    list(rows.values()), list(rows), title, column_labels=column_labels, column_title=column_title
  )


def wrapped_rows(rows: Mapping[str, np.ndarray], title: str, columns: int = 10) -> Figure:
  """As `labeled_rows` of N images each, broken after `columns`: below the first ten of all rows the next ten of all."""
  numbers = {name: len(images) for name, images in rows.items()}
  if len(set(numbers.values())) > 1:
    raise ValueError(f'rows of one number of images are needed, not of {numbers}')
  starts = range(0, max(numbers.values()), columns)
  parts = [images[start : start + columns] for start in starts for images in rows.values()]
  return labeled_grid(parts, list(rows) * len(starts), title, block=len(rows))
