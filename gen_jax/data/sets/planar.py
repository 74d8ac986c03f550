"""Distributions of points in the plane, on which what a GAN does can be seen, and a user's own as CSV or picture."""

import csv
import hashlib
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gen_jax.data.dataset import About, Dataset, Units, from_arrays
from gen_jax.data.image_files import SUFFIXES, decode
from gen_jax.data.listing import printable
from gen_jax.data.sets.grid_of_factors import split_rows
from gen_jax.data.sets.tree import trees
from gen_jax.errors import UserError
from gen_jax.gaussian_mixtures import GaussianMixture

ALL_TAKES = ('standardize', 'invert')  # keys of config.data for these alone, see `takes`
SPLITS = {'train': 100_000, 'validation': 10_000, 'test': 10_000}  # points of a split; its place is its seed
FEWEST = 10  # rows of a CSV


class Target(NamedTuple):
  """A distribution of points, most of them in [-2, 2]^2."""

  sample: Callable[[np.random.Generator, int], np.ndarray]  # (rng, n) -> float32 [n,2]
  modes: np.ndarray | None = None  # [K,2], the centers of K equally frequent normals, where it is made of such
  sigma: float = 0.0  # their standard deviation
  classes: tuple[GaussianMixture, ...] = ()  # p(x|y), where it is made of equally frequent classes, each known exactly
  class_names: tuple[str, ...] = ()


def mixture(modes: np.ndarray, sigma: float) -> Target:
  """1/K sum_k N(modes[k], sigma^2 I), for modes [K,2]."""

  def sample(rng: np.random.Generator, n: int) -> np.ndarray:
    centers = modes[rng.integers(len(modes), size=n)]
    return (centers + sigma * rng.standard_normal((n, 2))).astype(np.float32)

  return Target(sample, modes, sigma)


def ring() -> Target:
  """Eight normals on a circle of radius 2, sigma .02, all by 1.414 (Gulrajani et al., 2017, `gan_toy.py`)."""
  angle = np.arange(8) * math.pi / 4
  return mixture(2 / 1.414 * np.stack([np.cos(angle), np.sin(angle)], axis=-1), 0.02 / 1.414)


def grid() -> Target:
  """25 normals at {-4, -2, 0, 2, 4}^2, sigma .05, all by 2.828 (Gulrajani et al., 2017, `gan_toy.py`)."""
  modes = np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3)), axis=-1).reshape(-1, 2)
  return mixture(2 / 2.828 * modes, 0.05 / 2.828)


def swiss_roll(rng: np.random.Generator, n: int) -> np.ndarray:
  """(t (cos t, sin t) + N(0, .25^2 I)) / 7.5, t ~ U(1.5 pi, 4.5 pi): float32 [n,2].

  Axes 0 and 2 of scikit-learn's `make_swiss_roll`, as in `gan_toy.py` of Gulrajani et al. (2017).
  """
  t = rng.uniform(1.5 * math.pi, 4.5 * math.pi, n)
  curve = t[:, None] * np.stack([np.cos(t), np.sin(t)], axis=-1)
  return ((curve + 0.25 * rng.standard_normal((n, 2))) / 7.5).astype(np.float32)


def moons(rng: np.random.Generator, n: int) -> np.ndarray:
  """Two half circles, one in the other's opening: scikit-learn's `make_moons`, noise .05, centered, by 1.2: [n,2]."""
  t, upper = rng.uniform(0, math.pi, n), rng.random(n) < 0.5
  arc = np.stack([np.cos(t), np.sin(t)], axis=-1)
  curve = np.where(upper[:, None], arc, [1, 0.5] - arc)
  return (1.2 * (curve - [0.5, 0.25] + 0.05 * rng.standard_normal((n, 2)))).astype(np.float32)


def spirals(rng: np.random.Generator, n: int) -> np.ndarray:
  """Two arms of one and a half turns, each the other turned by pi: (+-t (cos t, sin t) + N(0, .25^2 I)) / 5: [n,2].

  t = 3 pi sqrt(u), u ~ U(0, 1), so that points are about equally dense along an arm.
  """
  t, sign = 3 * math.pi * np.sqrt(rng.random(n)), rng.choice([-1, 1], n)
  curve = (sign * t)[:, None] * np.stack([np.cos(t), np.sin(t)], axis=-1)
  return ((curve + 0.25 * rng.standard_normal((n, 2))) / 5).astype(np.float32)


def tree() -> Target:
  """Two trees of thin branches from one root, the classes (Karras et al., 2024), see `tree.trees`."""
  classes = trees()
  sample = lambda rng, n: sample_classes(classes, rng, draw_labels(classes, rng, n))
  return Target(sample, classes=classes, class_names=('upper', 'lower'))


