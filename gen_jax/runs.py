"""A trained run, opened from its workdir."""

import pathlib
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from gen_jax import build, settings
from gen_jax.data.dataset import Dataset
from gen_jax.errors import UserError
from gen_jax.training.checkpoint import Checkpoints
from gen_jax.training.loop import fresh_state
from gen_jax.training.state import TrainState
from gen_jax.types import Model
from gen_jax.verbs import Verbs


class Run(NamedTuple):
  """What a run left behind."""

  config: ConfigDict
  model: Model
  state: TrainState  # on the host
  workdir: pathlib.Path
  test: Dataset

  def verbs(self, seed: int = 0) -> Verbs:
    """The model's verbs at this state, with noise from `seed`."""
    return Verbs(self.model, self.state, seed)


def load(workdir: str | pathlib.Path, checkpoint: str = 'best', config: ConfigDict | None = None) -> Run:
  """The run in `workdir` at its 'best' or 'last' checkpoint, or at a step; 'best' is 'last' without a metric.

  Raises:
    UserError: there is no run, no such checkpoint, or none that is whole.
  """
  workdir = pathlib.Path(workdir)
  config = config or settings.load_config(workdir)
  test = build.dataset(config, 'test')
  model = build.model(config, test)
  like = jax.eval_shape(lambda: fresh_state(config, test, model, build.optimizers(config, model)))
  if not (workdir / 'checkpoints').is_dir():
    raise UserError(f'{workdir} has no checkpoint yet: train first')
  checkpoints = Checkpoints.of(config, workdir, read_only=True)
  try:
    steps = checkpoints.steps()
    if not steps:
      raise UserError(f'{workdir} has no checkpoint yet: train first')
    if checkpoint in ('best', 'last'):
      best = checkpoints.best_step() if checkpoint == 'best' else None
      state = checkpoints.restore_latest(like, best)
    elif checkpoint.isdecimal() and int(checkpoint) in steps:
      state = checkpoints.restore_latest(like, int(checkpoint))
    else:
      there = ', '.join(map(str, steps))
      raise UserError(f'--checkpoint={checkpoint}: choose best, last, or one of the steps {there}')
  finally:
    checkpoints.close()
  return Run(config, model, state, workdir, test)
