"""From the command line to one locked config."""

import dataclasses
import importlib.util
import os
import pathlib
import re

from absl import flags
from ml_collections import ConfigDict, config_flags

from gen_jax import build
from gen_jax.config import flatten
from gen_jax.errors import UserError, nearest
from gen_jax.runs.workdir import load_config


def load_experiment(spec: str) -> ConfigDict:
  """The config of 'PATH.py', 'PATH.py:VARIANT[,VARIANT]', or the 'config.json' of a run."""
  path, _, variant = spec.partition(':')
  file = pathlib.Path(path)
  if not file.is_file():
    folder = next(folder for folder in (file, file.parent, pathlib.Path('experiments')) if folder.is_dir())
    beside = [str(p) for p in folder.glob('*.py')]
    raise UserError(f'--config: there is no file {path}{nearest(path, beside)}')
  if file.name == 'config.json':
    return load_config(file.parent)
  if file.suffix != '.py':
    raise UserError(f'--config: {path} is neither an experiment (.py) nor the config.json of a run')
  try:
    module_spec = importlib.util.spec_from_file_location(f'experiment_{file.stem}', file)
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    get_config = module.get_config
    variants = getattr(get_config, 'variants', ('default',))
    for name in variant.split(',') if variant else ():
      if name not in variants:
        raise UserError(f'--config: {path} has no variant {name!r}{nearest(name, variants)}')
    config = get_config(variant) if variant else get_config()
  except UserError:
    raise
  except Exception as error:  # the file is the user's own program
    raise UserError(f'--config: {path} gives no config: {type(error).__name__}: {error}') from None
  config.experiment = file.stem + (f':{variant}' if variant else '')
  return config


def option(arguments: list[str], name: str) -> str | None:
  """The value of --name=VALUE or --name VALUE among unparsed arguments."""
  for i, argument in enumerate(arguments):
    word, equals, value = argument.lstrip('-').partition('=')
    if argument.startswith('-') and word == name:
      return value if equals else (arguments[i + 1] if i + 1 < len(arguments) else '')
  return None


def without(arguments: list[str], name: str) -> list[str]:
  """The arguments less --name=VALUE or --name VALUE."""
  kept, skip = [], False
  for argument in arguments:
    if not skip and argument.lstrip('-').partition('=')[0] == name and argument.startswith('-'):
      skip = '=' not in argument
      continue
    if not skip:
      kept.append(argument)
    skip = False
  return kept


def make_room(arguments: list[str], config: ConfigDict) -> None:
  """Adds to `config` the keys below `model` that the arguments set and it leaves at their defaults.

  These are fields of the classes that it, or the arguments, name; and a number may take the place of a schedule.
  """
  words = [argument.lstrip('-').partition('=') for argument in arguments if argument.startswith('-')]
  words = sorted(words, key=lambda word: not word[0].endswith('.name'))  # classes first, then their fields
  for word, _, value in (word for word in words if word[0].startswith('config.model.')):
    *path, key = word.removeprefix('config.').split('.')
    section = config
    for name in path:
      if name == path[-1] and isinstance(section, ConfigDict) and name not in section:
        add_module(section, name)
      section = section.get(name) if isinstance(section, ConfigDict) else None
    if not isinstance(section, ConfigDict):
      continue
    with section.unlocked():
      if isinstance(section.get(key), ConfigDict) and is_number(value):
        del section[key]
        section[key] = 0.0
      elif key == 'name' and key in section:
        change_class(section, value)
      elif key not in section and 'name' in section:
        section.update({name: default for name, default in build.default_fields(section).items() if name == key})


def change_class(section: ConfigDict, name: str) -> None:
  """Names another class in a section, and drops the fields that it has not."""
  section.name = name
  for field in set(section.keys()) - {'name', *build.fields_of(section)}:
    del section[field]


