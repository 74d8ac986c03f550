"""Image files: what their headers say, and their pixels, upright and on a background."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from gen_jax.errors import UserError

# GIF, TIFF, WebP and PNG may hold several images, of which the first is read
SUFFIXES = {
  '.png', '.jpg', '.jpeg', '.jpe', '.jfif', '.webp', '.bmp', '.gif', '.tif', '.tiff', '.pgm', '.ppm',
}  # fmt: skip
GRAY = {'L', '1'}  # modes of PIL; all others become RGB
BACKGROUNDS = {'white': (255, 255, 255), 'black': (0, 0, 0)}


class Header(NamedTuple):
  """What a file says of its image before the pixels are decoded."""

  shape: tuple[int, int]  # (H, W), upright
  gray: bool
  transparent: bool  # whether its pixels have an opacity, which may be whole


@contextlib.contextmanager
def open_image(source: Path | BinaryIO, name: str | Path) -> Iterator[Image.Image]:
  """An image of 8 bits a channel; whatever goes wrong with it becomes a UserError that names it."""
  try:
    with Image.open(source) as image:
      if image.mode[0] in 'IF':  # PIL would clip these to white when it converts them
        raise ValueError(f'mode {image.mode} is not 8 bits a channel')
      yield image
  except Exception as error:  # damaged files raise OSError, SyntaxError, ValueError, struct.error and others
    raise UserError(f'{name} cannot be read as an image: {error}') from error


def orientation(image: Image.Image) -> int:
  """How a camera was held, 1 (upright) to 8; from 5 on, width and height are exchanged.

  Pillow turns a TIFF itself. Of a PNG it would decode the pixels in search of it, so it is taken from what stands
  before them.
  """
  if image.format == 'TIFF' or (image.format == 'PNG' and not {'exif', 'Raw profile type exif'} & set(image.info)):
    return 1
  return image.getexif().get(ExifTags.Base.Orientation, 1)


def read_header(file: Path) -> Header:
  """The header of a file, without decoding the pixels. UserError where it is no image."""
  with open_image(file, file) as image:
    width, height = image.size
    shape = (width, height) if orientation(image) in (5, 6, 7, 8) else (height, width)
    return Header(shape, image.mode in GRAY, image.has_transparency_data)


def decode(
  source: Path | BinaryIO, mode: str, size: int, name: str | Path = '', background: str = 'white'
) -> np.ndarray:
  """uint8 [H,W,C]; with `size` > 0 the central square, resized to size x size with antialiasing.

  Args:
    source: a file, or its bytes.
    mode: 'L', 'RGB', or with opacity 'LA', 'RGBA'.
    size: 0 for the image as it is.
    name: stands in the message where `source` is not a path.
    background: what transparent pixels let through, one of BACKGROUNDS, where the mode has no opacity.
  """
  return pixels_of(read_image(source, mode, name, background), size)


def read_image(source: Path | BinaryIO, mode: str, name: str | Path = '', background: str = 'white') -> Image.Image:
  """The image of a file, upright and in this mode; the arguments are those of `decode`."""
  with open_image(source, name or source) as image:
    image.load()  # what a PNG says behind its pixels is known from here on
    if orientation(image) > 1:
      image = ImageOps.exif_transpose(image)
    if image.mode != mode:
      image = on_background(image, background) if mode in ('L', 'RGB') else image
      image = image.convert(mode)
    elif mode in ('L', 'RGB') and 'transparency' in image.info:  # one color or gray value that is transparent
      image = on_background(image, background).convert(mode)
    return image


def pixels_of(image: Image.Image, size: int = 0) -> np.ndarray:
  """uint8 [H,W,C]; with `size` > 0 the central square, resized to size x size with antialiasing."""
  if size:
    image = central_square(image).resize((size, size), Image.Resampling.BICUBIC)
  # tobytes is faster than np.asarray, and counts for small images.
  return np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, len(image.mode))


def central_square(image: Image.Image) -> Image.Image:
  """The largest square around the center."""
  side = min(image.size)
  left, top = (image.width - side) // 2, (image.height - side) // 2
  return image.crop((left, top, left + side, top + side))


def on_background(image: Image.Image, background: str) -> Image.Image:
  """The image over a color where it has opacities, so that colors under transparent pixels stay hidden; else as it is.

  Each pixel is opacity * color + (1 - opacity) * background.
  """
  if not image.has_transparency_data:
    return image
  canvas = Image.new('RGBA', image.size, (*BACKGROUNDS[background], 255))
  canvas.alpha_composite(image.convert('RGBA'))
  return canvas.convert('RGB')


def conform(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
  """Images uint8 [N,h,w,c] in another shape: the central square resized with antialiasing, gray by luma or gray thrice.

  Images of that shape stay as they are, so the rule is the same for all.
  """
  if images.shape[1:] == shape:
    return images
  height, width, channels = shape
  if channels not in (1, 3):
    raise UserError(f'images of {channels} channels have no counterpart among others: gray ones or RGB are needed')
  mode = {1: 'L', 3: 'RGB'}[channels]

  def one(image: np.ndarray) -> np.ndarray:
    """One image [h,w,c]."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image[..., :3]).convert(mode)
    if image.shape[:2] != (height, width):
      picture = central_square(picture).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(picture, np.uint8).reshape(shape)

  return np.stack([one(image) for image in images])
