"""What a run keeps of its data: by this it is known again, and works without it where no example is needed."""

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict, FrozenConfigDict

from gen_jax.audio.features import Features
from gen_jax.audio.voice import Voice
from gen_jax.data import sources
from gen_jax.data.dataset import Dataset, Feature, Units
from gen_jax.data.sounds import Sound

COLORS = {1: 'gray', 3: 'RGB'}  # by the number of channels
MOST_CLASSES = 20  # that are named in a line


class RecordedSplit(NamedTuple):
  """What is kept of a split."""

  size: int
  names: str  # a hash of the names of its examples, '' where they have none
  content: str  # a hash of its examples, or of some; '' of sets that are not in files
  class_counts: tuple[int, ...] | None  # examples of each class, where they are known
  own_order: Mapping[str, int] = MappingProxyType({})  # {feature: examples} of those in an order of their own
  parallel: bool = False  # of sounds, see `Sound`

  def to_dict(self) -> dict[str, Any]:
    """For JSON: without the fields that have defaults where these stand, as older runs have it."""
    return {name: value for name, value in self._asdict().items() if value or name not in self._field_defaults}


class Record(NamedTuple):
  """What is kept of a data set, as JSON."""

  what: str
  in_files: bool  # whether it is read from files, which may be moved, changed or lost
  split_rule: str
  notes: tuple[str, ...]
  splits: Mapping[str, RecordedSplit]
  features: Mapping[str, Feature]
  rows: Mapping[str, tuple[tuple[int, ...], str]]  # {column: (shape of one row, dtype)}
  num_classes: int
  class_names: tuple[str, ...]
  factor_names: tuple[str, ...]
  factor_sizes: tuple[int, ...]
  units: Units | None
  attributes: Mapping[str, tuple[str, ...]] = MappingProxyType({})  # none of runs older than this field
  sound: Sound | None = None  # features and voices alone

  @property
  def fingerprint(self) -> str:
    """Twelve hexadecimal digits of the classes and of what the splits hold, in whatever order and size that is seen."""
    splits = [(name, split.size, split.names, split.content) for name, split in sorted(self.splits.items())]
    facts = [sorted(self.class_names), splits]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]

  def to_json(self) -> str:
    """The text of data.json."""
    content = {'fingerprint': self.fingerprint, **self._asdict()}
    content['splits'] = {name: split.to_dict() for name, split in self.splits.items()}
    content['features'] = {name: feature._asdict() for name, feature in self.features.items()}
    content['units'] = self.units and self.units._asdict()
    content['attributes'] = dict(self.attributes)
    content['sound'] = self.sound and sound_to_dict(self.sound)
    return json.dumps(content, indent=2) + '\n'

  @classmethod
  def from_json(cls, text: str) -> 'Record':
    """The record of a text. Raises ValueError, TypeError or KeyError where it is none."""
    content = tuples(json.loads(text))
    content = {name: content[name] for name in cls._fields if name in content or name not in cls._field_defaults}
    content['splits'] = {name: RecordedSplit(**split) for name, split in content['splits'].items()}
    content['features'] = {name: Feature(**feature) for name, feature in content['features'].items()}
    content['units'] = content['units'] and Units(**content['units'])
    content['sound'] = sound_of_dict(content['sound']) if content.get('sound') else None
    return cls(**content)


def sound_to_dict(sound: Sound) -> dict[str, Any]:
  """For JSON, features and voices."""
  voices = {side: voice._asdict() for side, voice in sound.voices.items()}
  return {'features': sound.features._asdict(), 'voices': voices}


def sound_of_dict(content: Mapping[str, Any]) -> Sound:
  """The inverse."""
  voices = {side: Voice(**voice) for side, voice in content['voices'].items()}
  return Sound(Features(**content['features']), voices, {})


def tuples(value: Any) -> Any:
  """JSON's lists as the tuples that they were."""
  if isinstance(value, dict):
    return {key: tuples(item) for key, item in value.items()}
  return tuple(map(tuples, value)) if isinstance(value, list) else value


def record_of(data: ConfigDict) -> Record:
  """The record of what the section `config.data` names, as it is now. UserError where it cannot be opened."""
  return record_once(FrozenConfigDict(data))


@functools.cache
def record_once(data: FrozenConfigDict) -> Record:
  """`record_of` a section that can be a key of the cache."""
  splits = {name: sources.open_split(data, name) for name in sources.SPLITS}
  train = splits['train']
  rows, in_files = train.fetch(np.arange(1)), sources.in_files(data)
  return Record(
    what=train.about.what,
    in_files=in_files,
    split_rule=train.about.split_rule,
    notes=train.about.notes,
    splits={name: record_split(split, in_files) for name, split in splits.items()},
    features=dict(train.features),
    rows={name: (values.shape[1:], str(values.dtype)) for name, values in rows.items()},
    num_classes=train.num_classes,
    class_names=train.names_of_classes,
    factor_names=tuple(train.factor_names),
    factor_sizes=tuple(train.factor_sizes),
    units=train.units,
    attributes=dict(train.attributes),
    sound=without_recordings(train.sound),
  )


