"""Source: the data that an evaluator may ask for; and `collect`, which gathers what batches or a model say of them."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict, FrozenConfigDict

from gen_jax import build
from gen_jax.config import DATA, keys_that_may_differ
from gen_jax.data import sources
from gen_jax.data.batches import evaluation_batches
from gen_jax.data.dataset import CONDITIONS, Dataset, from_arrays
from gen_jax.data.preprocess import shapes_after, to_uint8
from gen_jax.data.side_format import SideFormat
from gen_jax.data.splits import Splits
from gen_jax.errors import UserError
from gen_jax.types import Batch

EVALUATION_BATCH = 256
VALIDATION_ROWS = 2**24  # the first row of samples beside the validation split: none of those that are reported


@dataclasses.dataclass(frozen=True)
class Source:
  """One split of a data set, and what stands beside it: the training split, all splits, other data sets.

  Every method that yields batches begins anew at each call, with the same batches: preprocessed as in evaluation,
  `EVALUATION_BATCH` rows each, the last one padded, which batch['mask'] tells.
  """

  data: Dataset  # the split that is evaluated
  name: str  # of the data set, config.data.name
  value_range: tuple[float, float]  # of images as the model sees them
  settings: FrozenConfigDict  # the keys of the config that may differ on a finished run: `settings.sample_count` ...
  examples: int  # of the split, in a fixed random order; 0: all
  first_row: int  # of the samples beside it: a number that chooses a checkpoint is of other samples than one reported
  _config: ConfigDict = dataclasses.field(repr=False)
  _splits: Splits = dataclasses.field(repr=False)
  _binarized: bool = True  # False: gray values, whatever the config says

  @classmethod
  def of(
    cls, config: ConfigDict, data: Dataset, examples: int = 0, first_row: int = 0, splits: Splits | None = None
  ) -> 'Source':
    """The Source of a run's config: `data`, a split of its data set, or `examples` of it; beside it its `splits`."""
    settings = FrozenConfigDict({key: config[key] for key in sorted(keys_that_may_differ()) if key in config})
    splits, value_range = splits or Splits(config.data), tuple(config.data.value_range)
    return cls(data, config.data.name, value_range, settings, examples, first_row, config, splits)

  @property
  def own_key(self) -> str:
    """By what the extractors of a user's own images are known, wherever these lie; '' of sets that have a name."""
    return self._splits.own_key

  def batches(self, examples: int | None = None) -> Iterator[Batch]:
    """The split, or as many examples of it as the source is of, or as are given here; 0: all."""
    return self._batches_of(self.data, self.examples if examples is None else examples)

  def train(self, examples: int = 0) -> Iterator[Batch]:
    """The training split, or `examples` of it."""
    return self._batches_of(self.split('train'), examples)

  def validation(self) -> Iterator[Batch]:
    """The validation split."""
    return self._batches_of(self.split('validation'))

  def of_split(self, name: str) -> 'Source':
    """The same of another split."""
    return dataclasses.replace(self, data=self.split(name), examples=0)

  def counts(self) -> dict[str, int]:
    """{split: how many of its examples evaluations are of}."""
    most = {'train': 0, 'validation': self.settings.validation_examples, 'test': self.settings.test_examples}
    sizes = {name: self.split(name).size for name in most}
    return {name: min(most[name] or size, size) for name, size in sizes.items()}

  def everything(self) -> Iterator[Batch]:
    """The whole training, validation and test splits."""
    splits = ('train', 'validation', 'test')
    return itertools.chain.from_iterable(self._batches_of(self.split(name)) for name in splits)

  def class_counts(self) -> np.ndarray:
    """The number of training examples of each class, [classes]; they are read where it is not known without."""
    if counts := self.split('train').class_counts:
      return np.array(counts)
    return np.bincount(collect(self.train(), labels='label')['labels'], minlength=self.data.num_classes)

  def split(self, name: str) -> Dataset:
    """The 'train', 'validation' or 'test' split of this data set, raw."""
    return self._splits.split(name)

  def open(self, name: str) -> Dataset:
    """The same with its examples read, resident where it fits. UserError where they are not there."""
    return self._splits.open(name)

  def unbinarized(self) -> 'Source':
    """The same data as gray values, where the model sees them binarized."""
    return dataclasses.replace(self, _binarized=False)

  def other(self, name: str, split: str = 'test', **changes: Any) -> 'Source':
    """A split of another data set, preprocessed alike, as many examples of it; `changes` of the section config.data."""
    config = ConfigDict(self._config.to_dict())
    of_this_set = {} if name == self.name else {key: DATA[key].default for key in sources.OF_TWO_SIDES}
    config.data.update({'name': name, 'without': (), 'outliers': '', **of_this_set, **changes})
    splits = Splits(config.data)
    return dataclasses.replace(self, data=splits.open(split), name=name, _config=config, _splits=splits)

  def left_out(self) -> 'Source':
    """The examples of the classes that the data are without. UserError where that is none."""
    without = self._config.data.without
    if not without:
      raise UserError('config.data.without names no class')
    return self.other(self.name, without=tuple(sorted(set(range(self.data.num_classes)) - set(without))))

  def batches_of(self, arrays: Mapping[str, np.ndarray], **changes: Any) -> Iterator[Batch]:
    """Other examples, {'image': uint8 [N,H,W,C] of gray values, ...}, in their order; `changes` of config.data.

    The names are those of features, or 'label' and 'factors'; of pairs, one side will do. Where the data are binary,
    from 128 on a gray value counts as 1.
    """
    data, features = self.data, {}
    for name in arrays.keys() - set(CONDITIONS):
      if name not in data.features:
        raise UserError(f'these data have no {name}: their features are {", ".join(data.features)}')
      feature = data.features[name]
      features[name] = feature._replace(shape=arrays[name].shape[1:])
      if feature.kind == 'image' and feature.levels == 2 and arrays[name].max() > 1:  # of 0 and 1, shown as 0 and 255
        arrays = {**arrays, name: (arrays[name] > 127).astype(np.uint8)}
    given = from_arrays(arrays, features=features, num_classes=data.num_classes)
    process = build.preprocessor(self._config, given, train=False, **changes)
    return evaluation_batches(given, process, min(EVALUATION_BATCH, given.size))

  @property
  def shapes(self) -> dict[str, tuple[int, ...]]:
    """{feature: its shape} as the model sees the examples."""
    return shapes_after(self.data.features, self._config.data.size, self._config.data.crop)

  @property
  def gray_bin(self) -> tuple[float, bool] | None:
    """(width of a gray value's bin in the model's range, whether dequantization fills it); None of points."""
    levels, (low, high) = build.levels_of_images(self._config, self.data), self.value_range
    filled = self._config.data.dequantize
    return ((high - low) / (levels if filled else levels - 1), filled) if levels else None

  def side(self, name: str) -> SideFormat:
    """How images of the side 'a' or 'b' are shown, and how the model sees them."""
    return SideFormat(self._config.data, name, self.data.features[f'image_{name}'])

  def gray_values(self, images: jax.Array) -> np.ndarray:
    """uint8 of images as the model sees them, without the noise of dequantization."""
    low, high = self.value_range
    if self._config.data.dequantize:
      images = jnp.floor((images - low) / (high - low) * 256) / 255 * (high - low) + low
    return np.asarray(to_uint8(images, self.value_range))

  def _batches_of(self, data: Dataset, examples: int = 0) -> Iterator[Batch]:
    changes = {} if self._binarized else {'binarize': 'none'}
    process = build.preprocessor(self._config, data, train=False, **changes)
    return evaluation_batches(data, process, EVALUATION_BATCH, examples)


Quantity = str | Callable[[Batch], Any]
"""A name in the batch, or a function of it, such as `model.encode`; arrays [B,...], or a pytree of such."""


def without_padding(batches: Iterator[Batch], **quantities: Quantity) -> Iterator[dict[str, Any]]:
  """{name: array [n,...]} of each batch, as NumPy arrays, without the rows that only pad the batch."""
  for batch in batches:
    values = {name: batch[of] if isinstance(of, str) else of(batch) for name, of in quantities.items()}
    mask = np.asarray(batch['mask']) > 0
    yield {name: jax.tree.map(lambda x, mask=mask: np.asarray(x)[mask], value) for name, value in values.items()}


def collect(batches: Iterator[Batch], **quantities: Quantity) -> dict[str, Any]:
  """{name: array [N,...]} of all rows that are no padding: `collect(source.batches(), z=model.encode, y='label')`."""
  parts = list(without_padding(batches, **quantities))
  return {name: jax.tree.map(lambda *x: np.concatenate(x), *(part[name] for part in parts)) for name in quantities}
