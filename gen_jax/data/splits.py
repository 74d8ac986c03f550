"""The splits of a run's data set: by what it keeps of them, so that they are opened only where they are needed."""

import dataclasses
import functools
from collections.abc import Callable, ItemsView, Iterator, Mapping

import numpy as np
from ml_collections import ConfigDict

from gen_jax.data import sources
from gen_jax.data.dataset import About, Dataset, identity
from gen_jax.data.record import Record, differences, record_of, record_split, without_recordings
from gen_jax.data.sets.planar import Target
from gen_jax.data.sounds import Utterance
from gen_jax.errors import UserError

WHERE = '--config.data.name says where they are now'


@dataclasses.dataclass(frozen=True)
class Recordings:
  """{side: utterances} that are read when they are asked for, whatever is asked; UserError where they cannot be."""

  read: Callable[[], Mapping[str, tuple[Utterance, ...]]]

  def __getitem__(self, side: str) -> tuple[Utterance, ...]:
    return self.read()[side]

  def __iter__(self) -> Iterator[str]:
    return iter(self.read())

  def __len__(self) -> int:
    return len(self.read())

  def items(self) -> ItemsView[str, tuple[Utterance, ...]]:
    """As a mapping has them."""
    return self.read().items()


@dataclasses.dataclass(frozen=True)
class Splits:
  """The splits of what the section `config.data` names, perhaps by the record of a run."""

  section: ConfigDict
  record: Record | None = None  # of data in files
  kept: Mapping[str, np.ndarray] | None = None  # rows of the test split that are there without it, and their 'index'

  def open(self, split: str) -> Dataset:
    """The 'train', 'validation' or 'test' split; UserError where it cannot be read, or is another than is recorded."""
    if not self.record:
      return sources.open_split(self.section, split)
    try:
      found = sources.open_split(self.section, split)
    except UserError as error:
      raise UserError(f'this needs the data of the run, {self.record.what}: {error}; {WHERE}') from None
    then = self.record._replace(splits={split: self.record.splits[split]})
    now = then._replace(
      splits={split: record_split(found)},
      features=dict(found.features),
      class_names=found.names_of_classes,
      sound=without_recordings(found.sound),
    )
    if lines := list(differences(then, now)):
      raise UserError(f'{found.about.what} holds other data than the run began with ({"; ".join(lines)}); {WHERE}')
    return found

  def split(self, split: str) -> Dataset:
    """The split, where there is a record opened when an example is asked for, which then may be a UserError."""
    if not self.record:
      return self.open(split)
    opened = functools.cache(lambda: self.open(split))
    kept = self.kept if split == 'test' else None
    places = {} if kept is None else {index: place for place, index in enumerate(kept['index'].tolist())}

    def fetch(indices: np.ndarray) -> Mapping[str, np.ndarray]:
      chosen = [places.get(index) for index in np.asarray(indices).tolist()]
      if None in chosen:
        return opened().fetch(indices)
      return {name: rows[chosen] for name, rows in kept.items() if name != 'index'}

    blank = self.blank(split)
    target = Target(lambda rng, n: opened().target.sample(rng, n)) if blank.kind == 'points' else None
    recordings = Recordings(lambda: opened().sound.utterances)
    sound = blank.sound and blank.sound._replace(utterances=recordings)
    return blank._replace(fetch=fetch, target=target, sound=sound)

  def blank(self, split: str) -> Dataset:
    """The split as a model is built for it; where there is a record with rows of zeros, as nothing is opened."""
    record = self.record
    if not record:
      return self.open(split)

    def fetch(indices: np.ndarray) -> dict[str, np.ndarray]:
      return {name: np.zeros((len(indices), *shape), dtype) for name, (shape, dtype) in record.rows.items()}

    return Dataset(
      size=record.splits[split].size,
      features=record.features,
      num_classes=record.num_classes,
      factor_sizes=record.factor_sizes,
      arrays=None,
      fetch=fetch,
      finish=identity,
      factor_names=record.factor_names,
      class_names=record.class_names,
      class_counts=record.splits[split].class_counts,
      units=record.units,
      about=About(record.what, record.split_rule, record.notes),
      attributes=record.attributes,
      sound=record.sound and record.sound._replace(parallel=record.splits[split].parallel),
      own_order=record.splits[split].own_order,
    )

  @property
  def own_key(self) -> str:
    """By what the extractors of a user's own images are known, wherever these lie; '' of sets that have a name."""
    if not sources.is_own(self.section):
      return ''
    return f'folder-{(self.record or record_of(self.section)).fingerprint}'
