"""What the same noise, or the same images, become over training, from what each evaluation has left of them."""

import contextlib
import pathlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.needs import images
from gen_jax.evaluation.source import Source
from gen_jax.figures.figure import Output, Picture, figure
from gen_jax.figures.inputs import is_planar
from gen_jax.figures.planar import axis_names, extent_in_units, real_points
from gen_jax.plots import canvas, grids, planar
from gen_jax.runs import Run
from gen_jax.stages import Stage, stages_of

FRAMES = 40  # of the animation, at most
STRIPS, COLUMNS = 8, 12  # steps of which the strip shows images, and images of each
PANELS = 6  # steps of which the strip shows points
GRID = 10  # columns of a frame of images
FIXED = {  # the evaluators that leave it
  'fixed_noise': 'What the same noise becomes over training',
  'fixed_translations': 'What the same images become over training',
}


def evenly_spaced(steps: list[int], most: int) -> list[int]:
  """At most so many of the steps, from the first to the last."""
  places = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), most)).round().astype(int))
  return [steps[place] for place in places]


@contextlib.contextmanager
def open_arrays(path: pathlib.Path) -> Iterator[np.ndarray | Mapping[str, np.ndarray]]:
  """The array of an npy file, or those of an npz file, read when they are asked for. UserError where it is damaged."""
  try:
    with path.open('rb') as file:
      yield np.load(file, allow_pickle=False)
  except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
    raise UserError(f'{path} is damaged ({error}): remove it') from None


def files_by_step(workdir: pathlib.Path, name: str) -> dict[int, pathlib.Path]:
  """{step: file} in ascending order: evaluations/STEP.npz that hold it, or fixed_noise/STEP.npy of older runs."""
  files = {int(path.stem): path for path in (workdir / name).glob('*.npy') if path.stem.isdecimal()}
  for path in (workdir / 'evaluations').glob('*.npz'):
    if path.stem.isdecimal():
      with open_arrays(path) as arrays:
        if name in arrays:
          files[int(path.stem)] = path
  return dict(sorted(files.items()))


def read_array(path: pathlib.Path, name: str) -> np.ndarray:
  """What stood fixed had become: images uint8 [N,H,W,C], or points [N,2]."""
  with open_arrays(path) as arrays:
    return arrays if isinstance(arrays, np.ndarray) else arrays[name]


def arrays_by_step(workdir: pathlib.Path, name: str) -> dict[int, np.ndarray]:
  """{step: what fixed noise, or fixed images, had become}, evenly spaced over training."""
  files = files_by_step(workdir, name)
  return {step: read_array(files[step], name) for step in evenly_spaced(list(files), FRAMES)}


def what_stood_fixed(run: Run) -> str:
  """The name of the evaluator whose arrays the run has left; '' where it has left none."""
  return next((name for name in FIXED if files_by_step(run.workdir, name)), '')


@figure(
  'what fixed noise, or fixed images, became in training: figures/progress.png, and as an animation, animation.png',
  place=90,
  automatic=lambda run: bool(what_stood_fixed(run)),
)
def progress(run: Run) -> Iterator[Output]:
  """What the same noise, or the same images, become: a strip of several steps, and an animation."""
  name = what_stood_fixed(run)
  if not name:
    raise UserError(f'{run.workdir} has no samples of fixed noise: train with {" or ".join(FIXED)} among config.evals')
  title, by_step = FIXED[name], arrays_by_step(run.workdir, name)
  if is_planar(run):
    real, in_units, names = real_points(run), run.source.data.in_units, axis_names(run)
    extent = extent_in_units(run, planar.extent_of(real))
    real, by_step = in_units(real), {step: in_units(fake) for step, fake in by_step.items()}
    frames = [
      canvas.png(planar.samples_over_target(real, fake, f'Step {step:,}', extent, names))
      for step, fake in by_step.items()
    ]
    strip = planar.strip(real, {step: by_step[step] for step in evenly_spaced(list(by_step), PANELS)}, extent, title)
  else:
    frames = [grids.png_bytes(grids.grid(images, GRID), scale=2) for images in by_step.values()]
    steps = evenly_spaced(list(by_step), STRIPS)
    strip = grids.labeled_rows({f'step {step:,}': by_step[step][:COLUMNS] for step in steps}, title)
  yield Picture('progress', strip, title)
  yield Picture('animation', planar.animation(frames), 'The same, as an animation')


def growing(model: Any, source: Source) -> str | None:
  """Networks that grow in stages."""
  del source
  return None if getattr(model, 'stage', None) else 'needs networks that grow; config.stages.resolutions is ()'


def last_of_stages(stages: Iterable[Stage], steps: Iterable[int]) -> dict[Stage, int]:
  """The last of the steps in (start, until] of each stage that has one; at `until` its networks are still there."""
  within = {stage: [step for step in steps if stage.start < step <= stage.until] for stage in stages}
  return {stage: max(found) for stage, found in within.items() if found}


@figure(
  'what fixed noise became at every resolution of networks that grow: figures/resolutions.png',
  needs=(images, growing),
  place=92,
  automatic=lambda run: bool(files_by_step(run.workdir, 'fixed_noise')),
)
def resolutions(run: Run) -> Iterator[Output]:
  """Samples of the same noise in the last evaluation of each stage: one row a resolution."""
  files = files_by_step(run.workdir, 'fixed_noise')
  if not files:
    raise UserError(f'{run.workdir} has no samples of fixed noise: train with fixed_noise among config.evals')
  rows = {
    f'{stage.resolution}x{stage.resolution}, step {step:,}': read_array(files[step], 'fixed_noise')[:COLUMNS]
    for stage, step in last_of_stages(stages_of(run.config), files).items()
  }
  title = 'What the same noise had become when each stage was last evaluated, enlarged to the size of the data'
  yield Picture('resolutions', grids.labeled_rows(rows, title), title)
