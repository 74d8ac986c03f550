"""Checkpoints that survive a kill at any moment, and are not believed when they are damaged."""

import math
import pathlib
import zlib
from collections.abc import Mapping

import jax
import numpy as np
import orbax.checkpoint as ocp
from ml_collections import ConfigDict
from orbax.checkpoint import checkpoint_managers as retention

from gen_jax.errors import UserError
from gen_jax.settings import nearest, show
from gen_jax.training.state import TrainState


def checksum(state: TrainState) -> int:
  """CRC-32 over all leaves, in the order of the tree."""
  crc = 0
  for leaf in jax.tree.leaves(state):
    crc = zlib.crc32(np.ascontiguousarray(leaf).data, crc)
  return crc


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
    self._manager = ocp.CheckpointManager(
      directory.resolve(),
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
    self._manager.save(
      int(state.step),
      args=ocp.args.Composite(
        state=ocp.args.StandardSave(state._asdict()), checksum=ocp.args.JsonSave({'crc32': checksum(state)})
      ),
      # one saved between validations is never the best
      metrics={self._best: metrics.get(self._best, self._worst)} if self._best else None,
    )

  def steps(self) -> list[int]:
    """The steps that can be restored, in order."""
    return sorted(self._manager.all_steps())

  def best_step(self) -> int | None:
    """The step with the best metric, None without one."""
    step = self._manager.best_step() if self._best else None
    return None if step is None or self._manager.metrics(step)[self._best] == self._worst else step

  def restore(self, like: TrainState, step: int) -> TrainState:
    """The state saved at `step`, as numpy arrays; raises ValueError where it is damaged."""
    template = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), like._asdict())
    restored = self._manager.restore(
      step, args=ocp.args.Composite(state=ocp.args.StandardRestore(template), checksum=ocp.args.JsonRestore())
    )
    state = TrainState(**restored['state'])
    if checksum(state) != restored['checksum']['crc32']:
      raise ValueError('its checksum does not match its content')
    return state

  def restore_latest(self, like: TrainState, first: int | None = None) -> TrainState:
    """The newest state that is whole, `first` before all others; says which it passed over.

    Raises:
      UserError: none is whole.
    """
    steps = self.steps()[::-1]
    for step in sorted(steps, key=lambda step: step != first):
      try:
        return self.restore(like, step)
      except Exception as error:  # whatever a damaged file makes the reader raise
        show(f'checkpoint {step} is damaged ({str(error)[:60]}...): falling back to the one before')
    raise UserError(f'{self._manager.directory} holds no whole checkpoint: name another --workdir to start anew')

  def close(self) -> None:
    """Waits, then frees the manager's threads."""
    self._manager.close()
