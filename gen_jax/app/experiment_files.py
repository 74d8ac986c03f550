"""From --config to the config that it names: an experiment file, or the config.json of a run."""

import difflib
import pathlib

from ml_collections import ConfigDict

from gen_jax import files
from gen_jax.config import KEYS, with_names
from gen_jax.errors import UserError, nearest, show
from gen_jax.runs.workdir import open_config, with_current_names

ROOT = pathlib.Path(__file__).parents[2]  # the repository, where there is one


def split_spec(spec: str) -> tuple[str, str]:
  """'PATH.py:VARIANT' -> (path, variant), which is '' where there is none; a path alone may hold colons."""
  path, found, variant = spec.partition('.py:')
  return (f'{path}.py', variant) if found else (spec, '')


def find_file(path: str) -> pathlib.Path:
  """The file, as it is named from here; else in ./experiments, in the repository, or in its experiments.

  One that lies elsewhere than it was named is shown. UserError where there is none, naming the nearest.
  """
  named = files.expanded(path)
  if named.is_file():
    return named
  for folder in ('experiments', ROOT, ROOT / 'experiments'):
    if (found := folder / named).is_file():
      show(f'--config: {found}')
      return found
  raise UserError(f'--config: {reason_why_missing(named)}')


def reason_why_missing(path: pathlib.Path) -> str:
  """Whether it is a folder, lies in a folder that is none, or is no file of that folder; and the nearest one."""
  if path.is_dir():
    return f'{path} is a folder: name a file in it{nearest(f"{path}/", map(str, path.glob("*.py")))}'
  if not path.parent.is_dir():
    return f'there is no folder {path.parent}{files.nearest_folder(path.parent)}'
  by_name = {}
  for folder in (ROOT / 'experiments', pathlib.Path('experiments'), path.parent):
    by_name |= {file.stem: file for file in folder.glob('*.py')}
  close = difflib.get_close_matches(path.name.partition(':')[0].removesuffix('.py'), by_name, n=1)
  return f'there is no file {path}' + ''.join(f'; did you mean {by_name[name]}?' for name in close)


def load_experiment(spec: str, trust: bool = False) -> ConfigDict:
  """The config of 'PATH.py', 'PATH.py:VARIANT[,VARIANT]', or the 'config.json' of a run.

  `trust`: whether the programs that a config.json names may be run; see `gen_jax.runs.programs`.
  """
  path, variant = split_spec(spec)
  file = find_file(path)
  if file.name == 'config.json':
    return open_config(file.parent, trust)
  if file.suffix != '.py':
    raise UserError(f'--config: {path} is neither an experiment (.py) nor the config.json of a run')
  config = with_current_names(with_names(config_of_program(file, variant)))
  with config.unlocked():
    config.experiment = file.stem + (f':{variant}' if variant else '')
  return config


def config_of_program(file: pathlib.Path, variant: str) -> ConfigDict:
  """What get_config() of an experiment file gives for a variant, '' for the default. UserError where that is none."""
  try:
    get_config = files.open_module(file).get_config
    variants = getattr(get_config, 'variants', ('default',))
    for name in variant.split(',') if variant else ():
      if name not in variants:
        raise UserError(f'--config: {file} has no variant {name!r}{nearest(name, variants)}')
    config = get_config(variant) if variant else get_config()
    if not isinstance(config, ConfigDict) or (missing := sorted(KEYS.keys() - config.keys())):
      lacks = f'lacks {", ".join(missing)}' if isinstance(config, ConfigDict) else f'is a {type(config).__name__}'
      raise UserError(f'--config: what get_config() of {file} gives {lacks}: begin from gen_jax.config.common()')
  except UserError:
    raise
  except Exception as error:  # the file is the user's own program
    raise UserError(f'--config: {file} gives no config: {type(error).__name__}: {error}') from None
  return config
