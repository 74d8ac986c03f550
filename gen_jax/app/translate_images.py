"""Image files, translated by a run: how they are read, translated and written."""

import io
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from gen_jax.data.image_files import decode
from gen_jax.data.listing import IMAGES
from gen_jax.data.palettes import colored, one_hot, resize_labels
from gen_jax.data.side_format import OTHER, SideFormat
from gen_jax.files import write_bytes
from gen_jax.runs.run import Run
from gen_jax.runs.translation import translate_images

FILES = IMAGES
Size = tuple[int, int]  # height and width


def suffix_after(suffix: str) -> str:
  """With which the name of a translation ends."""
  del suffix
  return '.png'


def read(run: Run, path: pathlib.Path, to: str) -> np.ndarray:
  """The image uint8 [H,W,C] of a file. UserError where it is none."""
  pixels = {1: 'L', 3: 'RGB'}[run.side(OTHER[to]).channels]
  return decode(path, pixels, 0, background=run.config.data.background)


def translations(
  run: Run, images: Iterable[np.ndarray], number: int, to: str, size: int, round_trip: bool
) -> Iterator[tuple[np.ndarray, ...]]:
  """(what each of `number` images becomes, and with `round_trip` what becomes of that on the way back), of its size.

  With `size` the shorter side has so many pixels in between.
  """
  model, source, target, shapes = run.bound(), run.side(OTHER[to]), run.side(to), []

  def prepared() -> Iterator[np.ndarray]:
    """The images as the model sees them, whose own sizes are noted."""
    for image in images:
      shapes.append(image.shape[:2])
      yield resize(image, shorter_side(image.shape[:2], size), source) if size else image

  for place, image in enumerate(translate_images(model, prepared(), number, to, source, target)):
    made = (resize(image, shapes[place], target),)
    if round_trip:
      (back,) = translate_images(model, [image], 1, OTHER[to], target, source, first=place)
      made += (resize(back, shapes[place], source),)
    yield made


def shorter_side(shape: Size, size: int) -> Size:
  """The height and width whose shorter one is `size`, of the same aspect."""
  return tuple(max(1, round(length * size / min(shape))) for length in shape)


def resize(image: np.ndarray, shape: Size, side: SideFormat) -> np.ndarray:
  """An image [h,w,C] at another height and width, with antialiasing; a map of labels by `resize_labels`."""
  if image.shape[:2] == shape:
    return image
  if side.palette:
    return colored(resize_labels(one_hot(image, side.palette), shape).argmax(-1), side.palette)
  picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
  return np.asarray(picture.resize(shape[::-1], Image.Resampling.BICUBIC)).reshape(*shape, -1)


def write(path: pathlib.Path, image: np.ndarray) -> None:
  """A PNG file of an image [H,W,C], whole or not at all."""
  file = io.BytesIO()
  Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, 'PNG')
  write_bytes(path, file.getvalue())
