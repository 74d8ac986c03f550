import io

import numpy as np
import pytest
from PIL import Image

from gen_jax.plots import canvas


def test_a_png_has_the_size_and_the_marks_of_its_figure():
  figure = canvas.new_figure(2, 1)
  axes = figure.add_axes((0, 0, 1, 1))
  axes.axis('off')
  axes.fill_between([0.5, 1], 0, 1, color=canvas.COLORS[0], linewidth=0)
  axes.set_xlim(0, 1)
  axes.set_ylim(0, 1)
  with Image.open(io.BytesIO(canvas.png(figure))) as image:
    assert image.format == 'PNG'
    assert image.size == (2 * canvas.DPI, canvas.DPI)
    pixels = np.asarray(image.convert('RGB'))
  assert (pixels[:, : canvas.DPI - 2] == 255).all()
  assert (pixels[5:-5, canvas.DPI + 2 : -5] == (0x00, 0x72, 0xB2)).all()


def test_text_width_adds_up():
  assert canvas.text_width('', 10) == canvas.text_width('  ', 10) == 0
  assert canvas.text_width('mm', 20) == pytest.approx(2 * canvas.text_width('mm', 10), rel=0.02)
  assert canvas.text_width('word', 10, 'bold') > canvas.text_width('word', 10)
