"""The stages of a training whose networks grow, as the section `config.stages` says them (Karras et al., 2018).

A stage is a value of the step. In each the images are twice as large as in the one before; what is new of the networks
is faded in first, then all is trained on. The last stage has the batch size and the learning rate of the config and
goes on to its last step; the others have their own, where they say so.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from ml_collections import ConfigDict

SMALLEST = 4  # pixels of a side
NOTHING_GROWS = {  # `config.stages` by default
  'resolutions': (),
  'fade_images': (100_000,),
  'stable_images': (100_000,),
  'batch_sizes': (),
  'learning_rates': (),
}


class Stage(NamedTuple):
  """What holds from a step on, until the next stage begins."""

  start: int
  until: int
  resolution: int  # pixels of a side of the images; 0 where nothing grows: as the data have it
  fade_steps: int  # from `start` on, in which what is new is faded in


def must_be_resolutions(value: Any) -> str | None:
  """Sides of images, each twice as long as the one before; or none."""
  if not isinstance(value, tuple) or not all(type(each) is int for each in value):
    return 'must be sides of images, such as (4, 8, 16, 32); (): nothing grows'
  if value and (value[0] < SMALLEST or value[0] & (value[0] - 1)):
    return f'must begin with a power of two, of at least {SMALLEST}'
  if len(value) == 1:
    return 'must be two at least; (): nothing grows'
  doubled = all(later == 2 * earlier for earlier, later in itertools.pairwise(value))
  return None if doubled else 'each must be twice the one before'


def must_be_counts(value: Any) -> str | None:
  """Numbers of images above 0, one for all stages, or one for each of several."""
  fits = isinstance(value, tuple) and value and all(type(each) is int and each > 0 for each in value)
  return None if fits else 'must be numbers of images above 0: one for all stages, or one for each'


def must_be_for_stages(kind: type, words: str) -> Any:
  """A check of values above 0, one for each of several stages; or none."""

  def problem(value: Any) -> str | None:
    allowed = (int, float) if kind is float else (int,)
    fits = isinstance(value, tuple) and all(type(each) in allowed and each > 0 for each in value)
    return None if fits else f'must be {words}, above 0, one for each stage before the last; (): as in the last'

  return problem


def problems(config: Any) -> Iterator[str]:
  """A line for whatever of the section does not fit together, or to the rest of the config."""
  section, growths = config.stages, len(config.stages.resolutions) - 1
  for name, default in NOTHING_GROWS.items():
    value = section[name]
    of_all = name.endswith('images') and len(value) == 1
    if growths < 0 and value != default:
      yield f'config.stages.{name}={value}: nothing grows; set config.stages.resolutions, such as (4, 8, 16, 32)'
    if growths > 0 and name != 'resolutions' and value and not of_all and len(value) != growths:
      which = 'after the first' if name == 'fade_images' else 'before the last'
      yield f'config.stages.{name}={value}: must be {growths}, one for each stage {which}'
  for player, changes in config.player_optimizers.items():
    if section.learning_rates and 'learning_rate' in changes:
      hidden = f'config.player_optimizers.{player}.learning_rate hides them; set one of both'
      yield f'config.stages.learning_rates={section.learning_rates}: {hidden}'
  if growths > 0 and config.snapshots:
    yield f'config.snapshots={config.snapshots}: those of networks that grow do not combine; set 0'


def problems_of_length(config: Any) -> Iterator[str]:
  """A line where the run would end before its last stage is there as a whole."""
  if config.stages.resolutions:
    last = stages_of(config)[-1]
    if last.start + last.fade_steps >= config.steps:
      what = f'images of {last.resolution}x{last.resolution} are whole from step {last.start + last.fade_steps} on'
      yield f'config.steps={config.steps}: {what}; make it more, or config.stages shorter'


def stages_of(config: Any) -> tuple[Stage, ...]:
  """All stages of a run, of which there is one where nothing grows. A stage ends with the step that completes it."""
  section = config.stages
  if not section.resolutions:
    return (Stage(0, config.steps, 0, 0),)
  growths = len(section.resolutions) - 1
  of_all = lambda numbers: numbers * growths if len(numbers) == 1 else numbers
  fades, stable = (0, *of_all(section.fade_images)), (*of_all(section.stable_images), 0)
  sizes = (*(section.batch_sizes or (config.batch_size,) * growths), config.batch_size)
  stages, start = [], 0
  for resolution, fade, rest, size in zip(section.resolutions, fades, stable, sizes, strict=True):
    fade_steps = math.ceil(fade / size)
    until = start + fade_steps + math.ceil(rest / size)
    stages.append(Stage(start, until, resolution, fade_steps))
    start = until
  return (*stages[:-1], stages[-1]._replace(until=config.steps))


def stage_at(config: Any, step: int) -> Stage:
  """The stage that a step belongs to; the last one's end belongs to it."""
  return [stage for stage in stages_of(config) if stage.start <= step][-1]


def config_of(config: ConfigDict, stage: Stage) -> ConfigDict:
  """The config with the batch size and the learning rate of a stage."""
  place = [each.start for each in stages_of(config)].index(stage.start)
  if place == len(config.stages.resolutions) - 1 or not config.stages.resolutions:
    return config
  own = ConfigDict(config.to_dict())
  if config.stages.batch_sizes:
    own.batch_size = config.stages.batch_sizes[place]
  if config.stages.learning_rates:
    own.optimizer.learning_rate = float(config.stages.learning_rates[place])
  return own.lock()


def earlier_batches(config: ConfigDict, stage: Stage, updates: int) -> int:
  """What is added to the number of a batch, step * updates + update, where batches were of other sizes before a stage.

  So the examples of a stage go on where those before ended, up to the rest of a batch.
  """
  before = [each for each in stages_of(config) if each.start < stage.start]
  seen = sum((each.until - each.start) * updates * config_of(config, each).batch_size for each in before)
  return math.ceil(seen / config_of(config, stage).batch_size) - stage.start * updates
