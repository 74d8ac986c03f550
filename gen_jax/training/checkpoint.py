"""Checkpoints that survive a kill at any moment, and are not believed when they are damaged."""

import contextlib
import dataclasses
import json
import os
import pathlib
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from ml_collections import ConfigDict
from orbax.checkpoint import checkpoint_managers as retention

from gen_jax.errors import UserError, nearest, show
from gen_jax.evaluation.evaluate import current_metric
from gen_jax.training import former_layouts, parallel, storage
from gen_jax.training.state import TrainState

# what a reader raises for files that are cut short, changed or missing; not what a full or busy machine raises
DAMAGE = (ValueError, KeyError, FileNotFoundError)
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


def read_validation(folder: pathlib.Path) -> dict[str, float]:
  """The validation metrics saved with a step, by today's names; {} where there are none, or none that can be read."""
  try:
    metrics = json.loads((folder / 'validation' / 'metadata').read_text())
    return {f'validation/{current_metric(name.removeprefix("validation/"))}': x for name, x in metrics.items()}
  except (OSError, ValueError, AttributeError):
    return {}


def check_seal(folder: pathlib.Path) -> None:
  """Raises ValueError that names the first file of a step that is not as it was written.

  A step that a kill left without a seal is believed: the reader finds most damages itself.
  """
  if not (folder / SEAL).exists():
    return
  written, present = json.loads((folder / SEAL).read_text()), digests(folder)
  for name, digest in written.items():
    if name not in present:
      raise ValueError(f'{name} is missing')
    if present[name] != digest:
      raise ValueError(f'{name} has changed')


def set_aside(folder: pathlib.Path) -> None:
  """Moves a damaged step out of the way of the one that will take its place; deletes nothing."""
  aside = folder.parent.parent / 'damaged' / f'{folder.name}-{time.time_ns()}'
  aside.parent.mkdir(exist_ok=True)
  folder.rename(aside)


def step_folders(directory: pathlib.Path) -> list[pathlib.Path]:
  """The folders of finished steps."""
  return [folder for folder in directory.iterdir() if folder.name.isdecimal()] if directory.exists() else []


@dataclasses.dataclass
class LastAndBest(retention.PreservationPolicy):
  """Keeps the last `keep` steps and the best one."""

  keep: int
  best_step: Callable[[], int | None]

  def should_preserve(self, checkpoints, *, context) -> list[bool]:
    """One answer for each of the checkpoints, which come in order."""
    del context
    best = self.best_step()
    last = {checkpoint.step for checkpoint in checkpoints[-self.keep :]}
    return [checkpoint.step in last or checkpoint.step == best for checkpoint in checkpoints]


def leaves(tree: Any) -> dict[str, tuple[tuple[int, ...], str]]:
  """{'params/encoder/Dense_0/kernel': (shape, dtype)} of arrays, or of what stands for them."""
  name = lambda key: str(getattr(key, 'key', getattr(key, 'name', getattr(key, 'idx', key))))
  flat = jax.tree_util.tree_leaves_with_path(tree)
  return {'/'.join(map(name, path)): (tuple(leaf.shape), str(leaf.dtype)) for path, leaf in flat}


