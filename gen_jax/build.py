"""From a config and a step to the task of a run: its data, model, optimizers, averages."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from gen_jax import optimizers as optimizers_lib
from gen_jax import power_ema, randomness, schedules
from gen_jax import stages as stages_lib
from gen_jax.classes import fields_that_may_differ, find_class, instantiate
from gen_jax.config import SAMPLER
from gen_jax.config import problems as problems_of_keys
from gen_jax.data import preprocess as preprocess_lib
from gen_jax.data import resampling, sources
from gen_jax.data.dataset import Dataset
from gen_jax.errors import UserError, must_be_fraction, nearest
from gen_jax.types import Batch, Facts, Model

Preprocess = Callable[[Batch, jax.Array], Batch]


class Task(NamedTuple):
  """What a run does from a step on, until the step at which its next stage begins: a value of (config, step)."""

  config: ConfigDict
  data: Dataset  # the training split
  model: Model
  optimizers: Mapping[str, optax.GradientTransformation]  # one for each player
  averages: Mapping[str, Callable[..., jax.Array]]  # {name: (step, born) -> its decay}
  preprocess: Preprocess  # as in training
  until: int  # the step at which this stage ends
  resampling: Any = None  # one of `data.resampling`, by which examples are drawn


def task(config: ConfigDict, step: int = 0, data: Dataset | None = None) -> Task:
  """The task that the run of `config` has at `step`. `data`: its training split, if it is open."""
  stage = stages_lib.stage_at(config, step)
  config = stages_lib.config_of(config, stage)
  data = data or dataset(config, 'train')
  made, rule = model(config, data, stage), resampling_rule(config, data)
  data = from_batch(data, stages_lib.earlier_batches(config, stage, sum(p.steps for p in made.players.values())))
  if rule:
    data = resampling.with_resampling(data, rule)
  trained_by, process = optimizers(config, made, stage.start), preprocessor(config, data, train=True)
  return Task(config, data, made, trained_by, averages(config), process, stage.until, rule)


# Data


def from_batch(data: Dataset, number: int) -> Dataset:
  """The data whose batch k is that of k + `number`."""
  if not number:
    return data
  later = lambda seed, state, batch, *rest: data.rows(
    seed, state, jnp.asarray(batch, jnp.uint32) + jnp.uint32(number % 2**32), *rest
  )
  return data._replace(rows=later)


def dataset(config: ConfigDict, split: str) -> Dataset:
  """The 'train', 'validation' or 'test' split of `config.data`, opened once."""
  return sources.open_split(config.data, split)


@functools.cache
def preprocess_with(**options: Any) -> Preprocess:
  """A cached partial of `preprocess`: one function for equal options, so that what uses it is compiled once."""
  return functools.partial(preprocess_lib.preprocess, **options | {'features': dict(options['features'])})


def preprocessor(config: ConfigDict, data: Dataset, train: bool, **changes: Any) -> Preprocess:
  """(raw batch, key) -> the batch as the model sees it; `changes` of config.data."""
  names = ('size', 'mutate', 'crop', 'flip', 'value_range', 'binarize', 'dequantize')
  options = {name: config.data[name] for name in names} | changes
  return preprocess_with(**options, features=tuple(data.features.items()), train=train)


def example_batch(data: Dataset, process: Preprocess, rows: int) -> Batch:
  """A preprocessed batch of the first examples, for initialization."""
  index = np.arange(rows, dtype=np.int32) % data.size
  raw = data.finish({**data.fetch(index), 'index': index}) | {'row': np.arange(rows, dtype=np.int32)}
  return process(raw, randomness.key(0))


def describe_changes(config: ConfigDict, data: Dataset) -> Iterator[str]:
  """A line where images are not seen as they are stored."""
  keys = ', '.join(f'config.data.{key}={config.data[key]}' for key in ('size', 'crop') if config.data[key])
  after = preprocess_lib.shapes_after(data.features, config.data.size, config.data.crop)
  shapes = dict.fromkeys((data.features[name].shape[:2], seen[:2]) for name, seen in after.items())
  for (height, width), (new_height, new_width) in shapes:
    if (height, width) != (new_height, new_width):
      yield f'images of {height}x{width} become {new_height}x{new_width}, by {keys}'


# Facts, which the data and the config fix


def shape_of_images(config: ConfigDict, data: Dataset) -> tuple[int, int, int]:
  """(H, W, C) as the model sees them."""
  return preprocess_lib.shape_after(data.main_feature, config.data.size, config.data.crop)


def levels_of_images(config: ConfigDict, data: Dataset) -> int:
  """The number of gray values as the model sees them; 0 where the data are no images."""
  return 2 if config.data.binarize != 'none' and data.levels else data.levels


def known_fields(config: ConfigDict, data: Dataset, stage: stages_lib.Stage | None = None) -> dict[str, Any]:
  """What the data, the precision and the stage, by default the last, fix for whichever class has such a field."""
  stage = stage or stages_lib.stages_of(config)[-1]
  (low, high), levels = config.data.value_range, levels_of_images(config, data)
  image_shape = shape_of_images(config, data)
  sides = {side: data.features[f'image_{side}'] for side in 'ab' if f'image_{side}' in data.features}
  return {
    'image_shape': image_shape,
    'channels': image_shape[-1],
    **{f'channels_{side}': feature.shape[-1] for side, feature in sides.items()},
    'num_classes': data.num_classes,
    'num_examples': data.size,  # of the training split where there is a loss
    'dtype': jnp.dtype(config.precision),
    'levels': levels,
    'low': low,
    'binary': levels == 2,
    'value_range': (low, high) if data.kind == 'image' else None,
    'stage': stage if stage.resolution else None,
    'sampler': config.sampler.name,
    'grid': config.sampler.grid,
    'bin_width': (high - low) / levels if config.data.dequantize and levels else None,
  }


def facts(config: ConfigDict, data: Dataset, players: Mapping[str, Any]) -> Facts:
  """What the classes of a model may ask when they state their problems; `data` is the training split."""
  return Facts(
    data_name=config.data.name,
    kind=data.kind,
    image_shape=shape_of_images(config, data),
    shapes=preprocess_lib.shapes_after(data.features, config.data.size, config.data.crop),
    own_order=data.own_order,
    levels=levels_of_images(config, data),
    value_range=config.data.value_range,
    binarize=config.data.binarize,
    dequantize=config.data.dequantize,
    num_classes=data.num_classes,
    num_examples=data.size,
    outliers='outlier' in data.features,
    batch_size=config.batch_size,
    shared_optimizer=config.optimizer.to_dict(),
    optimizers={name: optimizer_of(config, name).to_dict() for name in players},
  )


def problems(config: ConfigDict, data: Dataset, model: Model) -> Iterator[str]:
  """A line for whatever the classes of the model refuse, those of the model first, then those of its parts."""
  of_model = facts(config, data, model.players)
  yield from problems_of_model(of_model, model)
  if config.stages.resolutions and not hasattr(model, 'stage'):
    yield f'config.stages.resolutions={config.stages.resolutions}: {type(model).__name__} does not grow; set ()'
  if config.stages.resolutions and max(shape_of_images(config, data)[:2]) != config.stages.resolutions[-1]:
    height, width, _ = shape_of_images(config, data)
    end = f'images of {height}x{width}, at which they must end; config.data.size resizes images'
    yield f'config.stages.resolutions={config.stages.resolutions}: the data have {end}'
  if of_model.outliers and getattr(model, 'outlier_weight', None) is None:
    yield f'config.data.outliers={config.data.outliers}: has no effect without config.model.outlier_weight, of a VAE'
  if rule := resampling_rule(config, data):
    yield from problems_of_rule(rule, of_model, data, model)


def problems_of_model(of_model: Facts, model: Model) -> Iterator[str]:
  """A line for whatever the model and its parts refuse."""
  for path, module in modules_of(model, 'config.model'):
    for line in module.problems(of_model) if hasattr(module, 'problems') else ():
      yield line if line.startswith('config.') else f'{path}.{line}'


def problems_of_finished(config: ConfigDict, data: Dataset, model: Model) -> Iterator[str]:
  """A line for each setting of the sampler, or field of the model that may differ, that cannot work or does nothing."""
  yield from problems_of_sampler(config, model)
  free = tuple(f'config.{field}=' for field in fields_that_may_differ(config.model))
  yield from (line for line in problems_of_model(facts(config, data, model.players), model) if line.startswith(free))


def problems_of_sampler(config: ConfigDict, model: Model) -> Iterator[str]:
  """A line for each setting that is out of range, or without effect on the model."""
  yield from problems_of_keys(config.sampler, SAMPLER, 'config.sampler')
  if hasattr(model, 'problems_of_sampler'):
    yield from (f'config.sampler.{line}' for line in model.problems_of_sampler(config.sampler))
    return
  for name, key in SAMPLER.items():
    if config.sampler[name] != key.default:
      yield f'config.sampler.{name}={config.sampler[name]}: {type(model).__name__} samples at once, without steps'


def problems_of_rule(rule: Any, of_model: Facts, data: Dataset, model: Model) -> Iterator[str]:
  """Why a rule of resampling would fail with these data and this model."""
  if not isinstance(rule, resampling.Uniform):
    yield f'config.resampling.name={type(rule).__name__}: that is no rule of gen_jax/data/resampling.py'
    return
  if of_itself := [f'config.resampling.{line}' for line in rule.problems(of_model)]:
    yield from of_itself
    return
  if rule.method and not hasattr(model, rule.method):
    yield f'config.resampling.name={type(rule).__name__}: needs a model that can {rule.method}'
  if getattr(model, 'positive', rule.positive) != rule.positive:
    yield f'config.resampling.positive={rule.positive}: config.model.positive is {model.positive}'
  yield from resampling.problems_of_data(data, rule)


def modules_of(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
  """(path in the config, module) of a module and of those in its fields."""
  yield path, module
  for field in dataclasses.fields(module):
    value = getattr(module, field.name)
    if isinstance(value, nn.Module) and field.name != 'parent':
      yield from modules_of(value, f'{path}.{field.name}')


# The model and what trains it


def model(config: ConfigDict, data: Dataset, stage: stages_lib.Stage | None = None) -> Model:
  """The model that `config.model` names, sized by the data, in a stage of its growth, by default the last.

  UserError where the data lack what it reads.
  """
  reads = getattr(find_class(config.model.get('name', ''), 'config.model'), 'reads', ('image',))
  if line := sources.lacking(config.data, data, reads):
    raise UserError(f'config.model.name={config.model.name}: {line}')
  return instantiate(config.model, known_fields(config, data, stage), 'config.model')


def resampling_rule(config: ConfigDict, data: Dataset) -> Any:
  """The rule of `data.resampling` that `config.resampling` names; None where it names none."""
  return instantiate(config.resampling, known_fields(config, data), 'config.resampling') if config.resampling else None


def optimizer_of(config: ConfigDict, player: str) -> ConfigDict:
  """`config.optimizer` with what differs for a player."""
  return ConfigDict({**config.optimizer, **config.player_optimizers.get(player, {})})


def optimizers(config: ConfigDict, model: Model, start: int = 0) -> dict[str, optax.GradientTransformation]:
  """One optimizer for each player, that begins at the step `start`; schedules count the player's own updates."""
  made = {}
  for name, player in model.players.items():
    c, updates = optimizer_of(config, name), config.steps * player.steps
    begin = functools.partial(optimizers_lib.begin_at, update=start * player.steps)
    schedule = optimizers_lib.learning_rate_schedule(
      c.learning_rate, c.schedule, c.warmup_steps * player.steps, updates, c.final_learning_rate
    )
    b2 = begin(optimizers_lib.cosine_schedule(c.b2, c.final_b2, updates)) if c.final_b2 else c.b2
    made[name] = optimizers_lib.adam(begin(schedule), c.b1, b2, c.eps, c.weight_decay, c.clip_norm, c.clip_weights)
  return made


