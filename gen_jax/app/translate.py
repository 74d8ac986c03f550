"""--mode=translate: an image, or those of a folder, translated by a run."""

import collections
import io
import pathlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from gen_jax.data.image_files import SUFFIXES, decode
from gen_jax.data.listing import find_files, suffix_of
from gen_jax.data.palettes import colored, one_hot, resize_labels
from gen_jax.data.side_format import OTHER, SideFormat
from gen_jax.errors import UserError, show
from gen_jax.evaluation.needs import images, methods
from gen_jax.figures.figure import Flag, mode
from gen_jax.files import expanded, write_bytes
from gen_jax.progress import with_progress
from gen_jax.runs.run import Run
from gen_jax.runs.translation import translate_images

Size = tuple[int, int]  # height and width


@mode(
  'translates images of any size: --input into --output',
  needs=(methods('translate_to_b'), images),
  writes=False,
  flags={
    'input': Flag('', 'an image, or a folder of images at any depth'),
    'output': Flag('', 'the folder to write to: PNG files, by the names of the images'),
    'to': Flag('b', 'the side to which images are translated: a or b'),
    'size': Flag(0, 'the shorter side is brought to so many pixels before, and back after; 0: not', 0),
    'skip_unreadable': Flag(False, 'leaves out files that cannot be read, and names them'),
    'round_trip': Flag(False, 'translates back as well: NAME_back.png'),
  },
)
def translate(
  run: Run, input: str, output: str, to: str, size: int, skip_unreadable: bool, round_trip: bool
) -> list[pathlib.Path]:
  """The images of `input`, translated, as PNG files in `output`, which keep their sizes; their paths.

  UserError for what is no image, unless it is to be skipped, and before anything is written over.
  """
  if not (input and output):
    raise UserError('--mode=translate needs --input, an image or a folder, and --output, a folder')
  run.check_side(to)
  back = OTHER[to]
  if round_trip:
    run.check_side(back)
  source, target = run.side(back), run.side(to)
  pixels = {1: 'L', 3: 'RGB'}[source.channels]
  targets = targets_of(expanded(input), expanded(output), round_trip)
  read: list[tuple[pathlib.Path, Size]] = []  # what could be read, in order

  def sources() -> Iterator[np.ndarray]:
    """The images that can be read, in order."""
    for file in targets:
      try:
        image = decode(file, pixels, 0, background=run.config.data.background)
      except UserError as error:
        if not skip_unreadable:
          raise UserError(f'{error}; remove it, or leave such files out by --skip_unreadable') from None
        show(f'left out: {error}')
        continue
      read.append((targets[file], image.shape[:2]))
      yield resize(image, shorter_side(image.shape[:2], size), source) if size else image

  written = []
  translated = translate_images(run.bound(), sources(), len(targets), to, source, target)
  for number, image in enumerate(with_progress(translated, len(targets), 'images translated')):
    path, shape = read[number]
    written.append(write_image(path, resize(image, shape, target)))
    if round_trip:
      (again,) = translate_images(run.bound(), [image], 1, back, target, source, first=number)
      written.append(write_image(back_of(path), resize(again, shape, source)))
  if not written:
    raise UserError(f'--input={input}: none of its {len(targets)} files can be read as an image')
  left_out = f'; {len(targets) - len(read)} left out' if len(read) < len(targets) else ''
  print(f'{len(read)} images translated to side {to}{left_out}: {output}')
  return written[:1]


def targets_of(source: pathlib.Path, folder: pathlib.Path, round_trip: bool) -> dict[pathlib.Path, pathlib.Path]:
  """{image: where its translation is written to}. UserError where there is none, or something would be written over."""
  if not source.exists():
    raise UserError(f'--input={source}: there is no such file or folder')
  paths, notes = find_files(source) if source.is_dir() else ([source.name], [])
  for note in notes:
    show(note)
  root = source if source.is_dir() else source.parent
  images = [path for path in paths if suffix_of(path) in SUFFIXES or not source.is_dir()]
  if not images:
    raise UserError(f'--input={source}: no images ({", ".join(sorted(SUFFIXES))}) in that folder')
  targets = {root / path: (folder / path).with_suffix('.png') for path in images}
  if folder.exists() and not folder.is_dir():
    raise UserError(f'--output={folder} is a file: name a folder')
  written = collections.Counter([*targets.values(), *(map(back_of, targets.values()) if round_trip else ())])
  if twice := next((path for path, times in written.items() if times > 1), None):
    raise UserError(f'--output: two images would be written to {twice}: rename one of them')
  if there := next((path for path in written if path.exists()), None):
    raise UserError(f'--output={folder}: {there} is there already, and would be written over: name another folder')
  return targets


def back_of(path: pathlib.Path) -> pathlib.Path:
  """Where what becomes of a translation on the way back is written."""
  return path.with_name(f'{path.stem}_back.png')


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


def write_image(path: pathlib.Path, image: np.ndarray) -> pathlib.Path:
  """A PNG file of an image [H,W,C], whole or not at all."""
  file = io.BytesIO()
  Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, 'PNG')
  write_bytes(path, file.getvalue())
  return path