def without_recordings(sound: Sound | None) -> Sound | None:
  """Its features and voices; None of none."""
  return sound and Sound(sound.features, dict(sound.voices), {})


def record_split(data: Dataset, in_files: bool = True) -> RecordedSplit:
  """What is kept of a split."""
  content = data.hash_content() if in_files else ''
  parallel = bool(data.sound and data.sound.parallel)
  return RecordedSplit(data.size, data.about.names, content, data.class_counts, dict(data.own_order), parallel)


# What differs


def differences(then: Record, now: Record) -> Iterator[str]:
  """What of data differs, in words: shape, classes, numbers of examples, their names, or else their content."""
  for name in {**then.features, **now.features}:
    was, is_now = (describe_feature(each.features[name]) if name in each.features else 'none' for each in (then, now))
    if was != is_now:
      yield f'{name}: {was} then, {is_now} now'
  if then.sound and now.sound and then.sound.features != now.sound.features:
    yield f'frames: {describe_frames(then.sound.features)} then, {describe_frames(now.sound.features)} now'
  if then.class_names != now.class_names:
    yield f'classes: {name_classes(then.class_names)} then, {name_classes(now.class_names)} now'
  for name, split in then.splits.items():
    yield from differences_of_split(name, split, now.splits[name])


def differences_of_split(name: str, then: RecordedSplit, now: RecordedSplit) -> Iterator[str]:
  """What of a split differs, in words."""
  if then.own_order != now.own_order:
    yield f'{name}: {count_examples(then)} then, {count_examples(now)} now'
  elif then.size != now.size:
    yield f'{name}: {then.size:,} examples then, {now.size:,} now'
  elif then.names != now.names:
    yield f'{name}: other names of files'
  elif then.content != now.content:
    yield f'{name}: other content'


def count_examples(split: RecordedSplit) -> str:
  """'60'; '1,067 and 1,334' of features in orders of their own."""
  return ' and '.join(f'{number:,}' for number in split.own_order.values()) or f'{split.size:,}'


def describe_feature(feature: Feature) -> str:
  """'images 64x64, RGB'; 'sounds of 64 frames, 80 bands'; 'points'."""
  if feature.kind == 'sound':
    frames, bands, _ = feature.shape
    return f'sounds of {frames} frames, {bands} bands'
  if feature.kind != 'image':
    return feature.kind
  height, width, channels = feature.shape
  if feature.levels == 2:
    return f'images {height}x{width}, {"black and white" if channels == 1 else f"{channels} channels of 0 and 1"}'
  return f'images {height}x{width}, {COLORS.get(channels, f"{channels} channels")}'


def describe_frames(features: Features) -> str:
  """'80 bands of mel, each 16 ms of 16000 Hz'."""
  milliseconds = 1e3 * features.hop / features.rate
  return f'{features.bands} bands of {features.kind}, each {milliseconds:.3g} ms of {features.rate} Hz'


def name_classes(names: tuple[str, ...]) -> str:
  """The names, or the first of many."""
  more = f' ... ({len(names)} in all)' if len(names) > MOST_CLASSES else ''
  return (', '.join(names[:MOST_CLASSES]) or 'none') + more


# What is said


def classes_in_words(record: Record) -> Iterator[str]:
  """'1 is dog (80)' of each class: its number, its name where that is another, its number of training examples."""
  counts = record.splits['train'].class_counts
  for i, name in enumerate(record.class_names):
    yield (name if name == str(i) else f'{i} is {name}') + (f' ({counts[i]:,})' if counts else '')


def describe(record: Record) -> Iterator[str]:
  """What was read, in lines: the set, its splits and their rule, its classes, and what was left out."""
  counts = ', '.join(f'{count_examples(split)} {name}' for name, split in record.splits.items())
  kinds = '; '.join(
    describe_feature(feature) if name == 'image' else f'{name}: {describe_feature(feature)}'
    for name, feature in record.features.items()
  )
  yield f'data: {record.what}: {counts}; {kinds}'
  if record.sound:
    yield f'frames: {describe_frames(record.sound.features)}'
  if record.split_rule:
    yield f'splits: {record.split_rule}'
  if record.num_classes:
    yield f'classes: {name_classes(tuple(classes_in_words(record)))}'
  if record.factor_sizes:
    names = record.factor_names or [f'factor {k}' for k in range(len(record.factor_sizes))]
    yield f'factors: {", ".join(f"{name} ({n})" for name, n in zip(names, record.factor_sizes, strict=True))}'
  yield from record.notes
