"""The folder of a run: its config.json and its lock."""

import contextlib
import json
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from gen_jax import classes
from gen_jax.config import KEYS, Key, defaults, flatten, keys_that_may_differ, merge
from gen_jax.data import sources
from gen_jax.data.record import Record
from gen_jax.errors import UserError, show
from gen_jax.evaluation import evaluate
from gen_jax.files import lock, nearest_folder, write_bytes
from gen_jax.runs import programs
from gen_jax.runs.data import check_data, read_record, remove_data, write_record
from gen_jax.training.checkpoint import step_folders

LOGS = ('.log', '.out', '.err')  # files of a cluster's, which may lie in a workdir before there is a run
LOCK = 'lock'
# what a run may leave before its first checkpoint
BEFORE_CHECKPOINTS = {
  'config.json', 'data.json', 'examples.npz', LOCK, 'metrics.jsonl', 'tensorboard', 'evaluations', 'checkpoints',
  'profile', 'snapshots',
}


def tuples_for_lists(value: Any) -> Any:
  """JSON's lists as the tuples that they were."""
  if isinstance(value, dict):
    return {key: tuples_for_lists(item) for key, item in value.items()}
  return tuple(tuples_for_lists(item) for item in value) if isinstance(value, list) else value


def read_content(workdir: pathlib.Path) -> dict[str, Any]:
  """What config.json holds: the config, and the hashes of its programs (see `gen_jax.runs.programs`)."""
  path = workdir / 'config.json'
  if not workdir.is_dir():
    raise UserError(f'there is no folder {workdir}{nearest_folder(workdir)}')
  if not path.is_file():
    raise UserError(f'{workdir} holds no run (no config.json): train one with --config, or name another --workdir')
  try:
    content = json.loads(path.read_text())
    sections = ('model', *(name for name, key in KEYS.items() if not isinstance(key, Key)))
    if not isinstance(content, dict) or not all(isinstance(content.get(name, {}), dict) for name in sections):
      raise ValueError('no config')
  except ValueError as error:
    raise UserError(f'{path} is damaged ({error}): restore it, or name another --workdir') from None
  return content


def load_config(workdir: pathlib.Path) -> ConfigDict:
  """The config that a run wrote to its workdir; classes of the user's own are known by name only."""
  content = read_content(workdir)
  content.pop('programs', None)
  config = merge(defaults(KEYS), tuples_for_lists(content))  # keys that have been added since take their defaults
  if 'class_order' not in content.get('data', {}) and sources.is_own(ConfigDict(config['data'])):
    config['data']['class_order'] = 'text'  # as it was before there was the key, or labels would be of other classes
  return with_current_names(config)


def as_begun(workdir: pathlib.Path, config: ConfigDict) -> ConfigDict:
  """The config with classes in the order of their texts where the run in `workdir` began so, if there is one.

  The command that began it says no order, and today's is another.
  """
  if not (workdir / 'config.json').exists() or load_config(workdir).data.class_order != 'text':
    return config
  config = ConfigDict(config.to_dict())
  config.data.class_order = 'text'
  return config.lock()


def open_config(workdir: pathlib.Path, trust: bool = False) -> ConfigDict:
  """The config of a run that is going to be used: the programs of its user's own classes are run, if they may be.

  `trust`: whether they may be whatever they are; see `gen_jax.runs.programs`.
  """
  programs.open_programs(read_content(workdir), workdir, trust)
  return load_config(workdir)


def with_current_names(config: Mapping[str, Any]) -> ConfigDict:
  """A config, locked, in which former names of classes, fields, evaluators and metrics are those of today.

  Paths are absolute, so that the run finds its data from any folder.
  """
  config = ConfigDict(config).to_dict()
  config['data'] = sources.normalized(ConfigDict(config['data'])).to_dict()
  config['model'] = classes.upgrade_section(config['model'])
  for key in ('evals', 'final_evals'):
    config[key] = evaluate.as_tuple(config[key])
  config['inception_weights'] = sources.absolute(config['inception_weights'])
  folder, slash, name = config['extractors'].rpartition('/')
  config['extractors'] = f'{sources.absolute(folder or slash)}{slash}{name}'
  config['best'] = evaluate.current_metric(config['best'])
  return ConfigDict(config).lock()


