"""Models, networks, penalties, rules and schedules by the names that a config gives them: `getattr` on a namespace."""

import dataclasses
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import optax
from ml_collections import ConfigDict

from gen_jax import files, models, networks, schedules
from gen_jax.data import resampling
from gen_jax.errors import UserError, nearest
from gen_jax.models import penalties

NAMESPACES = (models, penalties, networks, resampling)


def find_class(name: str, path: str) -> Any:
  """The model, penalty, network, rule of resampling or schedule, ours or Optax's, of this name; or one of the user's.

  That is named MODULE:CLASS, by its import path, or FILE.py:CLASS. Nothing is imported or run here, as the name may
  come from the config.json of a stranger's run: the module must have been imported, the file must be the experiment
  that is being run. Raises UserError, with `path` in front, where there is no such class.
  """
  where, colon, own = name.rpartition(':')
  if colon:
    return own_class(where, own, f'{path}.name={name!r}')
  for namespace in (*NAMESPACES, schedules, optax):
    found = getattr(namespace, name, None) if name in names_in(namespace) else None
    if callable(found):
      return found
  every = classes()
  for known in every.values():
    if name and name == getattr(known, 'formerly', ''):
      return known
  of_steps = [each for each in names_in(optax) if each.endswith(('_schedule', '_decay'))]
  raise UserError(f'{path}.name={name!r} is unknown{nearest(name, [*every, *names_in(schedules), *of_steps])}')


def names_in(namespace: types.ModuleType) -> list[str]:
  """Those that a config may give: of our schedules and rules only what is one, beside helpers and what they import."""
  if namespace is resampling:
    return [name for name, rule in vars(resampling).items() if getattr(rule, '__module__', '') == resampling.__name__]
  return [name for name in dir(namespace) if namespace is not schedules or name.endswith('_schedule')]


def classes() -> dict[str, type]:
  """{name: class} of all models, penalties, networks and rules of resampling."""
  named = ((namespace, name) for namespace in NAMESPACES for name in names_in(namespace))
  return {name: getattr(namespace, name) for namespace, name in named if name[0].isupper()}


def own_class(where: str, name: str, given: str) -> Any:
  """The class `name` of a module that has been imported, or of a file that has been run."""
  module = files.opened_module(where) if where.endswith('.py') else sys.modules.get(where)
  if module is None:
    remedy = f'--config={where}' if where.endswith('.py') else f'--config.model.name={where}:{name}, or its experiment'
    raise UserError(f'{given} is a class of your own, whose program is run only where it is named: name {remedy} too')
  if not hasattr(module, name):
    raise UserError(f'{given}: {where} has no {name!r}{nearest(name, vars(module))}')
  made_of = getattr(module, name)
  if not (isinstance(made_of, type) and issubclass(made_of, nn.Module)):
    raise UserError(f'{given} is no flax.linen.Module')
  return made_of


