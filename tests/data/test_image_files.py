"""Single image files of every format: their headers and pixels, upright, over a background."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gen_jax.data.image_files import decode, read_header
from gen_jax.errors import UserError

UPRIGHT = np.zeros((16, 24, 3), np.uint8)
UPRIGHT[:8], UPRIGHT[:, :6] = 255, 80  # no symmetry
ORIENTATION = 0x0112
STORED = {  # what a camera that was held so stores: EXIF 2.3, table 5
  2: UPRIGHT[:, ::-1],
  3: UPRIGHT[::-1, ::-1],
  4: UPRIGHT[::-1],
  5: UPRIGHT.transpose(1, 0, 2),
  6: np.rot90(UPRIGHT),
  7: np.rot90(UPRIGHT, 2).transpose(1, 0, 2),
  8: np.rot90(UPRIGHT, -1),
}


def exif(orientation):
  turned = Image.Exif()
  turned[ORIENTATION] = orientation
  return turned


@pytest.mark.parametrize('orientation', STORED)
@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'tiff', 'mpo'])
def test_a_turned_camera_is_turned_back_in_every_format(tmp_path, suffix, orientation):
  path, image = tmp_path / f'a.{suffix}', Image.fromarray(np.ascontiguousarray(STORED[orientation]))
  options = {'png': {}, 'tiff': {}, 'webp': {'lossless': True}}.get(suffix, {'quality': 100})
  if suffix == 'mpo':
    options |= {'save_all': True, 'append_images': [image]}
    path = path.with_suffix('.jpg')  # as phones name them
  image.save(path, suffix.replace('jpg', 'jpeg'), exif=exif(orientation), **options)
  assert read_header(path).shape == (16, 24)
  with Image.open(path) as opened:
    assert opened.format == {'jpg': 'JPEG'}.get(suffix, suffix.upper())
  lossy = suffix in ('jpg', 'mpo')
  np.testing.assert_allclose(decode(path, 'RGB', 0).astype(int), UPRIGHT, atol=40 if lossy else 0)


def test_what_a_png_says_behind_its_pixels_is_obeyed(tmp_path):
  stored = io.BytesIO()
  Image.fromarray(np.ascontiguousarray(UPRIGHT[::-1, ::-1])).save(stored, 'PNG')
  end = stored.getvalue()[-12:]  # the chunk IEND
  late = io.BytesIO()
  PngImagePlugin.putchunk(late, b'eXIf', exif(3).tobytes().removeprefix(b'Exif\x00\x00'))
  (tmp_path / 'a.png').write_bytes(stored.getvalue()[:-12] + late.getvalue() + end)
  np.testing.assert_array_equal(decode(tmp_path / 'a.png', 'RGB', 0), UPRIGHT)


def test_an_orientation_that_is_none_turns_nothing(tmp_path):
  for orientation in (0, 9):
    Image.fromarray(UPRIGHT).save(tmp_path / 'a.png', exif=exif(orientation))
    assert read_header(tmp_path / 'a.png').shape == (16, 24)
    np.testing.assert_array_equal(decode(tmp_path / 'a.png', 'RGB', 0), UPRIGHT)


@pytest.mark.parametrize('suffix', ['png', 'webp', 'bmp', 'gif', 'tif', 'pgm'])
def test_formats_without_loss_keep_every_pixel(tmp_path, suffix):
  gray = np.random.default_rng(0).integers(0, 256, (9, 7), np.uint8)
  path = tmp_path / f'a.{suffix}'
  Image.fromarray(gray).save(path, **({'lossless': True} if suffix == 'webp' else {}))
  np.testing.assert_array_equal(decode(path, 'L', 0)[..., 0], gray)


def test_of_several_images_the_first_is_read(tmp_path):
  frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 200)]
  for suffix in ('gif', 'tiff', 'webp', 'png'):
    path = tmp_path / f'a.{suffix}'
    frames[0].save(path, save_all=True, append_images=frames[1:], **({'lossless': True} if suffix == 'webp' else {}))
    assert (decode(path, 'L', 0) == 10).all(), suffix


def with_opacity(kind):
  """A 1x2 image of this kind whose first pixel is red, or gray, and whose second is transparent."""
  if kind == 'palette':
    image = Image.new('P', (2, 1))
    image.putpalette([200, 0, 0, 0, 200, 0])
    image.putpixel((1, 0), 1)
    return image, {'transparency': 1}
  if kind == 'a gray value':
    return Image.fromarray(np.array([[100, 50]], np.uint8)), {'transparency': 50}
  if kind == 'a color':
    return Image.fromarray(np.array([[[200, 0, 0], [0, 200, 0]]], np.uint8)), {'transparency': (0, 200, 0)}
  if kind == 'gray':
    return Image.fromarray(np.array([[[100, 255], [50, 0]]], np.uint8)), {}
  return Image.fromarray(np.array([[[200, 0, 0, 255], [0, 200, 0, 0]]], np.uint8)), {}


@pytest.mark.parametrize('kind', ['palette', 'a gray value', 'a color', 'gray', 'color'])
def test_transparent_pixels_of_every_kind_show_the_background(tmp_path, kind):
  path = tmp_path / 'a.png'
  image, options = with_opacity(kind)
  image.save(path, **options)
  header = read_header(path)
  assert header.transparent and header.gray == (kind == 'a gray value')
  mode = 'L' if header.gray else 'RGB'
  shown = [200, 0, 0] if kind in ('palette', 'a color', 'color') else [100]
  for background, level in (('white', 255), ('black', 0)):
    first, second = decode(path, mode, 0, background=background)[0]
    np.testing.assert_array_equal(first, np.broadcast_to(shown, len(mode)))
    np.testing.assert_array_equal(second, level)


def test_half_of_the_background_shows_through_half_an_opacity(tmp_path):
  Image.fromarray(np.array([[[100, 100, 100, 128]]], np.uint8)).save(tmp_path / 'a.webp', lossless=True)
  expected = 128 / 255 * 100 + (1 - 128 / 255) * 255
  np.testing.assert_allclose(decode(tmp_path / 'a.webp', 'RGB', 0), expected, atol=1)


def test_an_opacity_that_is_asked_for_is_kept(tmp_path):
  pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4), np.uint8)
  Image.fromarray(pixels).save(tmp_path / 'a.png')
  np.testing.assert_array_equal(decode(tmp_path / 'a.png', 'RGBA', 0), pixels)
  assert not read_header(tmp_path / 'a.png').gray


@pytest.mark.parametrize('suffix', ['png', 'tiff', 'pgm'])
def test_sixteen_bits_are_refused(tmp_path, suffix):
  Image.fromarray(np.full((4, 4), 1000, np.uint16)).save(tmp_path / f'a.{suffix}')
  with pytest.raises(UserError, match=rf'a.{suffix} .*mode I(;16)? is not 8 bits'):
    read_header(tmp_path / f'a.{suffix}')
