"""From --config to the config that it names: an experiment file, or the config.json of a run."""

import pathlib

from ml_collections import ConfigDict

from gen_jax import files
from gen_jax.config import KEYS, with_names
from gen_jax.errors import UserError, nearest
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