def add_module(section: ConfigDict, field: str) -> None:
  """Adds a section for a module that the class of `section` has by default, or may have, then without a name."""
  default = build.fields_of(section).get(field, 0) if 'name' in section else 0
  if default is None or dataclasses.is_dataclass(default):
    with section.unlocked():
      section[field] = ConfigDict({'name': type(default).__name__ if default else ''})


def make_room_for_players(arguments: list[str], config: ConfigDict) -> None:
  """Adds the keys of `player_optimizers` that the arguments set, each with the value of all players."""
  for argument in arguments:
    path = argument.lstrip('-').partition('=')[0].split('.')
    if len(path) == 4 and path[:2] == ['config', 'player_optimizers'] and path[3] in config.optimizer:
      _, section, player, key = path
      with config.unlocked():
        config.update({section: {player: {key: config.optimizer[key]}}})


def is_number(text: str) -> bool:
  """Whether the text of an argument is a number."""
  try:
    float(text)
  except ValueError:
    return False
  return True


def check_overrides(arguments: list[str], config: ConfigDict) -> None:
  """Raises UserError for a --config.KEY that the config lacks, naming the nearest key."""
  flat = flatten(config)
  sections = {key.rsplit('.', n)[0] for key in flat for n in range(1, key.count('.') + 1)}
  for argument in arguments:
    word = argument.lstrip('-').partition('=')[0]
    if argument.startswith('-') and word.startswith('config.'):
      key = word.removeprefix('config.')
      if key in sections:
        keys = ', '.join(name for name in flat if name.startswith(f'{key}.'))
        raise UserError(f'--{word} is a section: set one of its keys {keys}')
      if key not in flat:
        raise UserError(f'--{word}: there is no such key{nearest(key, [*flat, *unsaid(key, config)])}')


def unsaid(key: str, config: ConfigDict) -> list[str]:
  """The keys that could stand in the section of `key` and do not yet: fields of its class, or of an optimizer."""
  prefix, section = key.rpartition('.')[0], config
  if re.fullmatch(r'player_optimizers\.\w+', prefix):
    return [f'{prefix}.{name}' for name in config.optimizer]
  for name in prefix.split('.'):
    section = section.get(name) if isinstance(section, ConfigDict) else None
  there = isinstance(section, ConfigDict) and 'name' in section
  return [f'{prefix}.{name}' for name in build.default_fields(section)] if there else []


def parse(argv: list[str], values: flags.FlagValues) -> ConfigDict:
  """Parses the command line into `values` -> the config with its overrides, locked.

  The config is the experiment's if --config names one, else that of the workdir. Without --workdir, it is
  runs/NAME, or runs/NAME-VARIANT.

  Raises:
    UserError: for whatever the user mistyped.
  """
  arguments = list(argv)
  spec, workdir = option(arguments, 'config'), option(arguments, 'workdir')
  if workdir == '':
    raise UserError('--workdir is empty: name a folder')
  if spec:
    config = load_experiment(spec)
  elif workdir:
    config = load_config(pathlib.Path(workdir))
  else:
    raise UserError('name an experiment, --config=experiments/NAME.py, or a run, --workdir=FOLDER')
  arguments = without(arguments, 'config')
  make_room(arguments, config)
  make_room_for_players(arguments, config)
  check_overrides(arguments, config)
  try:
    config_flags.DEFINE_config_dict('config', config, flag_values=values, sys_argv=arguments)
    rest = values(arguments)
  except flags.Error as error:
    raise UserError(str(error)) from None
  if rest[1:]:
    raise UserError(f'{rest[1]!r} is no flag: flags are --NAME=VALUE')
  if values.workdir is None:
    values.workdir = os.path.join('runs', config.experiment.replace(':', '-').replace(',', '-'))
  return values.config


def is_help(argv: list[str]) -> bool:
  """Whether help is all that is asked for."""
  return any(argument in ('-h', '--help', '-help') for argument in argv[1:]) or len(argv) == 1
