"""Checkpoints that survive a kill at any moment, and are not believed when they are damaged."""

import json
import math
import os
import pathlib
import time
import zlib
from collections.abc import Mapping

import jax
import numpy as np
import orbax.checkpoint as ocp
from ml_collections import ConfigDict
from orbax.checkpoint import checkpoint_managers as retention

from gen_jax.errors import UserError
from gen_jax.settings import nearest, show
from gen_jax.training import parallel
from gen_jax.training.state import TrainState

SEAL = 'files.json'  # in the folder of a step: {file: [size, CRC-32]}


def digests(folder: pathlib.Path) -> dict[str, list[int]]:
  """{relative path: [size, CRC-32]} of the files that hold a step's arrays."""
  files = sorted(path for path in (folder / 'state').rglob('*') if path.is_file())
  contents = ((path.relative_to(folder).as_posix(), path.read_bytes()) for path in files)
  return {name: [len(content), zlib.crc32(content)] for name, content in contents}


def seal(directory: pathlib.Path) -> None:
  """Writes the digests of every finished step that has none yet."""
  for folder in step_folders(directory):
    if not (folder / SEAL).exists():
      fresh = folder / f'{SEAL}.tmp'
      fresh.write_text(json.dumps(digests(folder)))
      os.replace(fresh, folder / SEAL)


def check_seal(folder: pathlib.Path) -> None:
  """Raises ValueError that names the first file of a step that is not as it was written.

  A step that a kill left without a seal is believed: the reader finds most damages itself.
  """
  if not (folder / SEAL).exists():
    return
  written, there = json.loads((folder / SEAL).read_text()), digests(folder)
  for name, digest in written.items():
    if name not in there:
      raise ValueError(f'{name} is missing')
    if there[name] != digest:
      raise ValueError(f'{name} has changed')


def set_aside(folder: pathlib.Path, reason: str) -> None:
  """Moves a damaged step out of the way of the one that will take its place; deletes nothing."""
  aside = folder.parent.parent / 'damaged' / f'{folder.name}-{time.time_ns()}'
  aside.parent.mkdir(exist_ok=True)
  folder.rename(aside)
  show(f'checkpoint {folder.name} is damaged ({reason[:80]}): moved to {aside}, falling back to the one before')


def step_folders(directory: pathlib.Path) -> list[pathlib.Path]:
  """The folders of finished steps."""
  return [folder for folder in directory.iterdir() if folder.name.isdigit()] if directory.exists() else []


class Checkpoints:
  """The checkpoints of a workdir: the last `keep`, and the best by `best`, a validation metric ('' for none)."""

  def __init__(self, directory: pathlib.Path, *, keep: int, best: str = '', best_mode: str = 'max'):
    self._best, self._worst = best, -math.inf if best_mode == 'max' else math.inf
    policies = [retention.LatestN(keep)]
    if best:
      policies.append(
        retention.BestN(
          get_metric_fn=lambda metrics: metrics[best],
          reverse=best_mode == 'min',
          n=1,
        )
      )
    self._directory = directory.resolve()
    for folder in step_folders(self._directory) if best else ():
      try:  # the manager reads all of these at once, and fails as a whole
        json.loads((folder / 'metrics' / 'metrics').read_text())
      except (OSError, ValueError) as error:
        set_aside(folder, str(error))
    self._manager = ocp.CheckpointManager(
      self._directory,
      options=ocp.CheckpointManagerOptions(
        preservation_policy=retention.AnyPreservationPolicy(policies),
        best_fn=(lambda metrics: metrics[best]) if best else None,
        best_mode=best_mode,
        cleanup_tmp_directories=True,
      ),
    )

  @classmethod
  def of(cls, config: ConfigDict, workdir: pathlib.Path) -> 'Checkpoints':
    """The checkpoints of the run that `config` describes."""
    best = config.best and f'validation/{config.best}'
    return cls(workdir / 'checkpoints', keep=config.keep, best=best, best_mode=config.best_mode)

  def save(self, state: TrainState, metrics: Mapping[str, float]) -> None:
    """Saves host arrays in the background; `metrics` are the validation metrics of this step, if there are any.

    Raises:
      UserError: the metric that `config.best` names is not among them.
    """
    if metrics and self._best and self._best not in metrics:
      raise UserError(f'config.best: no evaluator gives {self._best}{nearest(self._best, metrics)}')
    self._finish()
    self._manager.save(
      int(state.step),
      args=ocp.args.Composite(state=ocp.args.StandardSave(state._asdict())),
      # one saved between validations is never the best
      metrics={self._best: metrics.get(self._best, self._worst)} if self._best else None,
    )

  def steps(self) -> list[int]:
    """The steps that are there, in order."""
    return sorted(int(folder.name) for folder in step_folders(self._directory))

  def best_step(self) -> int | None:
    """The step with the best metric, None without one."""
    step = self._manager.best_step() if self._best else None
    return None if step is None or self._manager.metrics(step)[self._best] == self._worst else step

  def restore(self, like: TrainState, step: int) -> TrainState:
    """The state saved at `step`, as numpy arrays; raises ValueError where it is damaged."""
    check_seal(self._directory / str(step))
    template = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), like._asdict())
    restored = self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(template)))
    return TrainState(**restored['state'])

  def restore_latest(self, like: TrainState, first: int | None = None) -> TrainState:
    """The newest state that is whole, `first` before all others; damaged ones are set aside, and named.

    Raises:
      UserError: none is whole.
    """
    self._manager.wait_until_finished()
    for step in sorted(self.steps(), key=lambda step: (step != first, -step)):
      try:
        return self.restore(like, step)
      except Exception as error:  # whatever a damaged file makes the reader raise
        set_aside(self._directory / str(step), str(error))
        self._manager.reload()
    raise UserError(f'{self._directory} holds no whole checkpoint: name another --workdir to start anew')

  def _finish(self) -> None:
    """Waits for what is being written, and seals it."""
    self._manager.wait_until_finished()
    if parallel.is_main():
      seal(self._directory)

  def close(self) -> None:
    """Finishes, then frees the manager's threads."""
    self._finish()
    self._manager.close()
