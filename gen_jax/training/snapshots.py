"""The averages of `config.ema_widths` at some steps, in WORKDIR/snapshots/STEP, of which others are made afterwards.

The mathematics is in `gen_jax.power_ema`.
"""

import contextlib
import functools
import pathlib
import shutil

import jax
import numpy as np
from ml_collections import ConfigDict

from gen_jax import power_ema
from gen_jax.diffusion.settings import WORSE
from gen_jax.errors import UserError, show
from gen_jax.training import parallel
from gen_jax.training.checkpoint import DAMAGE, Checkpoints, step_folders
from gen_jax.training.state import TrainState

FOLDER = 'snapshots'
ALL = 2**31  # of them are kept
LARGE = 0.05  # an error of a profile's fit that is worth a line


def snapshot_steps(config: ConfigDict) -> list[int]:
  """The steps whose averages are kept, the last of the run among them.

  They are rounded up, so that no two are further apart than the first is from 0, as `loop.longest_window` needs it.
  """
  return sorted({-(-k * config.steps // config.snapshots) for k in range(1, config.snapshots + 1)})


def steps_in(workdir: pathlib.Path) -> list[int]:
  """The steps of all snapshots of a run, ascending."""
  return sorted(int(folder.name) for folder in step_folders(workdir / FOLDER))


def snapshot_of(state: TrainState, config: ConfigDict) -> TrainState:
  """What a snapshot holds of a state: its step and the averages of `config.ema_widths`."""
  ema = {name: state.ema[name] for name in map(power_ema.name_of, config.ema_widths)}
  return TrainState(state.step, {}, {}, {}, ema, ())


def remove_later(workdir: pathlib.Path, step: int) -> None:
  """Removes the snapshots after a step, from which the run goes on: it makes them anew."""
  later = [folder for folder in step_folders(workdir / FOLDER) if int(folder.name) > step]
  parallel.barrier('all have seen the snapshots')
  if parallel.is_main():
    for folder in later:
      shutil.rmtree(folder)
  parallel.barrier('later snapshots are removed')


def save_snapshot(state: TrainState, config: ConfigDict, workdir: pathlib.Path) -> None:
  """Writes the averages of a state on the host, and returns when they are whole on the disk.

  Of several processes each must have finished what else it writes: Orbax's writers would wait for each other.
  """
  with contextlib.closing(Checkpoints(workdir / FOLDER, keep=ALL)) as files:
    files.save(snapshot_of(state, config), {})


def with_width(state: TrainState, config: ConfigDict, workdir: pathlib.Path) -> TrainState:
  """The state with one average more: that of `config.ema_width` at its step, made of all snapshots until then.

  Shows how far its profile is off, where that is more than a little. UserError where there is no snapshot, or one is
  damaged.
  """
  width, step, names = config.ema_width, int(state.step), [power_ema.name_of(each) for each in config.ema_widths]
  files = Checkpoints(workdir / FOLDER, keep=ALL, read_only=True)
  steps = [each for each in files.steps() if each <= step]
  if not steps:
    raise UserError(f'config.ema_width={width}: {workdir / FOLDER} has no snapshot until step {step}: take a later one')
  coefficients, error = power_ema.combination(config.ema_widths, steps, width, step)
  if error > LARGE and parallel.is_main():
    of = f'{len(steps)} snapshots until step {steps[-1]}'
    show(f'config.ema_width={width}: {of} give the profile at step {step} with an error of {error:.0%}')
  total = jax.tree.map(lambda x: np.zeros(x.shape), state.ema[names[0]])
  for each, weights in zip(steps, coefficients, strict=True):
    kept = restore(files, state, config, each, workdir)
    for name, weight in zip(names, weights, strict=True):
      total = jax.tree.map(functools.partial(add, weight), total, kept[name])
  average = jax.tree.map(lambda x, like: x.astype(like.dtype), total, state.ema[names[0]])
  return state._replace(ema={**state.ema, power_ema.name_of(width): average})


def with_worse(state: TrainState, config: ConfigDict, workdir: pathlib.Path) -> TrainState:
  """The state with the parameters of the snapshot at `config.sampler.autoguidance` as a collection.

  Of the narrowest average; without, where it is 0. UserError where there is no such snapshot.
  """
  step = config.sampler.autoguidance
  variables = {name: tree for name, tree in state.variables.items() if name != WORSE}
  if not step:
    return state._replace(variables=variables)
  files = Checkpoints(workdir / FOLDER, keep=ALL, read_only=True)
  if step not in files.steps():
    choices = ', '.join(map(str, files.steps())) or 'none: train with config.ema_widths and config.snapshots'
    raise UserError(f'config.sampler.autoguidance={step}: is no snapshot of {workdir}; there are {choices}')
  kept = restore(files, state, config, step, workdir)
  params = kept[power_ema.name_of(min(config.ema_widths))]['params']
  return state._replace(variables={**variables, WORSE: params})


def restore(files: Checkpoints, state: TrainState, config: ConfigDict, step: int, workdir: pathlib.Path) -> dict:
  """The averages of a snapshot. UserError where it is damaged."""
  try:
    return files.restore(snapshot_of(state, config), step).ema
  except DAMAGE as problem:
    place = workdir / FOLDER / str(step)
    raise UserError(f'{place} is damaged ({str(problem)[:80]}): remove it, and the others are used') from None


def add(weight: float, total: np.ndarray, x: np.ndarray) -> np.ndarray:
  """total + weight x, in float64."""
  return total + weight * np.asarray(x, np.float64)
