"""Any image set of TensorFlow Datasets that lies prepared on disk, read without TensorFlow."""

import functools
import hashlib
import io
import logging
import operator
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from gen_jax.config import DATA
from gen_jax.data.dataset import HASHED_ROWS, About, Dataset, Feature, from_fetch
from gen_jax.data.image_files import decode
from gen_jax.errors import UserError, nearest

TAKES = ('dir', 'train_split', 'validation_split', 'test_split', 'label')  # the keys of config.data for these alone
MODES = {1: 'L', 3: 'RGB', 4: 'RGBA'}
SAMPLED = 1000  # examples that decide whether an image is binary


def owns(data: ConfigDict) -> bool:
  """Any name that no other set owns may be one of TFDS, which says what is wrong with it."""
  return bool(data.name)


def path_of(data: ConfigDict) -> str:
  """The files of the set, as its name says them; '' where that is no path."""
  return data.name if Path(data.name).expanduser().is_dir() else ''


def in_files(data: ConfigDict) -> bool:
  """It may be moved, changed or lost."""
  del data
  return True


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split of the prepared set that the section names, by the section's expression for it, `train_split` ..."""
  expressions, budget = split_expressions(data), data.resident_mib * 2**20
  opened = load(data.name, expressions[split], data.dir or None, budget, label=data.label, size=data.size)
  return opened._replace(about=opened.about._replace(split_rule=', '.join(expressions.values())))


def split_expressions(data: ConfigDict) -> dict[str, str]:
  """{split: its expression}, by default that of the key."""
  keys = {name: f'{name}_split' for name in ('train', 'validation', 'test')}
  return {name: data[key] or DATA[key].default for name, key in keys.items()}


