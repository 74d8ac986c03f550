import io

import numpy as np
import pytest
from PIL import Image

from gen_jax.plots import grids
from gen_jax.plots.canvas import png


def random_images(n, height=5, width=4, channels=1, seed=0):
  return np.random.default_rng(seed).integers(0, 255, (n, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('frame', [0, 1, 3])
def test_grid_places_every_pixel(channels, frame):
  images = random_images(5, channels=channels)
  out = grids.grid(images, columns=3, frame=frame)
  assert out.shape == (2 * (5 + 2 * frame), 3 * (4 + 2 * frame), channels)
  assert out.dtype == np.uint8
  for i in range(5):
    top, left = (i // 3) * (5 + 2 * frame), (i % 3) * (4 + 2 * frame)
    framed = out[top : top + 5 + 2 * frame, left : left + 4 + 2 * frame].copy()
    np.testing.assert_array_equal(framed[frame : frame + 5, frame : frame + 4], images[i])
    framed[frame : frame + 5, frame : frame + 4] = grids.FRAME_GRAY
    assert (framed == grids.FRAME_GRAY).all()
  assert (out[5 + 2 * frame :, 2 * (4 + 2 * frame) :] == 255).all()  # the cell left over


@pytest.mark.parametrize('gray', [0, 255])
def test_images_of_one_color_are_told_from_each_other_and_from_the_page(gray):
  """On a page of any color: each image is surrounded by pixels unlike its own, and those unlike white and black."""
  image = np.full((2, 4, 4, 1), gray, np.uint8)
  labeled = np.asarray(grids.labeled_grid([image], [''], '').axes[0].images[0].get_array())[..., :1]
  for canvas in (grids.grid(image, 2), labeled):
    assert canvas.shape[:2] == (6, 12)
    surround = np.concatenate([canvas[0], canvas[-1], canvas[:, 0], canvas[:, 5], canvas[:, 6], canvas[:, -1]])
    assert (abs(surround.astype(int) - gray) >= 60).all() and (surround > 60).all() and (surround < 196).all()


@pytest.mark.parametrize(
  'images', [np.zeros((2, 4, 4, 1)), np.zeros((4, 4, 1), np.uint8), np.zeros((1, 4, 4, 2), np.uint8)]
)
def test_grid_refuses_what_is_no_image(images):
  with pytest.raises(ValueError, match='uint8'):
    grids.grid(images, 2)


@pytest.mark.parametrize('channels', [1, 3])
def test_pixels_of_a_png_are_squares(channels):
  image = random_images(1, channels=channels)[0]
  with Image.open(io.BytesIO(grids.png_bytes(image, scale=3))) as read:
    pixels = np.asarray(read).reshape(15, 12, channels)
  for dy in range(3):
    for dx in range(3):
      np.testing.assert_array_equal(pixels[dy::3, dx::3], image)


def test_tiny_images_make_large_pngs():
  with Image.open(io.BytesIO(grids.png_bytes(random_images(1, 28, 28)[0]))) as read:
    assert read.size == (616, 616)  # 22 x 28, the first multiple above 600


def pixels_of(figure):
  with Image.open(io.BytesIO(png(figure))) as image:
    return np.asarray(image.convert('RGB'))


@pytest.mark.parametrize(('n', 'scale'), [(3, 20), (20, 5)])  # 160 pixels a cell; some 900 a row of 198
def test_labeled_rows_hold_every_image_unresampled(n, scale):
  """In the figure stands the whole image, each pixel a square of whole figure pixels."""
  images = random_images(n, 8, 8, 3)
  pixels = pixels_of(grids.labeled_rows({'first': images, 'second': images[:2, ..., :1]}, 'title'))
  expected = images[2].repeat(scale, axis=0).repeat(scale, axis=1)
  y, x = np.argwhere((pixels == images[2, 0, 0]).all(-1))[0]
  np.testing.assert_array_equal(pixels[y : y + 8 * scale, x : x + 8 * scale], expected)


def texts(figure):
  return [text.get_text() for text in figure.texts]


def test_labels_stand_beside_their_rows_and_inside_the_figure():
  figure = grids.labeled_grid(
    [random_images(4), random_images(2)],
    ['data', 'a model of a very long name indeed'],
    'A title of so many words that it cannot stand on one line above a grid of so few and tiny images',
    column_labels=list('abcd'),
    column_title='what the columns measure',
  )
  png(figure)
  width, height = figure.bbox.size
  boxes = {text.get_text(): text.get_window_extent() for text in figure.texts}
  assert {'data', 'a model of a very long name indeed', 'a', 'd', 'what the columns measure'} <= set(boxes)
  for box in boxes.values():
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height
  for box in (a := list(boxes.values())):
    assert not any(box.overlaps(other) for other in a if other is not box)
  axes = figure.axes[0].get_window_extent()
  assert boxes['data'].x1 < axes.x0
  # rows are 7 high with their frames: their centers are at 3.5 and 10.5 of 14
  center = (boxes['data'].y0 + boxes['data'].y1) / 2
  assert (axes.y1 - center) / axes.height == pytest.approx(3.5 / 14, abs=0.03)


def test_each_column_label_has_a_column():
  figure = grids.labeled_grid([random_images(1)], [''], '', column_labels=list('abc'))
  assert figure.axes[0].images[0].get_array().shape[1] == 3 * 6
  axes = figure.axes[0].get_window_extent()
  png(figure)
  centers = [text.get_window_extent() for text in figure.texts if text.get_text() in 'abc' and text.get_text()]
  places = [((box.x0 + box.x1) / 2 - axes.x0) / axes.width for box in centers]
  np.testing.assert_allclose(places, [1 / 6, 3 / 6, 5 / 6], atol=0.02)


def test_rows_of_many_images_are_broken_together():
  originals, copies = random_images(5), random_images(5, seed=1)
  figure = grids.wrapped_rows({'original': originals, 'copy': copies}, 'title', columns=3)
  assert texts(figure)[1:5] == ['original', 'copy'] * 2
  canvas = figure.axes[0].images[0].get_array()
  np.testing.assert_array_equal(canvas[1:6, 7:11, :1], originals[1])
  np.testing.assert_array_equal(canvas[8:13, 7:11, :1], copies[1])
  second = 2 * 7 + 8 + 1  # the second pair, behind a gap of eight
  np.testing.assert_array_equal(canvas[second : second + 5, 1:5, :1], originals[3])
  np.testing.assert_array_equal(canvas[second + 7 : second + 12, 7:11, :1], copies[4])
  with pytest.raises(ValueError, match=r"not of \{'original': 5, 'copy': 4\}"):
    grids.wrapped_rows({'original': originals, 'copy': copies[:4]}, 'title')
