"""What in a config cannot work, or would have no effect or no meaning: one line, before anything is trained.

Every class, evaluator and key says itself what it refuses; here they are asked.
"""

from collections.abc import Iterator

import jax
from ml_collections import ConfigDict

from gen_jax import build, randomness, stages
from gen_jax import config as config_lib
from gen_jax.data import sources
from gen_jax.data.dataset import Dataset
from gen_jax.errors import UserError, nearest
from gen_jax.evaluation import evaluate
from gen_jax.evaluation.source import Source
from gen_jax.training import parallel
from gen_jax.training.state import check_players
from gen_jax.types import Model


def raise_first(problems: Iterator[str]) -> None:
  """Raises UserError with the first of the lines, if there is one."""
  for problem in problems:
    raise UserError(problem)


def check(config: ConfigDict) -> None:
  """Raises UserError for whatever cannot work, before anything is written or trained."""
  check_keys(config)
  data = {split: build.dataset(config, split) for split in ('train', 'validation', 'test')}['train']
  for stage in reversed(stages.stages_of(config)):
    try:
      check_stage(stages.config_of(config, stage), data, stage)
    except UserError as error:
      if stage.until == config.steps:
        raise
      raise UserError(f'in the stage of {stage.resolution}x{stage.resolution} of config.stages: {error}') from None
  raise_first(stages.problems_of_length(config))


def check_stage(config: ConfigDict, data: Dataset, stage: stages.Stage) -> None:
  """Raises UserError for what cannot work in a stage of the training."""
  parallel.local_rows(config.batch_size)
  model = build.model(config, data, stage)
  check_players(model)
  raise_first(problems_of_players(config, model))
  raise_first(build.problems(config, data, model))
  raise_first(build.problems_of_sampler(config, model))
  raise_first(problems_of_autoguidance(config))
  check_evaluators(config, model, Source.of(config, data))
  preprocess = build.preprocessor(config, data, train=True)
  batch = jax.eval_shape(lambda: build.example_batch(data, preprocess, rows=1))
  try:
    jax.eval_shape(model.init, randomness.key(0), batch)
  except KeyError as error:  # of a batch
    features = ', '.join(data.features)
    raise UserError(f'config.model cannot be built: it asks the data for {error}, and they have {features}') from None
  except Exception as error:  # whatever a misshapen network makes Flax raise
    raise UserError(f'config.model cannot be built: {" ".join(str(error).split())[:200]}') from None


def check_keys(config: ConfigDict) -> None:
  """Raises UserError where a key has a value that it does not allow."""
  raise_first(config_lib.problems_of_numbers(config))
  raise_first(config_lib.problems(config))
  raise_first(sources.problems(config.data))
  raise_first(stages.problems(config))
  raise_first(problems_of_warmup(config))
  build.averages(config)


def check_evaluators(config: ConfigDict, model: Model, source: Source) -> None:
  """Raises UserError where `config.evals` or `config.final_evals` name what the data or the model are not made for."""
  names = evaluate.as_tuple(config.evals) + evaluate.as_tuple(config.final_evals)
  raise_first(evaluate.problems(names, model, source))


def problems_of_players(config: ConfigDict, model: Model) -> Iterator[str]:
  """A line for each section of `config.player_optimizers` of no player, each key of no optimizer, each bad value."""
  for player, changes in config.player_optimizers.items():
    path = f'config.player_optimizers.{player}'
    if player not in model.players:
      yield f'{path}: no player of this model{nearest(player, model.players)}'
    for key in changes:
      if key not in config.optimizer:
        yield f'{path}.{key} is no key{nearest(key, config.optimizer)}'
    yield from config_lib.problems(changes, config_lib.OPTIMIZER, path)
  for player in model.players:
    optimizer = build.optimizer_of(config, player)
    if optimizer.final_learning_rate and optimizer.schedule == 'constant':
      own = 'final_learning_rate' in config.player_optimizers.get(player, {})
      section = f'player_optimizers.{player}' if own else 'optimizer'
      end = f'final_learning_rate={optimizer.final_learning_rate}'
      yield f"config.{section}.{end}: schedule='constant' does not come to it; choose 'cosine' or 'linear'"


def problems_of_autoguidance(config: ConfigDict) -> Iterator[str]:
  """A line where samples would be guided by a snapshot that there is not yet."""
  if step := config.sampler.autoguidance:
    yield f'config.sampler.autoguidance={step}: is of a finished run, in a mode such as --mode=sample'


def problems_of_warmup(config: ConfigDict) -> Iterator[str]:
  """A line for each learning rate that would rise until the end."""
  sections = {f'player_optimizers.{player}': changes for player, changes in config.player_optimizers.items()}
  sections = {'optimizer': config.optimizer} | sections
  for section, optimizer in sections.items():
    if optimizer.get('warmup_steps', 0) >= config.steps:
      yield f'config.{section}.warmup_steps={optimizer["warmup_steps"]}: must be below config.steps'
