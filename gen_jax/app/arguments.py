"""From the command line to one locked config."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Mapping

from absl import flags
from ml_collections import ConfigDict, config_flags

from gen_jax import build, files, models
from gen_jax.app.modes import flags_of
from gen_jax.config import KEYS, flatten, import_module_of, with_names
from gen_jax.data import sources
from gen_jax.errors import UserError, nearest
from gen_jax.figures.figure import CHECKPOINT, Flag, by_all_names
from gen_jax.runs.workdir import load_config, with_current_names


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
    get_config = files.open_module(file).get_config
    variants = getattr(get_config, 'variants', ('default',))
    for name in variant.split(',') if variant else ():
      if name not in variants:
        raise UserError(f'--config: {path} has no variant {name!r}{nearest(name, variants)}')
    config = get_config(variant) if variant else get_config()
    if not isinstance(config, ConfigDict) or (missing := sorted(KEYS.keys() - config.keys())):
      lacks = f'lacks {", ".join(missing)}' if isinstance(config, ConfigDict) else f'is a {type(config).__name__}'
      raise UserError(f'--config: what get_config() of {path} gives {lacks}: begin from gen_jax.config.common()')
  except UserError:
    raise
  except Exception as error:  # the file is the user's own program
    raise UserError(f'--config: {path} gives no config: {type(error).__name__}: {error}') from None
  config = with_current_names(with_names(config))
  with config.unlocked():
    config.experiment = file.stem + (f':{variant}' if variant else '')
  return config


def option_value(arguments: list[str], name: str) -> str | None:
  """The value of the last --name=VALUE or --name VALUE among unparsed arguments."""
  values = [None]
  for i, argument in enumerate(arguments):
    word, equals, value = argument.lstrip('-').partition('=')
    if argument.startswith('-') and word == name:
      values.append(value if equals else (arguments[i + 1] if i + 1 < len(arguments) else ''))
  return values[-1]


def join_overrides(arguments: list[str]) -> list[str]:
  """The arguments with --config.KEY=VALUE in place of --config.KEY VALUE, as every key takes a value."""
  joined = []
  for argument in arguments:
    if joined and joined[-1].startswith('--config.') and '=' not in joined[-1] and not argument.startswith('--'):
      joined[-1] += f'={argument}'
    else:
      joined.append(argument)
  return joined


def without_option(arguments: list[str], name: str) -> list[str]:
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
    if word.endswith('.name'):
      import_module_of(value)  # of a class of the user's own, named here
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


def make_room_for_averages(arguments: list[str], config: ConfigDict) -> None:
  """Adds the averages that the arguments give a number as their decay."""
  for argument in arguments:
    word, _, value = argument.lstrip('-').partition('=')
    if word.startswith('config.averages.') and word.count('.') == 2 and is_number(value):
      with config.averages.unlocked():
        config.averages[word.rpartition('.')[2]] = 0.0


def forget_other_data(arguments: list[str], config: ConfigDict) -> None:
  """Where the arguments name other data, sets keys to their defaults that the config gives for its own set alone."""
  if name := option_value(arguments, 'config.data.name'):
    with config.unlocked():
      config.data.name = name
      config.data.update(sources.without_keys_of_others(config.data))


def with_words_as_tuples(arguments: list[str], config: ConfigDict) -> list[str]:
  """The arguments with --config.KEY=('a', 'b') in place of --config.KEY=a,b where KEY is a tuple of words."""
  flat, written = flatten(config), []
  for argument in arguments:
    word, equals, value = argument.partition('=')
    now = flat.get(word.lstrip('-').removeprefix('config.'))
    words = [part.strip() for part in value.split(',')]
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
        other = field_of_another_class(key, config)
        raise UserError(f'--{word}: there is no such key{other or nearest(key, [*flat, *possible_keys(key, config)])}')


def field_of_another_class(key: str, config: ConfigDict) -> str:
  """'; X has it: ...' where the key is no field of the model that `config` names, but of one or two others."""
  section, _, field = key.rpartition('.')
  if section != 'model':
    return ''
  owners = [name for name in dir(models) if name[0].isupper() and field in build.fields_of({'name': name})]
  return f'; it is of {" and ".join(owners)}: --config.model.name={owners[0]}' if 0 < len(owners) <= 2 else ''


def possible_keys(key: str, config: ConfigDict) -> list[str]:
  """The keys that could stand in the section of `key` and do not yet: fields of its class, or of an optimizer."""
  prefix, section = key.rpartition('.')[0], config
  if re.fullmatch(r'player_optimizers\.\w+', prefix):
    return [f'{prefix}.{name}' for name in config.optimizer]
  for name in prefix.split('.'):
    section = section.get(name) if isinstance(section, ConfigDict) else None
  has_class = isinstance(section, ConfigDict) and 'name' in section
  return [f'{prefix}.{name}' for name in build.default_fields(section)] if has_class else []


def find_mode(argv: list[str], every: Mapping[str, Callable]) -> Callable:
  """The mode that --mode names, `train` by default. UserError where there is none."""
  name, by_name = option_value(argv[1:], 'mode') or 'train', by_all_names(every)
  if name not in by_name:
    raise UserError(f'--mode={name} is unknown{nearest(name, every)}')
  return by_name[name]


def define_flags(function: Callable) -> flags.FlagValues:
  """The flags that a mode takes, but for --config, which is added when the config is known."""
  values = flags.FlagValues()
  flags.DEFINE_string('workdir', None, 'folder of the run; runs/NAME[-VARIANT] by default', flag_values=values)
  flags.DEFINE_string('mode', 'train', 'what to do', flag_values=values)
  flags.DEFINE_boolean(
    'compilation_cache', True, 'keep compiled programs in ~/.cache/gen_jax, for the next run', flag_values=values
  )
  flags.DEFINE_string('distributed', '', "'auto' on a cluster, or ADDRESS:PORT,PROCESSES,ID", flag_values=values)
  for name, flag in flags_of(function).items():
    define_flag(name, flag, values)
  return values


def define_flag(name: str, flag: Flag, values: flags.FlagValues) -> None:
  """Adds a flag of a mode."""
  if flag.value_type is bool:
    flags.DEFINE_boolean(name, flag.default, flag.help, flag_values=values)
  elif flag.value_type is int:
    flags.DEFINE_integer(name, flag.default, flag.help, lower_bound=flag.lower_bound, flag_values=values)
  elif flag.value_type is float:
    flags.DEFINE_float(name, flag.default, flag.help, lower_bound=flag.lower_bound, flag_values=values)
  elif flag.value_type is tuple:
    flags.DEFINE_list(name, list(flag.default), flag.help, flag_values=values)
  else:
    flags.DEFINE_string(name, flag.default, flag.help, flag_values=values)


def usage(introduction: str, every: Mapping[str, Callable]) -> str:
  """What --help prints: the modes, each with its flags."""
  config = '--config: experiments/NAME.py[:VARIANT], keys in gen_jax/config.py; --config.KEY=VALUE changes one'
  lines = []
  for name, function in every.items():
    lines.append(f'  {name:12} {function.help}')
    lines += [f'    --{flag}={default_of(each)}  {each.help}' for flag, each in own_flags(function).items()]
  shared = define_flags(every['train']).module_help(__name__).partition('\n')[2]
  of_runs = f'  --checkpoint={CHECKPOINT.default}  {CHECKPOINT.help}; in every mode on a run'
  return '\n'.join([introduction, config, '', 'modes:', *lines, '', 'flags of all modes:', shared, of_runs])


def own_flags(function: Callable) -> dict[str, Flag]:
  """{name: flag} of those that not every mode on a run takes."""
  return {name: flag for name, flag in function.flags.items() if flag is not CHECKPOINT}


def default_of(flag: Flag) -> str:
  """The default of a flag as a command line says it."""
  if flag.default is None:
    return flag.value_type.__name__.upper()
  return ','.join(flag.default) if isinstance(flag.default, tuple) else str(flag.default)


def with_current_flags(arguments: list[str], function: Callable) -> list[str]:
  """The arguments with today's names of the mode's flags in place of former ones."""
  former = {old: name for name, flag in function.flags.items() for old in flag.formerly}
  renamed = []
  for argument in arguments:
    word, equals, value = argument.lstrip('-').partition('=')
    known = argument.startswith('-') and word in former
    renamed.append(f'--{former[word]}{equals}{value}' if known else argument)
  return renamed


def check_flags(arguments: list[str], function: Callable, every: Mapping[str, Callable]) -> None:
  """Raises UserError where a flag is one of other modes only, as it would have no effect."""
  for argument in arguments:
    word = argument.lstrip('-').partition('=')[0]
    takers = [name for name, other in every.items() if has_flag(other, word)]
    if argument.startswith('-') and takers and not has_flag(function, word):
      others = modes_in_words(takers)
      raise UserError(f'--{argument.lstrip("-")}: --mode={function.__name__} takes no such flag; {others}')


def has_flag(function: Callable, word: str) -> bool:
  """Whether a mode has a flag of this name, or had one."""
  return any(word in (name, *flag.formerly) for name, flag in flags_of(function).items())


def modes_in_words(modes: list[str]) -> str:
  """'sample does', 'modes on a run do'."""
  if len(modes) > 4:
    return 'modes on a finished run do'
  return f'{", ".join(modes)} {"does" if len(modes) == 1 else "do"}'


def parse(argv: list[str], function: Callable, every: Mapping[str, Callable]) -> tuple[flags.FlagValues, ConfigDict]:
  """Parses the command line of a mode -> (its flags, the config with its overrides, locked).

  The config is the experiment's if --config names one, else that of the workdir. Without --workdir, it is
  runs/NAME, or runs/NAME-VARIANT.

  Raises:
    UserError: for whatever the user mistyped.
  """
  arguments, values = list(argv), define_flags(function)
  spec, workdir = option_value(arguments, 'config'), option_value(arguments, 'workdir')
  if workdir == '':
    raise UserError('--workdir is empty: name a folder')
  if spec:
    config = load_experiment(spec)
  elif workdir:
    config = load_config(pathlib.Path(workdir))
  else:
    raise UserError('name an experiment, --config=experiments/NAME.py, or a run, --workdir=FOLDER')
  arguments = join_overrides(without_option(arguments, 'config'))
  check_flags(arguments[1:], function, every)
  arguments = with_current_fields(with_current_flags(arguments, function), config)
  make_room(arguments, config)
  make_room_for_players(arguments, config)
  make_room_for_averages(arguments, config)
  check_overrides(arguments, config)
  forget_other_data(arguments, config)
  arguments = with_words_as_tuples(arguments, config)
  try:
    config_flags.DEFINE_config_dict('config', config, flag_values=values, sys_argv=arguments)
    rest = values(arguments)
  except flags.Error as error:
    raise UserError(str(error)) from None
  if rest[1:]:
    raise UserError(f'{rest[1]!r} is no flag: flags are --NAME=VALUE')
  if values.workdir is None:
    values.workdir = os.path.join('runs', config.experiment.replace(':', '-').replace(',', '-'))
  return values, with_current_names(values.config)


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
        path[i] = build.former_fields(section).get(field, field)
        section = section.get(path[i])
      argument = f'--{".".join(path)}{equals}{value}'
    renamed.append(argument)
  return renamed


def is_help(argv: list[str]) -> bool:
  """Whether help is all that is asked for."""
  return any(argument in ('-h', '--help', '-help') for argument in argv[1:]) or len(argv) == 1