def check_leaves(step: int, stored: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
  """Raises UserError where a checkpoint is not of the structure and the shapes that the config makes."""
  remedy = 'the config or the code differs from the run that wrote it; nothing was changed'
  for name in sorted(stored.keys() ^ expected.keys()):
    which = 'has' if name in stored else 'lacks'
    raise UserError(f'checkpoint {step} {which} {name}, of another model than this one: {remedy}')
  for name, (shape, dtype) in expected.items():
    if stored[name] != (shape, dtype):
      texts = [f'{kind} {list(size)}' for size, kind in (stored[name], (shape, dtype))]
      raise UserError(f'checkpoint {step}: {name} is {texts[0]} there and {texts[1]} here: {remedy}')


class Checkpoints:
  """The checkpoints of a workdir: the last `keep`, and the best by the validation metric `best` ('' for none).

  The one that trains writes; readers (`read_only`) leave everything as it is, so they may look on.
  """

  def __init__(
    self, directory: pathlib.Path, *, keep: int, best: str = '', best_mode: str = 'max', read_only: bool = False
  ):
    self._directory, self._best, self._best_mode = directory.resolve(), best, best_mode
    self._validations = {int(folder.name): read_validation(folder) for folder in step_folders(self._directory)}
    self._manager = None
    if not read_only:
      storage.quiet_writers()
      options = ocp.CheckpointManagerOptions(
        preservation_policy=LastAndBest(keep, self.best_step), cleanup_tmp_directories=True
      )
      self._manager = ocp.CheckpointManager(self._directory, options=options)

  @classmethod
  def of(cls, config: ConfigDict, workdir: pathlib.Path, read_only: bool = False) -> 'Checkpoints':
    """The checkpoints of the run that `config` describes."""
    best = config.best and f'validation/{config.best}'
    return cls(
      workdir / 'checkpoints', keep=config.keep, best=best, best_mode=config.best_mode, read_only=read_only
    )

  def save(self, state: TrainState, validation: Mapping[str, float]) -> None:
    """Saves host arrays in the background, with the validation metrics of this step, if there are any.

    Raises:
      UserError: the metric that `config.best` names is not among them; after saving, so that nothing is lost. There is
        no room on the disk, for this checkpoint or for the one before it, or it cannot be written.
    """
    self.finish()
    self.check_space(state)
    self._validations[int(state.step)] = dict(validation)
    with storage.writing(self._directory):
      self._manager.save(
        int(state.step),
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(state._asdict()), validation=ocp.args.JsonSave(dict(validation))
        ),
      )
    if validation and self._best and self._best not in validation:
      self.finish()
      word, *names = (name.removeprefix('validation/') for name in (self._best, *validation))
      raise UserError(
        f'config.best={word}: no evaluator gives it{nearest(word, names)}; step {int(state.step)} is saved'
      )

  def steps(self) -> list[int]:
    """The steps that are there, in order."""
    return sorted(int(folder.name) for folder in step_folders(self._directory))

  def best_step(self) -> int | None:
    """The step with the best metric, None where none has it; one saved between validations has none."""
    values = {step: metrics[self._best] for step, metrics in sorted(self._validations.items()) if self._best in metrics}
    best = max if self._best_mode == 'max' else min
    return best(values, key=values.get) if values else None

  def restore(self, like: TrainState, step: int) -> TrainState:
    """The state saved at `step`, as numpy arrays.

    Raises:
      ValueError, KeyError, FileNotFoundError: it is damaged.
      UserError: it is whole, but of another structure or other shapes than `like`.
    """
    folder = self._directory / str(step)
    check_seal(folder)
    with contextlib.closing(ocp.StandardCheckpointHandler()) as handler, ocp.StandardCheckpointer() as reader:
      stored = leaves(handler.metadata(folder / 'state').tree)  # the reader's own would warn of a file that is not ours
      expected = former_layouts.as_stored(like, stored)._asdict()
      check_leaves(step, stored, leaves(expected))
      template = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), expected)
      state = TrainState(**reader.restore(folder / 'state', template))
    return former_layouts.as_today(state, like, stored)

  def restore_latest(self, like_of: Callable[[int], TrainState], first: int | None = None) -> TrainState:
    """The newest state that is whole, `first` before all others; damaged ones are named, and by a writer set aside.

    Args:
      like_of: step -> a state of the structure and the shapes that a run has at that step.
      first: the step to try first.

    Raises:
      UserError: none is whole; or one is, but of another structure or other shapes, which stays where it is.
    """
    if self._manager:
      self._manager.wait_until_finished()
    damaged = []
    for step in sorted(self.steps(), key=lambda step: (step != first, -step)):
      try:
        state = self.restore(like_of(step), step)
      except DAMAGE as error:
        show(f'checkpoint {step} is damaged ({str(error)[:80]}): falling back to the one before')
        damaged.append(step)
        continue
      if damaged and self._manager:
        self._set_aside(damaged)
      return state
    raise UserError(f'{self._directory} holds no whole checkpoint: name another --workdir to start anew')

  def _set_aside(self, damaged: list[int]) -> None:
    parallel.barrier('all have read')
    for step in damaged:
      self._validations.pop(step, None)
      if parallel.is_main():
        set_aside(self._directory / str(step))
    parallel.barrier('set aside')
    self._manager.reload()

  def check_space(self, state: TrainState) -> None:
    """Raises UserError where the disk has no room for a checkpoint of this state."""
    if parallel.is_main():
      storage.check_space(self._directory, state)

  def finish(self) -> None:
    """Waits for what is being written, and seals it."""
    with storage.writing(self._directory):
      self._manager.wait_until_finished()
      if parallel.is_main():
        seal(self._directory)

  def close(self) -> None:
    """Finishes what a writer has begun, and frees its threads."""
    if self._manager:
      self.finish()
      self._manager.close()