def instantiate(spec: ConfigDict, known: Mapping[str, Any], path: str) -> Any:
  """The module, model or schedule that `spec` names, its fields from `spec`, the rest from `known`."""
  name = spec.get('name', '')
  made_of = find_class(name, path)
  arguments = {
    key: instantiate(value, known, f'{path}.{key}') if isinstance(value, ConfigDict) else value
    for key, value in spec.items()
    if key != 'name'
  }
  if dataclasses.is_dataclass(made_of):
    fields = {field.name for field in dataclasses.fields(made_of)} - {'parent', 'name'}
    check_schedules(made_of, spec, arguments, path)
    if unknown := set(arguments) - fields:
      word = min(unknown)
      raise UserError(f'{path}.{word} is no field of {name}{nearest(word, fields)}')
    if untrue := [key for key in arguments if key in known and arguments[key] != known[key]]:
      key = untrue[0]
      raise UserError(f'{path}.{key}={arguments[key]!r}: the data and the config make it {known[key]!r}; leave it out')
    arguments = {key: value for key, value in known.items() if key in fields} | arguments
  try:
    parameters = inspect.signature(made_of).parameters.values()
    named = [each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    if lacking := [each.name for each in named if each.default is each.empty and each.name not in arguments]:
      raise UserError(f'{path}: {name} needs {", ".join(lacking)}: set {path}.{lacking[0]}')
    return made_of(**arguments)
  except (TypeError, ValueError) as error:  # of what it is made with, as schedules say it
    raise UserError(f'{path}: {error}') from None


def check_schedules(made_of: type, spec: ConfigDict, arguments: Mapping[str, Any], path: str) -> None:
  """Raises UserError where a schedule stands in a field that is of one number."""
  for field in dataclasses.fields(made_of):
    value = arguments.get(field.name)
    is_schedule = isinstance(spec.get(field.name), ConfigDict) and callable(value) and not isinstance(value, nn.Module)
    kind = getattr(field.type, '__name__', str(field.type))
    if is_schedule and kind in ('int', 'float', 'bool', 'str'):
      raise UserError(f'{path}.{field.name}: {made_of.__name__} takes one {kind}, which no schedule can be')


def fields_of(spec: Mapping[str, Any]) -> dict[str, Any]:
  """{field: default} of the class that `spec` names, or of the schedule; {} where that is none."""
  try:
    named = find_class(spec['name'], '')
  except UserError:  # it is said when it is built
    return {}
  if not isinstance(named, type):
    return parameters_of(named) if callable(named) else {}
  fields = dataclasses.fields(named) if dataclasses.is_dataclass(named) else ()
  return {field.name: field.default for field in fields if field.name not in ('name', 'parent')}


def parameters_of(schedule: Callable) -> dict[str, Any]:
  """{parameter: default} of a schedule; 0, or (), where it has none."""
  parameters = inspect.signature(schedule).parameters.values()
  return {each.name: zero_of(each) if each.default in (None, each.empty) else each.default for each in parameters}


def zero_of(parameter: inspect.Parameter) -> int | float | tuple:
  """What stands for the value of a parameter until it is set: of its type, by which a command line reads it."""
  kind = str(parameter.annotation)
  return () if 'Sequence' in kind else 0 if kind in ('int', "<class 'int'>") else 0.0


def default_fields(spec: Mapping[str, Any]) -> dict[str, Any]:
  """{field: default} of the fields that a command line can set: numbers, texts, tuples."""
  return {name: default for name, default in fields_of(spec).items() if isinstance(default, int | float | str | tuple)}


def former_fields(section: Mapping[str, Any]) -> Mapping[str, str]:
  """{old name: today's} of the fields of the class that a section names; {} where that is none."""
  try:
    return getattr(find_class(section.get('name', ''), ''), 'former_fields', {})
  except UserError:
    return {}


def upgrade_section(section: Mapping[str, Any]) -> dict[str, Any]:
  """A section of an old config with the names of today, by what its class says of its former ones."""
  section = {key: upgrade_section(value) if isinstance(value, Mapping) else value for key, value in section.items()}
  if 'name' not in section:
    return section
  try:
    named = find_class(section['name'], '')
  except UserError:
    return section
  if section['name'] and section['name'] == getattr(named, 'formerly', ''):
    section['name'] = named.__name__
  former = former_fields(section)
  section = {former.get(key, key): value for key, value in section.items()}
  return named.upgrade(section) if hasattr(named, 'upgrade') else section


def fields_that_may_differ(section: Mapping[str, Any], prefix: str = 'model') -> set[str]:
  """{'model.sampler.steps', ...}: fields that the classes of a model let a finished run be given other values of."""
  fields = set()
  if 'name' in section:
    named = find_class(section['name'], f'config.{prefix}')
    fields |= {f'{prefix}.{name}' for name in getattr(named, 'may_differ', ())}
  for key, value in section.items():
    if isinstance(value, Mapping | ConfigDict):
      fields |= fields_that_may_differ(value, f'{prefix}.{key}')
  return fields
