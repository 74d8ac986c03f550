"""--config.KEY=VALUE on a command line: which keys there are, and a config made ready to be given them."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gen_jax import classes, models
from gen_jax.config import flatten, import_module_of
from gen_jax.data import sources
from gen_jax.errors import UserError, nearest


def make_ready(arguments: list[str], config: ConfigDict) -> list[str]:
  """The arguments by today's names of keys, each --KEY=VALUE; `config` then has all keys that they set.

  Raises:
    UserError: there is no such key.
  """
  arguments = with_current_fields(join_overrides(arguments), config)
  make_room(arguments, config)
  make_room_for_players(arguments, config)
  make_room_for_averages(arguments, config)
  check_overrides(arguments, config)
  forget_other_data(arguments, config)
  return with_words_as_tuples(arguments, config)


def join_overrides(arguments: list[str]) -> list[str]:
  """The arguments with --config.KEY=VALUE in place of --config.KEY VALUE, as every key takes a value."""
  joined = []
  for argument in arguments:
    if joined and joined[-1].startswith('--config.') and '=' not in joined[-1] and not argument.startswith('--'):
      joined[-1] += f'={argument}'
    else:
      joined.append(argument)
  return joined


def make_room(arguments: list[str], config: ConfigDict) -> None:
  """Adds to `config` the keys that the arguments set and it leaves at their defaults, below the sections of classes.

  These are `model`, `averages` and `resampling`, and the keys fields of the classes that it, or the arguments, name. A
  number may take the place of a schedule, and one of those, KEY.name=SCHEDULE, that of a number.
  """
  words = [argument.lstrip('-').partition('=') for argument in arguments if argument.startswith('-')]
  of_classes = r'config\.(model|averages|resampling)\.'
  words = [(word.split('.'), value) for word, _, value in words if re.match(of_classes, word)]
  # classes first, the outer ones before the inner; then their fields
  for (_, *path, key), value in sorted(words, key=lambda word: (word[0][-1] != 'name', len(word[0]))):
    if key == 'name':
      import_module_of(value)  # of a class of the user's own, named here
    section = config
    for name in path:
      if name == path[-1] and isinstance(section, ConfigDict):
        add_section(section, name, to_be_named=key == 'name')
      section = section.get(name) if isinstance(section, ConfigDict) else None
    if isinstance(section, ConfigDict):
      with section.unlocked():
        if path == ['resampling'] and key == 'name' and not section:
          section.name = ''  # most configs name no rule
        add_key(section, key, value)


def add_key(section: ConfigDict, key: str, value: str) -> None:
  """Adds what one --config.SECTION.KEY=VALUE needs: a key of the type of the value that it will take."""
  if isinstance(section.get(key), ConfigDict) and is_number(value):
    del section[key]
    section[key] = 0.0
  elif key == 'name' and key in section:
    change_class(section, value)
  elif key not in section and 'name' in section:
    section.update({name: default for name, default in classes.default_fields(section).items() if name == key})


def change_class(section: ConfigDict, name: str) -> None:
  """Names another class in a section, and drops the fields that it has not."""
  section.name = name
  for field in set(section.keys()) - {'name', *classes.fields_of(section)}:
    del section[field]


def add_section(section: ConfigDict, field: str, to_be_named: bool) -> None:
  """Adds a section, without a name, for a module that the class of `section` has by default, or may have.

  Where it is `to_be_named`, in place of a number too, or of no number yet.
  """
  absent = None if 'name' not in section else classes.fields_of(section).get(field, '')  # averages have no name
  value = section.get(field, absent)
  is_module = field not in section and 'name' in section and (absent is None or dataclasses.is_dataclass(absent))
  is_number = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
  if is_module or (to_be_named and is_number):
    with section.unlocked():
      if field in section:
        del section[field]  # its type would be kept
      section[field] = ConfigDict({'name': type(absent).__name__ if dataclasses.is_dataclass(absent) else ''})


def make_room_for_players(arguments: list[str], config: ConfigDict) -> None:
  """Adds the keys of `player_optimizers` that the arguments set, each with the value of all players."""
  for argument in arguments:
    path = argument.lstrip('-').partition('=')[0].split('.')
    if len(path) == 4 and path[:2] == ['config', 'player_optimizers'] and path[3] in config.optimizer:
      _, section, player, key = path
      with config.unlocked():
        config.update({section: {player: {key: config.optimizer[key]}}})


def make_room_for_averages(arguments: list[str], config: ConfigDict) -> None:
  """Adds the averages that the arguments give a number as their decay."""
  for argument in arguments:
    word, _, value = argument.lstrip('-').partition('=')
    if word.startswith('config.averages.') and word.count('.') == 2 and is_number(value):
      with config.averages.unlocked():
        config.averages[word.rpartition('.')[2]] = 0.0


def forget_other_data(arguments: list[str], config: ConfigDict) -> None:
  """Where the arguments name other data, sets keys to their defaults that the config gives for its own set alone."""
  names = [argument.partition('=')[2] for argument in arguments if argument.startswith('--config.data.name=')]
  if names:
    with config.unlocked():
      config.data.name = names[-1]
      config.data.update(sources.without_keys_of_others(config.data))


def with_words_as_tuples(arguments: list[str], config: ConfigDict) -> list[str]:
  """The arguments with --config.KEY=('a', 'b') for --config.KEY=a,b where KEY is a tuple of words; a, is one."""
  flat, written = flatten(config), []
  for argument in arguments:
    word, equals, value = argument.partition('=')
    now = flat.get(word.lstrip('-').removeprefix('config.'))
    words = [part.strip() for part in value.removesuffix(',').split(',')]
    if isinstance(now, tuple) and all(isinstance(item, str) for item in now) and all(map(str.isidentifier, words)):
      argument = f'{word}{equals}{tuple(words)!r}'
    written.append(argument)
  return written


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
        check_is_section(key, flat)
        other = field_of_another_class(key, config)
        raise UserError(f'--{word}: there is no such key{other or nearest(key, [*flat, *possible_keys(key, config)])}')


def check_is_section(key: str, flat: Mapping[str, Any]) -> None:
  """Raises UserError where the key lies below one that is no section, as a field of a schedule that is not named."""
  above = key.rpartition('.')[0]
  if above in flat:
    remedy = f'; name a schedule in its place, --config.{above}.name=linear_schedule'
    known = above.startswith(('model.', 'averages.'))
    raise UserError(f'--config.{key}: config.{above} is {flat[above]!r}, and no section{remedy if known else ""}')


def field_of_another_class(key: str, config: ConfigDict) -> str:
  """'; X has it: ...' where the key is no field of the model that `config` names, but of one or two others."""
  section, _, field = key.rpartition('.')
  if section != 'model':
    return ''
  owners = [name for name in dir(models) if name[0].isupper() and field in classes.fields_of({'name': name})]
  return f'; it is of {" and ".join(owners)}: --config.model.name={owners[0]}' if 0 < len(owners) <= 2 else ''


def possible_keys(key: str, config: ConfigDict) -> list[str]:
  """The keys that could stand in the section of `key` and do not yet: fields of its class, or of an optimizer."""
  prefix, section = key.rpartition('.')[0], config
  if re.fullmatch(r'player_optimizers\.\w+', prefix):
    return [f'{prefix}.{name}' for name in config.optimizer]
  for name in prefix.split('.'):
    section = section.get(name) if isinstance(section, ConfigDict) else None
  has_class = isinstance(section, ConfigDict) and 'name' in section
  return [f'{prefix}.{name}' for name in classes.default_fields(section)] if has_class else []


def with_current_fields(arguments: list[str], config: ConfigDict) -> list[str]:
  """The arguments with today's names of the fields below `model` in place of former ones."""
  renamed = []
  for argument in arguments:
    word, equals, value = argument.lstrip('-').partition('=')
    if argument.startswith('-') and word.startswith('config.model.'):
      path, section = word.split('.'), config.model
      for i, field in enumerate(path[2:], start=2):
        if not isinstance(section, ConfigDict) or 'name' not in section:
          break
        path[i] = classes.former_fields(section).get(field, field)
        section = section.get(path[i])
      argument = f'--{".".join(path)}{equals}{value}'
    renamed.append(argument)
  return renamed
