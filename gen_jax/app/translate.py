"""--mode=translate: files of images or of sounds, one or those of a folder, translated by a run."""

import collections
import pathlib
from collections.abc import Iterator
from typing import Any

import flax.linen as nn

from gen_jax.app import translate_images, translate_sounds
from gen_jax.data.listing import find_files, suffix_of
from gen_jax.data.side_format import OTHER
from gen_jax.errors import UserError, show
from gen_jax.evaluation.needs import methods
from gen_jax.evaluation.source import Source
from gen_jax.figures.figure import Flag, mode
from gen_jax.files import expanded
from gen_jax.progress import with_progress
from gen_jax.runs.run import Run

KINDS = {'image': translate_images, 'sound': translate_sounds}  # by that of the data


def in_files(model: nn.Module, source: Source) -> str | None:
  """The data are such as lie in files: images or sounds."""
  del model
  return None if source.data.kind in KINDS else f'needs images or sounds; {source.name} holds {source.data.kind}'


@mode(
  'translates images of any size, or sounds of any length: --input into --output',
  needs=(methods('translate_to_b'), in_files),
  writes=False,
  flags={
    'input': Flag('', 'an image or a sound, or a folder of such at any depth'),
    'output': Flag('', 'the folder to write to, by the names of the files: images as PNG, sounds as they are'),
    'to': Flag('b', 'the side to which is translated: a or b'),
    'size': Flag(0, 'the shorter side of images is brought to so many pixels before, and back after; 0: not', 0),
    'skip_unreadable': Flag(False, 'leaves out files that cannot be read, and names them'),
    'round_trip': Flag(False, 'translates back as well: NAME_back'),
  },
)
def translate(
  run: Run, input: str, output: str, to: str, size: int, skip_unreadable: bool, round_trip: bool
) -> list[pathlib.Path]:
  """The files of `input`, translated, in `output`; images keep their sizes, sounds their lengths; the first's path.

  UserError for what is no such file, unless it is to be skipped, and before anything is written over.
  """
  kind = KINDS[run.source.data.kind]
  things = f'{kind.FILES.noun}s'
  if not (input and output):
    raise UserError('--mode=translate needs --input, a file or a folder, and --output, a folder')
  if size and kind is not translate_images:
    raise UserError(f'--size={size} is of images, and this run translates {things}')
  for side in (to, OTHER[to]) if round_trip and to in OTHER else (to,):
    run.check_side(side)
  targets = targets_of(kind, expanded(input), expanded(output), round_trip)
  read = []  # where the translations of what could be read are written to, in order

  def contents() -> Iterator[Any]:
    """What can be read, in order."""
    for file, target in targets.items():
      try:
        content = kind.read(run, file, to)
      except UserError as error:
        if not skip_unreadable:
          remedy = '' if 'remove it' in str(error) else '; remove it'
          raise UserError(f'{error}{remedy}, or leave such files out by --skip_unreadable') from None
        show(f'left out: {error}')
        continue
      read.append(target)
      yield content

  made = kind.translations(run, contents(), len(targets), to, size, round_trip)
  for number, results in enumerate(with_progress(made, len(targets), f'{things} translated')):
    for path, result in zip((read[number], back_of(read[number])), results, strict=False):
      kind.write(path, result)
  if not read:
    raise UserError(f'--input={input}: none of its {len(targets)} files can be read')
  left_out = f'; {len(targets) - len(read)} left out' if len(read) < len(targets) else ''
  print(f'{len(read)} {things} translated to side {to}{left_out}: {output}')
  return read[:1]


def targets_of(
  kind: Any, source: pathlib.Path, folder: pathlib.Path, round_trip: bool
) -> dict[pathlib.Path, pathlib.Path]:
  """{file: where its translation is written to}. UserError where there is none, or something would be written over."""
  if not source.exists():
    raise UserError(f'--input={source}: there is no such file or folder')
  paths, notes = find_files(source, kind.FILES) if source.is_dir() else ([source.name], [])
  for note in notes:
    show(note)
  root = source if source.is_dir() else source.parent
  files = [path for path in paths if suffix_of(path) in kind.FILES.suffixes or not source.is_dir()]
  if not files:
    known = ', '.join(sorted(kind.FILES.suffixes))
    raise UserError(f'--input={source}: no {kind.FILES.noun}s ({known}) in that folder')
  written_as = lambda path: (folder / path).with_suffix(kind.suffix_after(pathlib.PurePath(path).suffix))
  targets = {root / path: written_as(path) for path in files}
  if folder.exists() and not folder.is_dir():
    raise UserError(f'--output={folder} is a file: name a folder')
  written = collections.Counter([*targets.values(), *(map(back_of, targets.values()) if round_trip else ())])
  if twice := next((path for path, times in written.items() if times > 1), None):
    raise UserError(f'--output: two {kind.FILES.noun}s would be written to {twice}: rename one of them')
  if there := next((path for path in written if path.exists()), None):
    raise UserError(f'--output={folder}: {there} is there already, and would be written over: name another folder')
  return targets


def back_of(path: pathlib.Path) -> pathlib.Path:
  """Where what becomes of a translation on the way back is written."""
  return path.with_name(f'{path.stem}_back{path.suffix}')
