"""Files of a run's figures: pictures and sounds in WORKDIR/figures, arrays beside it, and the index of the report.

WORKDIR/figures/index.json holds {file name: {'caption': text, 'place': number}}, and of a sound its 'group' too.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from gen_jax.data.audio_files import encode_audio
from gen_jax.errors import UserError, show
from gen_jax.figures.figure import Arrays, Picture, Sound, Text, missing, require, with_defaults
from gen_jax.files import save_arrays, write_bytes
from gen_jax.plots import canvas, grids, players
from gen_jax.runs import Run

CURVES = 'curves.png'  # of the metrics, which the report draws itself, in its section on training


def check_needs(figure: Callable, run: Run) -> None:
  """Raises UserError where the run's model or data are not such as the figure needs."""
  require(run, figure.__name__, *figure.needs)


def write_figure(figure: Callable, run: Run, **options: Any) -> list[pathlib.Path]:
  """Makes a figure, with flags of its mode, and writes its pictures, sounds and arrays into the workdir; their files.

  Raises:
    UserError: the figure cannot be made of this run.
  """
  check_needs(figure, run)
  paths = []
  for output in figure(run, **with_defaults(figure, options)):
    match output:
      case Picture():
        paths.append(write_picture(run.workdir / 'figures', output, figure.place))
      case Sound():
        paths.append(write_sound(run.workdir / 'figures', output, figure.place))
      case Arrays():
        paths.append(run.workdir / f'{output.name}.npz')
        save_arrays(paths[-1], output.arrays)
      case Text():
        print(output.text)
      case _:
        raise TypeError(f'{figure.__name__} yields {type(output).__name__}, not Picture, Sound, Arrays or Text')
  return paths


def automatic_figures(figures: Iterable[Callable], run: Run) -> list[Callable]:
  """The figures that are made at the end of training, and whose needs the run meets."""
  wanted = lambda figure: figure.automatic(run) if callable(figure.automatic) else figure.automatic
  return [figure for figure in figures if wanted(figure) and not missing(run, *figure.needs)]


def write_automatic_figures(figures: Iterable[Callable], run: Run) -> None:
  """Makes and writes the `automatic_figures`; a line says which one cannot be made, and the others are."""
  for figure in automatic_figures(figures, run):
    try:
      write_figure(figure, run)
    except UserError as error:
      show(f'left out of the report: {figure.__name__}: {error}')


def write_figures_of_arrays(figures: Iterable[Callable], run: Run, arrays: Iterable[str]) -> list[pathlib.Path]:
  """Makes those of the figures that show one of the named arrays, which an evaluation has just given; their files."""
  arrays = set(arrays)
  return [path for figure in figures if figure.after_evaluation in arrays for path in write_figure(figure, run)]


def write_picture(folder: pathlib.Path, picture: Picture, place: float) -> pathlib.Path:
  """Writes FOLDER/NAME.png, which it returns, and its caption and place into the index."""
  path = folder / f'{picture.name}.png'
  write_bytes(path, png_of(picture.content))
  write_entry(path, {'caption': picture.caption, 'place': place})
  return path


def write_sound(folder: pathlib.Path, sound: Sound, place: float) -> pathlib.Path:
  """Writes FOLDER/NAME.flac, which it returns, of 16 bits, and its caption, place and group into the index."""
  path = folder / f'{sound.name}.flac'
  write_bytes(path, encode_audio(sound.wave, sound.rate, 'FLAC'))
  write_entry(path, {'caption': sound.caption, 'place': place, 'group': sound.group})
  return path


def write_entry(path: pathlib.Path, entry: Mapping[str, Any]) -> None:
  """Writes what the index of its folder says of a file."""
  index = read_index(path.parent) | {path.name: entry}
  write_bytes(path.parent / 'index.json', (json.dumps(index, indent=2) + '\n').encode())


def png_of(content: Any) -> bytes:
  """A matplotlib Figure, an image uint8 [H,W,C], or the bytes of a PNG, as the bytes of a PNG."""
  if isinstance(content, bytes):
    return content
  return grids.png_bytes(content) if isinstance(content, np.ndarray) else canvas.png(content)


def read_index(folder: pathlib.Path) -> dict[str, Mapping[str, Any]]:
  """The index of the figures in a folder, {} where there is none. UserError where it is damaged."""
  path = folder / 'index.json'
  try:
    index = json.loads(path.read_text()) if path.exists() else {}
    if not all(isinstance(entry['caption'], str) and entry['place'] + 0 == entry['place'] for entry in index.values()):
      raise ValueError('an entry without caption or place')
  except (ValueError, TypeError, KeyError, AttributeError):
    raise UserError(f'{path} is damaged: remove it, and make the figures again') from None
  return index


def figures_of(workdir: pathlib.Path) -> list[tuple[str, pathlib.Path]]:
  """(caption, PNG) of all that the report of a run shows, in its order.

  First the files of the index by their place, which are left out where they are gone; then those that are not in the
  index, as those of runs older than it, by their names, which are their captions.
  """
  folder = workdir / 'figures'
  entries = entries_of(folder)
  figures = [(entry['caption'], path) for path, entry in entries.items() if path.suffix == '.png']
  known = {*entries, folder / CURVES}
  return figures + [(path.stem, path) for path in sorted(folder.glob('*.png')) if path not in known]


def sounds_of(workdir: pathlib.Path) -> list[players.Clip]:
  """The sounds that the report of a run plays, in its order."""
  entries = entries_of(workdir / 'figures')
  return [players.Clip(entry['group'], entry['caption'], path) for path, entry in entries.items() if 'group' in entry]


def entries_of(folder: pathlib.Path) -> dict[pathlib.Path, Mapping[str, Any]]:
  """{file: what the index says of it} of those that are there, by their place."""
  index = read_index(folder)
  names = sorted(index, key=lambda name: index[name]['place'])  # stable: the figures of a place in their own order
  return {folder / name: index[name] for name in names if (folder / name).is_file()}
