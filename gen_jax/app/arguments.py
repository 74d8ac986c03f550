"""From the command line to one locked config."""

import os
from collections.abc import Callable, Mapping

from absl import flags
from ml_collections import ConfigDict, config_flags

from gen_jax.app import overrides
from gen_jax.app.experiment_files import load_experiment
from gen_jax.app.modes import OF_RUNS, OF_TRAINING, flags_of
from gen_jax.errors import UserError, must_fit_32_bits, nearest
from gen_jax.figures.figure import Flag, by_all_names
from gen_jax.files import expanded
from gen_jax.runs.workdir import open_config, with_current_names

EXIT_CODES = 'exit codes: 0; 2 after one line that says what is wrong; 130 after Ctrl-C, 143 after SIGTERM'


def option_value(arguments: list[str], name: str) -> str | None:
  """The value of the last --name=VALUE or --name VALUE among unparsed arguments."""
  values = [None]
  for i, argument in enumerate(arguments):
    word, equals, value = argument.lstrip('-').partition('=')
    if argument.startswith('-') and word == name:
      values.append(value if equals else (arguments[i + 1] if i + 1 < len(arguments) else ''))
  return values[-1]


def is_switched_on(arguments: list[str], name: str) -> bool:
  """Whether unparsed arguments hold --name, and no --noname or --name=false after it."""
  on = False
  for argument in arguments:
    word, _, value = argument.lstrip('-').partition('=')
    if argument.startswith('-') and word in (name, f'no{name}'):
      on = word == name and value.lower() not in ('false', 'f', '0', 'no', 'n')
  return on


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


def find_mode(argv: list[str], every: Mapping[str, Callable]) -> Callable:
  """The mode that --mode names, `train` by default. UserError where there is none."""
  name, by_name = option_value(argv[1:], 'mode'), by_all_names(every)
  name = 'train' if name is None else name
  if name not in by_name:
    raise UserError(f'--mode={name} is unknown{nearest(name, every)}')
  return by_name[name]


def define_flags(function: Callable | None = None) -> flags.FlagValues:
  """The flags that all modes take, or with `function` all that this one takes.

  But for --config, which is added when the config is known.
  """
  values = flags.FlagValues()
  flags.DEFINE_string('workdir', None, 'folder of the run; runs/NAME[-VARIANT] by default', flag_values=values)
  flags.DEFINE_string('mode', 'train', 'what to do', flag_values=values)
  flags.DEFINE_boolean(
    'compilation_cache', True, 'keep compiled programs in ~/.cache/gen_jax, for the next run', flag_values=values
  )
  for name, flag in (flags_of(function) if function else {}).items():
    define_flag(name, flag, values)
  return values


def define_flag(name: str, flag: Flag, values: flags.FlagValues) -> None:
  """Adds a flag of a mode."""
  if flag.value_type is bool:
    flags.DEFINE_boolean(name, flag.default, flag.help, flag_values=values)
  elif flag.value_type is int:
    bounds = flag.lower_bound, flag.upper_bound
    flags.DEFINE_integer(name, flag.default, flag.help, *bounds, flag_values=values)
  elif flag.value_type is float:
    flags.DEFINE_float(name, flag.default, flag.help, flag.lower_bound, flag.upper_bound, flag_values=values)
    flags.register_validator(name, lambda value: must_fit_32_bits(value) is None, 'must be finite', values)
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
  shared = define_flags().module_help(__name__).partition('\n')[2]
  of_others = [f'  --{flag}={default_of(each)}  {each.help}' for flag, each in {**OF_TRAINING, **OF_RUNS}.items()]
  parts = [introduction, config, '', 'modes:', *lines, '', 'flags of all modes:', shared, *of_others, '', EXIT_CODES]
  return '\n'.join(parts)


def own_flags(function: Callable) -> dict[str, Flag]:
  """{name: flag} of those that only this mode takes."""
  return {name: flag for name, flag in function.flags.items() if name not in OF_RUNS}


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
  check_flags(arguments[1:], function, every)
  config = config_of(arguments, function)
  arguments = without_option(arguments, 'config')
  arguments = overrides.make_ready(with_current_flags(arguments, function), config)
  try:
    config_flags.DEFINE_config_dict('config', config, flag_values=values, sys_argv=arguments)
    rest = values(arguments)
  except flags.Error as error:
    raise UserError(str(error)) from None
  if rest[1:]:
    raise UserError(f'{rest[1]!r} is no flag: flags are --NAME=VALUE')
  given = [name for name in values if values[name].present and not name.startswith('config')]
  if empty := [name for name in given if values[name].value in ('', [])]:
    raise UserError(f'--{empty[0]} is empty: give it a value, or leave it out')
  if values.workdir is None:
    values.workdir = os.path.join('runs', config.experiment.replace(':', '-').replace(',', '-'))
  return values, with_current_names(values.config)


def config_of(arguments: list[str], function: Callable) -> ConfigDict:
  """The config that --config names, else that of the run in --workdir. UserError where neither is named."""
  spec, workdir = option_value(arguments, 'config'), option_value(arguments, 'workdir')
  for name, value in (('config', spec), ('workdir', workdir)):
    if value == '':
      raise UserError(f'--{name} is empty: give it a value, or leave it out')
  trust = is_switched_on(arguments, 'trust_workdir')
  if spec and workdir and not function.writes:
    raise UserError(f'--workdir: --mode={function.__name__} writes nothing, and --config says what it is of')
  if spec:
    return load_experiment(spec, trust)
  if workdir:
    return open_config(expanded(workdir), trust)
  raise UserError('name an experiment, --config=experiments/NAME.py, or a run, --workdir=FOLDER')


def is_help(argv: list[str]) -> bool:
  """Whether help is all that is asked for."""
  return any(argument in ('-h', '--help', '-help') for argument in argv[1:]) or len(argv) == 1