def check_folder(workdir: pathlib.Path) -> None:
  """Raises UserError where the folder holds something, and no run, so that nothing of others is written over."""
  others = sorted(path.name for path in workdir.glob('[!.]*') if path.suffix not in LOGS and path.name != LOCK)
  if others and 'config.json' not in others:
    raise UserError(f'{workdir} holds {others[0]} but no config.json: name another --workdir')


def is_trained(workdir: pathlib.Path) -> bool:
  """Whether a run has left more than what comes before its first checkpoint."""
  left = {path.name for path in workdir.glob('[!.]*') if path.suffix not in LOGS}
  return bool(left - BEFORE_CHECKPOINTS or step_folders(workdir / 'checkpoints'))


def claim_workdir(workdir: pathlib.Path, config: ConfigDict) -> Record:
  """Writes config.json and data.json to a new workdir, or checks that the run there is the same; the data's record.

  Nothing is written over. A run that failed before its first checkpoint has left nothing that is worth keeping: another
  may begin in its place. UserError where the folder holds something else, or the data are others.
  """
  check_folder(workdir)
  new = json.loads(config.to_json())
  if (workdir / 'config.json').exists() and is_trained(workdir):
    old = json.loads(load_config(workdir).to_json())
    check_same(workdir, old, new)
  else:  # what a first one has left that was not saved
    for name in ('evaluations', 'snapshots'):
      shutil.rmtree(workdir / name, ignore_errors=True)
    remove_data(workdir)
  record = check_data(workdir, config)
  if own := programs.record(new['model']):
    new['programs'] = own
  write_bytes(workdir / 'config.json', (json.dumps(new, indent=2) + '\n').encode())
  write_record(workdir, config, record)
  return record


@contextlib.contextmanager
def workdir_lock(workdir: pathlib.Path) -> Iterator[None]:
  """Holds the workdir's lock, so that two runs never write to one; the system frees it whatever ends the process.

  Makes the folder. Where files cannot be locked, that is shown.

  Raises:
    UserError: another process holds it.
  """
  workdir.mkdir(parents=True, exist_ok=True)
  with (workdir / LOCK).open('w') as file:
    try:
      lock(file)
    except BlockingIOError:
      raise UserError(f'{workdir} is being trained by another process: wait, or name another --workdir') from None
    except OSError as error:  # some network drives cannot
      show(f'{workdir} cannot be locked ({error.strerror}): let no other process train it meanwhile')
    yield


def with_classes_of_files(config: Mapping[str, Any]) -> dict[str, Any]:
  """The config with CLASS in place of FILE.py:CLASS: a run stays the same when its experiment's file is moved."""
  return {
    key: with_classes_of_files(value) if isinstance(value, Mapping | ConfigDict) else
    value.rpartition(':')[2] if key == 'name' and '.py:' in str(value) else value
    for key, value in config.items()
  }  # fmt: skip


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
  """The config such that those of one run are equal, however its files are named and data keys without effect set."""
  data = sources.normalized(ConfigDict(config['data'])).to_dict()
  return with_classes_of_files({**config, 'data': data})


def check_same(workdir: pathlib.Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
  """Raises UserError where the configs differ in more than a resumed run may change.

  Data in files may have another name where the run has a record by which they are known again.
  """
  before, after = flatten(comparable(old)), flatten(comparable(new))
  may_differ = keys_that_may_differ() | classes.fields_that_may_differ(new['model'])
  record = read_record(workdir)
  may_differ |= {'data.name'} if record and record.in_files else set()
  differing = [
    f'{key}: {before.get(key, "absent")} there, {after.get(key, "absent")} here'
    for key in sorted(before.keys() | after.keys())
    if before.get(key) != after.get(key)
    and key not in may_differ
    and not (key == 'steps' and after['steps'] > before['steps'])
  ]
  if differing:
    raise UserError(f'{workdir} holds a run of another config ({"; ".join(differing)}): name another --workdir')
