"""From a config to the objects that it names: `getattr` on a namespace, no registry."""

import dataclasses
import functools
import inspect
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict, FrozenConfigDict

from gen_jax import evaluation, models, networks, randomness
from gen_jax import optimizers as optimizers_lib
from gen_jax.data import preprocess
from gen_jax.data.dataset import Dataset
from gen_jax.data.sets import digits, folder, planar, shapes, sprites, tfds
from gen_jax.errors import UserError, nearest
from gen_jax.types import Batch, Model


def evaluators(config: ConfigDict, final: bool = False) -> dict[str, Callable]:
  """The functions of `gen_jax.evaluation` that `config.evals` names, and at the end of a run `config.final_evals`.

  UserError for a name that is none; whether the data and the model are such as it needs, `checks` says.
  """
  names = [name for key in ('evals', 'final_evals')[: 1 + final] for name in as_tuple(config[key])]
  every = {name: getattr(evaluation, name) for name in dir(evaluation)}
  every = {name: getattr(x, 'evaluator', x) for name, x in every.items()}  # of a package, the one that it names
  there = {name: x for name, x in every.items() if inspect.isfunction(x)}
  for name in map(str, names):
    if name not in there:
      raise UserError(f'config.evals: {name!r} is unknown{nearest(name, there)}')
  return {name: there[name] for name in names}


def as_tuple(names: str | Sequence[str]) -> tuple[str, ...]:
  """One name on a command line is a string."""
  return (names,) if isinstance(names, str) else tuple(names)


def dataset(config: ConfigDict, split: str) -> Dataset:
  """The 'train', 'validation' or 'test' split of `config.data`, opened once."""
  return opened(FrozenConfigDict(config.data), split)


@functools.cache
def opened(data: FrozenConfigDict, split: str) -> Dataset:
  """The split that the section `config.data` describes."""
  if not data.name:
    raise UserError('config.data.name is empty: name a data set')
  if data.name in ('digits', 'shapes'):
    return {'digits': digits, 'shapes': shapes}[data.name].load(split)
  if planar.known(data.name):
    return planar.load(data.name, split)
  if data.name in sprites.VARIANTS:
    return sprites.load(split, data.name)
  path, budget = pathlib.Path(data.name).expanduser(), data.resident_mib * 2**20
  if path.is_dir() and not (path / 'dataset_info.json').exists():
    return folder.load(path, split, data.size, budget)
  return tfds.load(
    data.name, data[f'{split}_split'], data.dir or None, budget, label=data.label, size=data.size
  )


@functools.cache
def preprocess_with(**options: Any) -> Callable[[Batch, jax.Array], Batch]:
  """The same function for the same options, so that what is compiled for it is compiled once."""
  return functools.partial(preprocess.preprocess, **options)


def preprocessor(
  config: ConfigDict, data: Dataset, train: bool, **changes: Any
) -> Callable[[Batch, jax.Array], Batch]:
  """(raw batch, key) -> the batch as the model sees it; `changes` of config.data."""
  names = ('size', 'crop', 'flip', 'value_range', 'binarize', 'dequantize')
  options = {name: config.data[name] for name in names} | changes
  return preprocess_with(**options, levels=data.levels, train=train)


def facts(config: ConfigDict, data: Dataset) -> dict[str, Any]:
  """What the data and the precision fix for whichever class has a field of that name."""
  low, high = config.data.value_range
  levels = 2 if config.data.binarize != 'none' else data.levels
  image_shape = preprocess.shape_after(data.image_shape, size=config.data.size, crop=config.data.crop)
  return {
    'image_shape': image_shape,
    'channels': image_shape[-1],
    'num_classes': data.num_classes,
    'num_examples': data.size,  # of the training split where there is a loss
    'dtype': jnp.dtype(config.precision),
    'levels': levels,
    'low': low,
    'binary': levels == 2,
    'bin_width': (high - low) / levels if config.data.dequantize and levels else None,
  }


def instance(spec: ConfigDict, known: Mapping[str, Any], path: str) -> Any:
  """The module, model or Optax schedule that `spec` names, its fields from `spec`, the rest from `known`."""
  name = spec.get('name', '')
  found = [getattr(namespace, name) for namespace in (models, networks, optax) if name in dir(namespace)]
  if not found:
    classes = [n for namespace in (models, networks) for n in dir(namespace) if n[0].isupper()]
    raise UserError(f'{path}.name={name!r} is unknown{nearest(name, classes)}')
  arguments = {
    key: instance(value, known, f'{path}.{key}') if isinstance(value, ConfigDict) else value
    for key, value in spec.items()
    if key != 'name'
  }
  if dataclasses.is_dataclass(found[0]):
    fields = {field.name for field in dataclasses.fields(found[0])} - {'parent', 'name'}
    if unknown := set(arguments) - fields:
      word = min(unknown)
      raise UserError(f'{path}.{word} is no field of {name}{nearest(word, fields)}')
    if untrue := [key for key in arguments if key in known and arguments[key] != known[key]]:
      key = untrue[0]
      raise UserError(f'{path}.{key}={arguments[key]!r}: the data make it {known[key]!r}; leave it out')
    arguments = {key: value for key, value in known.items() if key in fields} | arguments
  try:
    return found[0](**arguments)
  except TypeError as error:
    raise UserError(f'{path}: {error}') from None


def fields_of(spec: Mapping[str, Any]) -> dict[str, Any]:
  """{field: default} of the class that `spec` names."""
  found = [getattr(namespace, spec['name']) for namespace in (models, networks) if spec['name'] in dir(namespace)]
  fields = dataclasses.fields(found[0]) if found and dataclasses.is_dataclass(found[0]) else ()
  return {field.name: field.default for field in fields if field.name not in ('name', 'parent')}


def default_fields(spec: Mapping[str, Any]) -> dict[str, Any]:
  """Those of `fields_of` that a command line can set."""
  return {name: default for name, default in fields_of(spec).items() if isinstance(default, int | float | str | tuple)}


def model(config: ConfigDict, data: Dataset) -> Model:
  """The game that `config.model` names, sized by the data."""
  return instance(config.model, facts(config, data), 'config.model')


def optimizers(config: ConfigDict, game: Model) -> dict[str, optax.GradientTransformation]:
  """One optimizer for each player; schedules count the player's own updates."""
  made = {}
  for name, player in game.players.items():
    c = ConfigDict({**config.optimizer, **config.player_optimizers.get(name, {})})
    schedule = optimizers_lib.learning_rate_schedule(
      c.learning_rate, c.schedule, c.warmup_steps * player.steps, config.steps * player.steps
    )
    made[name] = optimizers_lib.adam(schedule, c.b1, c.b2, c.eps, c.weight_decay, c.clip_norm, c.clip_weights)
  return made


def example_batch(data: Dataset, process: Callable[[Batch, jax.Array], Batch], rows: int) -> Batch:
  """A preprocessed batch of the first examples, for initialisation."""
  index = np.arange(rows, dtype=np.int32) % data.size
  raw = data.finish({**data.fetch(index), 'index': index}) | {'row': np.arange(rows, dtype=np.int32)}
  return process(raw, randomness.key(0))
