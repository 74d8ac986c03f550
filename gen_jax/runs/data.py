"""What a workdir keeps of its data: data.json, the record, and examples.npz, those test examples that figures show."""

import io
import pathlib
import zipfile

import numpy as np
from ml_collections import ConfigDict

from gen_jax import build
from gen_jax.data.batches import chosen_rows
from gen_jax.data.record import Record, differences, record_of
from gen_jax.data.splits import Splits
from gen_jax.errors import UserError
from gen_jax.files import save_arrays, write_bytes

KEPT, MOST_BYTES = 256, 2**26  # test examples in examples.npz, as many as fit in so many bytes


def read_record(workdir: pathlib.Path) -> Record | None:
  """The record of a run's data; None of a run that is older than that. UserError where it is damaged."""
  path = workdir / 'data.json'
  try:
    return Record.from_json(path.read_text()) if path.exists() else None
  except (ValueError, TypeError, KeyError, AttributeError) as error:
    raise UserError(f'{path} is damaged ({error}): restore it, or remove it if the data are as they were') from None


def read_examples(workdir: pathlib.Path) -> dict[str, np.ndarray] | None:
  """The test examples that a run keeps; None where it keeps none. UserError where they are damaged."""
  path = workdir / 'examples.npz'
  try:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
      return dict(file)
  except FileNotFoundError:
    return None
  except (ValueError, OSError, EOFError, zipfile.BadZipFile):
    raise UserError(f'{path} is damaged: remove it') from None


def remove_data(workdir: pathlib.Path) -> None:
  """Removes what a workdir keeps of its data, if anything."""
  for name in ('data.json', 'examples.npz'):
    (workdir / name).unlink(missing_ok=True)


def splits_of_run(config: ConfigDict, workdir: pathlib.Path) -> Splits:
  """The splits of a run's data set."""
  record = read_record(workdir)
  if record and record.in_files:
    return Splits(config.data, record, read_examples(workdir))
  return Splits(config.data)


def check_data(workdir: pathlib.Path, config: ConfigDict) -> Record:
  """The record of the data that the config names. UserError where the run in `workdir` began with others."""
  now, then = record_of(config.data), read_record(workdir)
  if then and (lines := list(differences(then, now))):
    remedy = 'restore them, name their place by --config.data.name, or name another --workdir'
    raise UserError(f'{now.what} holds other data than the run in {workdir} began with ({"; ".join(lines)}): {remedy}')
  return now


def write_record(workdir: pathlib.Path, config: ConfigDict, record: Record) -> None:
  """Writes data.json; and of data that may be lost, examples.npz."""
  write_bytes(workdir / 'data.json', record.to_json().encode())
  if not record.in_files:
    return
  data = build.dataset(config, 'test')
  each = sum(rows.nbytes for rows in data.fetch(np.arange(1)).values())
  index = chosen_rows(data.size, max(1, min(KEPT, MOST_BYTES // each)))
  save_arrays(workdir / 'examples.npz', {**data.fetch(index), 'index': index})