def averages(config: ConfigDict) -> dict[str, Callable[..., jax.Array]]:
  """{name: rule} of the averages of the parameters, a `DecayRule` each; 'ema' is that of `config.ema_decay`."""
  named = {'ema': config.ema_decay} if config.ema_decay else {}
  if named and 'ema' in config.averages:
    raise UserError('config.averages.ema: is that of config.ema_decay; set one of them')
  rules = {name: decay_rule(rule, f'config.averages.{name}') for name, rule in {**named, **config.averages}.items()}
  rules |= power_ema.decays(config)
  if config.evaluated_average not in ('', *rules):
    word = config.evaluated_average
    raise UserError(f'config.evaluated_average={word!r} is no average{nearest(word, rules)}')
  return rules


def decay_rule(rule: float | ConfigDict, path: str) -> Callable[..., jax.Array]:
  """That of a number, or of a schedule of the step, warmed up from the birth of a parameter.

  UserError where it is none, or begins outside [0, 1).
  """
  if not isinstance(rule, ConfigDict):
    if problem := must_be_fraction(rule):
      raise UserError(f'{path}={rule!r}: {problem}')
    return schedules.warm_up_decay(rule)
  schedule = instantiate(rule, {}, path)
  try:
    first = float(schedule(0))
  except Exception:  # whatever a class that is no schedule raises
    raise UserError(f'{path}.name={rule.name!r} is no schedule of the step, such as linear_schedule') from None
  if not 0 <= first < 1:
    raise UserError(f'{path}: a decay must lie in [0, 1), and begins at {first}')
  return schedules.warm_up_decay(schedule)
