"""Spectrograms: what is loud is bright, low bands lie below, times are comparable."""

import io

import numpy as np
from PIL import Image

from gen_jax.plots import canvas
from gen_jax.plots.spectrograms import RANGE, spectrograms


def frames(length, band):
  """Frames of 20 bands, of which one is loud in the first half."""
  x = np.full((length, 20), -12.0, np.float32)
  x[: length // 2, band] = 0.0
  return x


def image_of(axes):
  (image,) = axes.get_images()
  return image


def test_bands_rise_and_time_goes_to_the_right():
  figure = spectrograms([('a word', {'A': frames(40, 3)})], 0.01, 'A voice')
  (axes,) = figure.axes
  image = image_of(axes)
  shown = np.asarray(image.get_array())
  assert image.origin == 'lower' and shown.shape == (20, 40)
  loud = shown == shown.max()
  assert loud[3, :20].all() and loud.sum() == 20  # band 3, the first half
  np.testing.assert_allclose(image.get_extent(), (0, 0.4, 0, 1))
  assert axes.get_title(loc='left') == 'a word'


def test_all_have_one_scale_of_time_and_of_loudness():
  rows = [
    ('one', {'A': frames(40, 3), 'A translated to B': frames(40, 9) - 1}),
    ('two', {'A': frames(60, 3), 'A translated to B': frames(60, 9), "B's own reading": frames(30, 5)}),
  ]
  figure = spectrograms(rows, 0.01, 'Two voices')
  shown = [axes for axes in figure.axes if axes.get_visible()]
  assert len(figure.axes) == 6 and len(shown) == 5  # what one row lacks stays empty
  assert {axes.get_xlim() for axes in shown} == {(0.0, 0.6)}
  limits = {image_of(axes).get_clim() for axes in shown}
  np.testing.assert_allclose(limits.pop(), (-RANGE, 0))  # the loudest of all
  assert not limits
  texts = {text.get_text() for text in figure.texts}
  assert {'Two voices', 'A', 'A translated to B', "B's own reading"} == texts


def test_every_utterance_has_a_row_of_pixels():
  one, four = (
    canvas.png(spectrograms([(f'{k}', {'A': frames(40, 3)}) for k in range(rows)], 0.01, 'Voices')) for rows in (1, 4)
  )
  with Image.open(io.BytesIO(one)) as small, Image.open(io.BytesIO(four)) as large:
    assert small.width == large.width and large.height > 2 * small.height
    assert np.ptp(np.asarray(large.convert('L'))) > 200


def test_silence_is_drawn():
  assert canvas.png(spectrograms([('nothing', {'A': np.full((3, 8), -11.5, np.float32)})], 0.01, 'Silence'))
