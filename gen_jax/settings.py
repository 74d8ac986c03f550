"""From the command line and the workdir to one locked config; light to import."""

import contextlib
import dataclasses
import difflib
import fcntl
import importlib.util
import json
import os
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from gen_jax.errors import UserError

# What a resumed run may change, as the numbers do not depend on it; `steps` may also grow.
MAY_DIFFER = {
  'experiment',
  'log_every',
  'eval_every',
  'save_every',
  'keep',
  'best',
  'best_mode',
  'evals',
  'final_evals',
  'importance_samples',
  'sample_count',
  'extractors',
  'inception_weights',
  'validation_examples',
  'test_examples',
  'profile',
  'steps_per_dispatch',
  'data.dir',
  'data.workers',
  'data.resident_mib',
}
WRITTEN = ('checkpoints', 'metrics.jsonl', 'evaluation.json', 'evaluation.npz', 'figures', 'samples.npz')
WRITTEN += ('samples_mixture.npz', 'report.html', 'tensorboard', 'fixed_noise')
# keys that the config.json of an older run lacks
ADDED = {
  'final_evals': (),
  'importance_samples': 5_000,
  'player_optimizers': {},
  'sample_count': 10_000,
  'extractors': '',
  'inception_weights': '',
}
ADDED_TO_OPTIMIZER = {'clip_weights': 0.0}


def nearest(word: str, possible: Iterable[str]) -> str:
  """'; did you mean X?' for an unknown word, else all that there is, where that is little."""
  possible = sorted(possible)
  if close := difflib.get_close_matches(word, possible, n=1):
    return f'; did you mean {close[0]}?'
  return f'; there are {", ".join(possible)}' if 0 < len(possible) <= 20 else ''


def flatten(config: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """{'model.beta': 4.0, ...}."""
  flat = {}
  for key, value in config.items():
    if isinstance(value, Mapping | ConfigDict):
      flat |= flatten(value, f'{prefix}{key}.')
    else:
      flat[prefix + key] = value
  return flat


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


def thaw(value: Any) -> Any:
  """JSON's lists as the tuples that they were."""
  if isinstance(value, dict):
    return {key: thaw(item) for key, item in value.items()}
  return tuple(thaw(item) for item in value) if isinstance(value, list) else value


def load_config(workdir: pathlib.Path) -> ConfigDict:
  """The config that a run wrote to its workdir."""
  path = workdir / 'config.json'
  if not path.is_file():
    raise UserError(f'{workdir} holds no run (no config.json): train one with --config, or name another --workdir')
  try:
    content = json.loads(path.read_text())
    if not isinstance(content, dict):
      raise ValueError('not an object')
  except ValueError as error:
    raise UserError(f'{path} is damaged ({error}): restore it, or name another --workdir') from None
  config = ADDED | thaw(content)
  return ConfigDict(config | {'optimizer': ADDED_TO_OPTIMIZER | config.get('optimizer', {})}).lock()


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
        from gen_jax import build  # heavy: only for those who ask for it

        section.update({name: default for name, default in build.default_fields(section).items() if name == key})


def change_class(section: ConfigDict, name: str) -> None:
  """Names another class in a section, and drops the fields that it has not."""
  from gen_jax import build  # heavy: only for those who ask for it

  section.name = name
  for field in set(section.keys()) - {'name', *build.fields_of(section)}:
    del section[field]


def add_module(section: ConfigDict, field: str) -> None:
  """Adds a section for a module that the class of `section` has by default, or may have, then without a name."""
  from gen_jax import build

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
  from gen_jax import build  # heavy: only for those who mistype

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


def claim(workdir: pathlib.Path, config: ConfigDict) -> None:
  """Writes config.json to a new workdir, or checks that the run there is the same; nothing is written over."""
  new = json.loads(config.to_json())
  if (workdir / 'config.json').exists():
    old = json.loads(load_config(workdir).to_json())
    check_same(workdir, old, new)
  elif taken := [name for name in WRITTEN if (workdir / name).exists()]:
    raise UserError(f'{workdir} holds {taken[0]} but no config.json: name another --workdir')
  try:
    workdir.mkdir(parents=True, exist_ok=True)
    fresh = workdir / 'config.json.tmp'
    fresh.write_text(json.dumps(new, indent=2) + '\n')
    os.replace(fresh, workdir / 'config.json')
  except OSError as error:
    raise UserError(f'--workdir={workdir} cannot be written: {error.strerror}') from None


@contextlib.contextmanager
def held(workdir: pathlib.Path) -> Iterator[None]:
  """Holds the workdir's lock, so that two runs never write to one; the system frees it whatever ends the process.

  Raises:
    UserError: another process holds it.
  """
  with (workdir / 'lock').open('w') as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise UserError(f'{workdir} is being trained by another process: wait, or name another --workdir') from None
    yield


def check_same(workdir: pathlib.Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
  """Raises UserError where the configs differ in more than a resumed run may change."""
  before, after = flatten(old), flatten(new)
  differing = [
    f'{key}: {before.get(key, "absent")} there, {after.get(key, "absent")} here'
    for key in sorted(before.keys() | after.keys())
    if before.get(key) != after.get(key)
    and key not in MAY_DIFFER
    and not (key == 'steps' and after['steps'] > before['steps'])
  ]
  if differing:
    raise UserError(f'{workdir} holds a run of another config ({"; ".join(differing)}): name another --workdir')


def is_help(argv: list[str]) -> bool:
  """Whether help is all that is asked for."""
  return any(argument in ('-h', '--help', '-help') for argument in argv[1:]) or len(argv) == 1


def show(text: str) -> None:
  """One line for the user, on the error stream, where logs go."""
  print(text, file=sys.stderr, flush=True)