def draw_labels(classes: Sequence[GaussianMixture], rng: np.random.Generator, n: int) -> np.ndarray:
  """int32 [n] of equally frequent classes."""
  return rng.integers(len(classes), size=n, dtype=np.int32)


def sample_classes(classes: Sequence[GaussianMixture], rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
  """A point of the class of each label [N]: float32 [N,2]."""
  points = np.empty((len(labels), 2), np.float32)
  for label, of_class in enumerate(classes):
    rows = np.flatnonzero(labels == label)
    points[rows] = of_class.sample(rng, len(rows))
  return points


TARGETS = {
  'ring': ring(),
  'grid': grid(),
  'swiss_roll': Target(swiss_roll),
  'moons': Target(moons),
  'spirals': Target(spirals),
  'tree': tree(),
}


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` names a distribution of points."""
  return names_points(data.name)


def takes(data: ConfigDict) -> tuple[str, ...]:
  """The keys of config.data that are for CSVs alone, or for pictures as densities."""
  if data.name in TARGETS:
    return ()
  return ('standardize',) if is_csv(data.name) else ('invert',)


def path_of(data: ConfigDict) -> str:
  """The file that the section names; '' where it is none."""
  return '' if data.name in TARGETS else data.name


def in_files(data: ConfigDict) -> bool:
  """Whether they are read from a file, which may be moved, changed or lost."""
  return data.name not in TARGETS


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split of the points that the section names."""
  return load(data.name, split, standardize=data.standardize, invert=data.invert)


def names_points(name: str) -> bool:
  """Whether `load` takes this name: one of TARGETS, or a path that ends as a CSV or an image does."""
  path = Path(name)
  return name in TARGETS or (path.suffix.lower() in {'.csv', *SUFFIXES} and not path.expanduser().is_dir())


def load(name: str, split: str, *, standardize: bool = True, invert: bool = False) -> Dataset:
  """'train' (100,000 points), 'validation' (10,000) or 'test' (10,000): {'image': float32 [N,1,1,2]}.

  `name` is one of TARGETS or the path of a picture (see `picture`), sampled with a seed for each split, with 'label'
  int32 [N] where it is of classes; or that of a CSV, whose own rows are divided 8 : 1 : 1, and standardized (see
  `units_of`). The data set's `target` is their distribution. Raises UserError for what cannot be read.
  """
  if split not in SPLITS:
    raise UserError(f"there is no split '{split}': use one of {', '.join(SPLITS)}.")
  if name in TARGETS:
    return sampled(TARGETS[name], split, About(f'the built-in points {name}', 'drawn anew for each split'))
  file = printable(str(require_file(name)))
  if is_csv(name):
    rows, names = csv_splits(name)
    units = units_of(rows['train'], names) if standardize else Units((0.0, 0.0), (1.0, 1.0), names)
    rule = 'rows divided 8 : 1 : 1 by a hash of their number'
    notes = ('the model sees each column standardized; samples and figures keep its units',) if standardize else ()
    content = hashlib.sha256(rows[split].tobytes()).hexdigest
    about = About(f'the table {file}, columns {" and ".join(names)}', rule, notes, content=content)
    data = from_arrays({'image': units.standardize(rows[split]).reshape(-1, 1, 1, 2)}, kind='points')
    return data._replace(target=resampling(units.standardize(rows['train'])), units=units, about=about)
  dense, other = ('dark', 'False') if invert else ('bright', 'True')
  note = f'{dense} pixels are dense, --config.data.invert={other} makes it the other way round'
  content = hashlib.sha256(require_file(name).read_bytes()).hexdigest
  about = About(f'the picture {file} as a density', 'drawn anew for each split', (note,), content=content)
  return sampled(picture(name, invert), split, about)


def sampled(target: Target, split: str, about: About) -> Dataset:
  """The points of a split, drawn from a distribution with a seed of the split's own; with labels, where it has any."""
  rng, n, classes = np.random.default_rng(list(SPLITS).index(split)), SPLITS[split], target.classes
  if not classes:
    data = from_arrays({'image': target.sample(rng, n).reshape(-1, 1, 1, 2)}, kind='points')
    return data._replace(target=target, about=about)
  labels = draw_labels(classes, rng, n)
  arrays = {'image': sample_classes(classes, rng, labels).reshape(-1, 1, 1, 2), 'label': labels}
  data = from_arrays(arrays, kind='points', num_classes=len(classes))
  return data._replace(target=target, class_names=target.class_names, about=about)


def resampling(rows: np.ndarray) -> Target:
  """The distribution that draws from rows [N,2] with replacement."""
  return Target(lambda rng, n: rows[rng.integers(len(rows), size=n)])


def is_csv(name: str) -> bool:
  """Whether this is the path of a CSV."""
  return Path(name).suffix.lower() == '.csv'


def picture(path: str | os.PathLike, invert: bool = False) -> Target:
  """An image file as a density: where it is bright there are many points, where it is black or transparent none.

  A pixel is drawn with probability proportional to its gray value, or 255 less it (`invert`: where it is dark there are
  many), times its opacity; then a point uniformly within it. The picture is upright (y up) and centered, its longer
  side from -2 to 2. Raises UserError: no such file, no image, nothing that has points.
  """
  path = require_file(path)
  gray, opacity = np.moveaxis(decode(path, 'LA', 0), -1, 0).astype(np.int64)  # [H,W] each
  (height, width), cumulative = gray.shape, np.cumsum((255 - gray if invert else gray) * opacity)
  if not cumulative[-1]:
    tone, dense = ('white', 'dark') if invert else ('black', 'bright')
    remedy = f'{dense} pixels are dense: set config.data.invert={not invert}, or make {dense} what is to have points'
    raise UserError(f'{path} is all {tone}, or transparent: {remedy}')

  def sample(rng: np.random.Generator, n: int) -> np.ndarray:
    """[n,2]: a pixel by its density, then a place in it."""
    # 'right' passes over pixels of no weight
    pixels = np.searchsorted(cumulative, rng.integers(cumulative[-1], size=n), side='right')
    row, column = np.divmod(pixels, width)
    right, down = rng.random((2, n))
    points = np.stack([column + right - width / 2, height / 2 - row - down], axis=-1)
    return (4 / max(height, width) * points).astype(np.float32)

  return Target(sample)


def csv_splits(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], tuple[str, str]]:
  """({split: its rows, float64 [N,2]}, the names of the columns) of a CSV.

  Raises UserError: what `read_csv` does, a column that does not vary.
  """
  points, names = read_csv(path)
  rows = {split: points[split_rows(len(points), split)] for split in SPLITS}
  if not np.ptp(rows['train'], axis=0).all():  # exactly 0 where all are equal, as a deviation is not
    raise UserError(f'{path} has a column whose values are all equal: points of a plane need two that vary')
  return rows, names


def units_of(train: np.ndarray, names: tuple[str, str]) -> Units:
  """The units of training rows [N,2] that are standardized: then each column has mean 0 and variance 1."""
  return Units(tuple(train.mean(axis=0).tolist()), tuple(train.std(axis=0).tolist()), names)


def read_csv(path: str | os.PathLike) -> tuple[np.ndarray, tuple[str, str]]:
  """(the numbers of a CSV of two columns, or of those headed x and y where there are more, float64 [N,2]; their names).

  The first line is a header where none of its cells is a number; empty lines are passed over. Raises UserError: no
  such file, no text, columns that are not two, a cell that is no finite number, fewer than 10 rows.
  """
  path = require_file(path)
  try:
    with path.open(newline='', encoding='utf-8-sig') as file:
      reader = csv.reader(file)
      lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise UserError(f'{path} cannot be read as CSV: {error}') from None
  first = [cell.strip() for cell in lines[0][1]] if lines else []
  header = first if all(math.isnan(parse_number(cell)) for cell in first) else []
  width = len(first) if lines else 2
  if width == 2:
    columns = (0, 1)
  elif {'x', 'y'} <= set(header):
    columns = (header.index('x'), header.index('y'))
  else:
    names = f' ({", ".join(header)})' if header else ''
    raise UserError(f'{path} has {width} columns{names}, not two separated by a comma: keep two, or head them x and y')
  lines = lines[bool(header) :]
  for line, row in lines:
    if len(row) != width:
      raise UserError(f'line {line} of {path} has {len(row)} cells, not {width}: mend or remove it')
    for column in columns:
      if not math.isfinite(parse_number(row[column])):
        raise UserError(f'line {line} of {path}: {row[column]!r} is no finite number: mend or remove it')
  if len(lines) < FEWEST:
    raise UserError(f'{path} has {len(lines)} rows of numbers: it needs at least {FEWEST}')
  names = tuple((header[column] if header else '') or axis for column, axis in zip(columns, 'xy', strict=True))
  return np.array([[parse_number(row[column]) for column in columns] for _, row in lines]), names


def parse_number(cell: str) -> float:
  """The number that a cell says, NaN where it says none."""
  try:
    return float(cell)
  except ValueError:
    return math.nan


def require_file(path: str | os.PathLike) -> Path:
  """The path of a file, or UserError."""
  path = Path(path).expanduser()
  if not path.is_file():
    raise UserError(f'there is no file {path}')
  return path
