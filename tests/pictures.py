"""What the figures of a run yield, and what is seen in their pictures; a blank one fails."""

import io

import numpy as np
from PIL import Image

from gen_jax.figures.figure import Arrays, Picture, Text, with_defaults
from gen_jax.figures.write import png_of


def outputs(figure, run, **options):
  """What a figure yields, unwritten: {NAME: Picture, (NAME, 'npz'): its arrays, 'text': all lines of Text}."""
  made = {'text': []}
  for output in figure(run, **with_defaults(figure, options)):
    match output:
      case Picture():
        assert np.ptp(shown_pixels(output)) > 50, f'{output.name} is blank'
        made[output.name] = output
      case Arrays():
        made[output.name, 'npz'] = output.arrays
      case Text():
        made['text'] += output.text.splitlines()
  return made


def shown_pixels(picture):
  """The gray values [H,W] of a picture as it is written."""
  with Image.open(io.BytesIO(png_of(picture.content))) as image:
    return np.asarray(image.convert('L'), np.int32)


def axes_image(picture, place=0):
  """The array [H,W,C] that the axes of a figure show: for grids of images, pixel for pixel."""
  return np.asarray(picture.content.axes[place].images[0].get_array())


def cell(grid, row, column, size=8, block=0):
  """The image in a row and a column of a grid of square images in frames of a pixel; `block` rows, then a gap."""
  top = 1 + row * (size + 2) + (row // block * max(8, (size + 2) // 4) if block else 0)
  left = 1 + column * (size + 2)
  return grid[top : top + size, left : left + size]