def load(
  name: str,
  split: str,
  data_dir: str | os.PathLike | None,
  budget_bytes: int,
  *,
  label: str = '',
  size: int = 0,
  attributes: Sequence[str] = (),
) -> Dataset:
  """One split of a prepared set; `split` is a TFDS expression ('train[:55000]', 'test').

  `name` is a TFDS name ('mnist', 'emnist/letters'), the name of any set prepared below `data_dir` (None:
  TFDS_DATA_DIR or ~/tensorflow_datasets), or a folder that holds a dataset_info.json. The image is the
  feature 'image', or the only one that is an image. The label is the class feature `label`, or for '' the one
  named 'label' if there is one. Class features named label_* (dSprites, Shapes3D) are the factors, in
  alphabetical order. Images without a fixed shape are cropped to their central square and resized to `size`.
  `attributes` become those of the data set: features that are classes or bool, of which 'attributes/Male' is one inside
  another.
  Raises UserError: unknown name, split or label, not prepared, damaged.
  """
  builder = find_builder(name, data_dir)
  try:
    features = dict(builder.info.features.items())
  except Exception as error:
    raise damage_error(name, error) from error
  classes = {key: feature.num_classes for key, feature in features.items() if type(feature).__name__ == 'ClassLabel'}
  image_key, (height, width, channels) = image_feature(name, features)
  if label and label not in classes:
    kind = f', as this feature is {type(features[label]).__name__} and no class' if label in features else ''
    raise UserError(f'{name} has no label {label!r}{kind}{nearest(label, classes)}')
  if not (height and width) and not size:
    raise UserError(f'the images of {name} differ in shape: set data.size')
  notes = []
  if not label and 'label' in features and 'label' not in classes:
    others = f'; --config.data.label takes one of {", ".join(sorted(classes))}' if classes else ''
    notes.append(f'no labels: the feature label is {type(features["label"]).__name__}, no class{others}')
  label = label or ('label' if 'label' in classes else '')
  factors = sorted(key for key in classes if key.startswith('label_'))
  values_of = {key: attribute_values(name, features, key) for key in attributes}
  fixed = height and width
  source = open_source(name, builder, split, image_key)
  shape = (height, width, channels) if fixed else (size, size, channels)

  def fetch(indices: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of these examples."""
    try:
      examples = source.__getitems__([int(i) for i in indices])
      images = [
        decode(io.BytesIO(example[image_key]), MODES[channels], 0 if fixed else size, f'example {i}')
        for i, example in zip(indices, examples, strict=True)
      ]
      rows = {'image': np.stack(images)}
    except Exception as error:
      raise damage_error(name, error) from error
    if label:
      rows['label'] = np.array([example[label] for example in examples], np.int32)
    if factors:
      rows['factors'] = np.array([[example[key] for key in factors] for example in examples], np.int32)
    for key in attributes:
      rows[key] = np.array([item_at(example, key) for example in examples], np.int32)
    return rows

  sample = fetch(np.linspace(0, len(source) - 1, min(len(source), SAMPLED)).astype(int))['image']
  feature = Feature(shape, levels=2 if sample.max() <= 1 else 256)
  data = from_fetch(
    fetch,
    len(source),
    {'image': feature},
    budget_bytes,
    num_classes=classes.get(label, 0),
    factor_sizes=tuple(classes[key] for key in factors),
    what=name,
  )
  return data._replace(
    factor_names=tuple(key.removeprefix('label_') for key in factors),
    class_names=tuple(features[label].names) if label else (),
    attributes=values_of,
    about=About(
      f'the TFDS set {builder.info.full_name}',
      split,
      tuple(notes),
      content=functools.partial(hash_stored, source, image_key, label),
    ),
  )


def item_at(nested: Mapping[str, Any], key: str) -> Any:
  """The item of nested mappings; 'a/b' is b inside a."""
  return functools.reduce(operator.getitem, key.split('/'), nested)


def attribute_values(name: str, features: Mapping[str, Any], key: str) -> tuple[str, ...]:
  """The names of the values of a feature that is a class or bool."""
  try:
    feature = item_at(features, key)
  except (KeyError, TypeError):
    raise UserError(f'{name} has no feature {key!r}{nearest(key, features)}') from None
  if type(feature).__name__ == 'ClassLabel':
    return tuple(value.replace('_', ' ') for value in feature.names)
  if getattr(feature, 'np_dtype', None) is np.bool_ and feature.shape == ():
    last = key.split('/')[-1].replace('_', ' ')
    return (f'not {last}', last)
  raise UserError(f'the feature {key!r} of {name} is {type(feature).__name__}, neither a class nor true or false')


def hash_stored(source: Any, image_key: str, label: str) -> str:
  """The SHA-256 of some examples of equal distance, images as they are stored and labels."""
  chosen = np.linspace(0, len(source) - 1, min(len(source), HASHED_ROWS)).astype(int)
  digest = hashlib.sha256()
  for example in source.__getitems__(chosen.tolist()):
    digest.update(example[image_key] + str(example.get(label, '')).encode())
  return digest.hexdigest()


def find_builder(name: str, data_dir: str | os.PathLike | None) -> Any:
  """The TFDS builder of a set that lies prepared on disk."""
  import tensorflow_datasets as tfds  # slow to import

  logging.getLogger('absl').addFilter(is_no_chatter)
  data_dir = data_dir and Path(data_dir).expanduser()
  folder = Path(name).expanduser()
  try:
    if (folder / 'dataset_info.json').is_file():
      return tfds.builder_from_directory(folder)
    builder = tfds.builder(name, data_dir=data_dir)
  except tfds.core.DatasetNotFoundError:
    root = Path(data_dir or tfds.core.constants.DATA_DIR)
    prepared = {info.parents[1].name for info in root.glob('*/*/dataset_info.json')}
    folders = {path.name for path in Path().glob('*/')}
    names = {*tfds.list_builders(with_community_datasets=False), *prepared, *folders}
    where = f'no TFDS set {name!r} is known or prepared below {root}, and there is no folder of this name'
    raise UserError(f'{where}{nearest(name, names)}') from None
  except Exception as error:  # a malformed name, no such configuration or version, damaged dataset_info.json
    raise UserError(f'cannot open the TFDS set {name!r}: {one_line(error)}') from error
  if not (Path(builder.data_path) / 'dataset_info.json').is_file():
    raise UserError(f'{name} is not prepared in {builder.data_path}: {how_to_prepare(name, data_dir)}')
  return builder


def image_feature(name: str, features: dict[str, Any]) -> tuple[str, tuple[int | None, int | None, int]]:
  """The key and shape (H, W, C) of the image."""
  images = {key: feature for key, feature in features.items() if type(feature).__name__ == 'Image'}
  if 'image' not in images and len(images) != 1:
    raise UserError(f'{name} has no feature "image": its features are {", ".join(sorted(features))}')
  key = 'image' if 'image' in images else next(iter(images))
  shape = images[key].shape
  if images[key].np_dtype != np.uint8 or shape[-1] not in MODES:
    kind = f'{images[key].np_dtype.__name__} {shape}'
    raise UserError(f'the images of {name} are {kind}, not uint8 with 1, 3 or 4 channels')
  return key, shape


def open_source(name: str, builder: Any, split: str, image_key: str) -> Any:
  """Random access to examples whose image is still encoded (PIL decodes faster than the library does)."""
  import tensorflow_datasets as tfds

  base = split.split('[')[0].split('+')[0]
  if not builder.info.splits:
    raise UserError(f'{builder.data_path} lists no splits: prepare it again')
  if base != 'all' and base not in builder.info.splits:
    raise UserError(f'{name} has no split {base!r}{nearest(base, builder.info.splits)}')
  try:
    selected = builder.info.splits[split].num_examples
  except Exception as error:
    raise UserError(f'{split!r} is no split of {name}: {one_line(error)}') from error
  if not selected:
    raise UserError(f'the split {split!r} of {name} is empty')
  try:
    return builder.as_data_source(split, decoders={image_key: tfds.decode.SkipDecoding()})
  except NotImplementedError as error:  # prepared as TFRecord
    remedy = f'remove it, then {how_to_prepare(name, builder.data_dir)}'
    raise UserError(f'{builder.data_path} is not stored as ArrayRecord: {remedy}') from error
  except Exception as error:
    raise damage_error(name, error) from error


def how_to_prepare(name: str, data_dir: str | os.PathLike | None) -> str:
  """The command that downloads a set and lays it out for random access."""
  where = f", data_dir='{data_dir}'" if data_dir else ''
  call = f"tfds.builder('{name}', file_format='array_record'{where}).download_and_prepare()"
  command = f'python -c "import tensorflow_datasets as tfds; {call}"'
  return f'prepare it once, where tensorflow is installed: {command}'


def damage_error(name: str, error: Exception) -> UserError:
  """For whatever a library raises while it reads the files of a set."""
  return UserError(f'the files of {name} cannot be read, prepare them again: {one_line(error)}')


def one_line(error: Exception) -> str:
  """The message of a library's error, short enough to print."""
  return ' '.join(str(error).split())[:300]


def is_no_chatter(record: logging.LogRecord) -> bool:
  """Lets pass what TFDS logs from a warning upwards, and everything of all others."""
  return record.levelno >= logging.WARNING or 'tensorflow_datasets' not in record.pathname
