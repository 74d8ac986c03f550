"""A trained run, opened from its workdir."""

import json
import pathlib
import zipfile
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from gen_jax import build
from gen_jax.data.dataset import Dataset
from gen_jax.errors import UserError
from gen_jax.evaluation.bound import Verbs
from gen_jax.runs.workdir import load_config
from gen_jax.training.checkpoint import Checkpoints
from gen_jax.training.loop import fresh_state
from gen_jax.training.state import TrainState
from gen_jax.types import Model


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

  def evaluation(self) -> dict[str, Any]:
    """What evaluation.json says of this checkpoint, {} where there is none. UserError where it is damaged."""
    found = read_evaluation(self.workdir / 'evaluation.json')
    return found if found.get('step') == self.state.step else {}

  def arrays(self) -> dict[str, np.ndarray]:
    """What evaluation.npz holds of this checkpoint, {} where there is none. UserError where it is damaged."""
    path = self.workdir / 'evaluation.npz'
    try:
      with np.load(path) as file:
        arrays = dict(file)
    except FileNotFoundError:
      return {}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile):
      raise UserError(f'{path} is damaged: remove it, and evaluate again') from None
    return arrays if arrays.get('step') == self.state.step else {}


def read_evaluation(path: pathlib.Path) -> dict[str, Any]:
  """What evaluation.json holds, {} where there is none."""
  try:
    return json.loads(path.read_text()) if path.exists() else {}
  except ValueError:
    raise UserError(f'{path} is damaged: remove it, and evaluate again') from None


def load(workdir: str | pathlib.Path, checkpoint: str = 'best', config: ConfigDict | None = None) -> Run:
  """The run in `workdir` at its 'best' or 'last' checkpoint, or at a step; 'best' is 'last' without a metric.

  Raises:
    UserError: there is no run, no such checkpoint, or none that is whole.
  """
  workdir = pathlib.Path(workdir)
  config = config or load_config(workdir)
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
