"""The vocabulary of the whole code base: batches, players, models, and the facts that a model is built for."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import jax

Batch = Mapping[str, jax.Array]
"""Arrays with one row an example: the features of the data set, such as 'image' [B,H,W,C], uint8 from the data, float
in the model's range after preprocessing, or points [B,1,1,2], float. 'label' int32 [B]; 'factors' int32 [B,K]; 'mask'
float32 [B], 0 where a row only pads the batch; 'index' int32 [B], the row of the data set; 'row' int32 [B], the global
row of the batch, which keys the example's noise."""


class Player(NamedTuple):
  """One side of the training: a loss and the parameter groups that descend it."""

  loss: str  # name of a method `(batch, step) -> (loss [], metrics {str: []})`
  trains: tuple[str, ...]  # top-level parameter groups, e.g. ('encoder', 'decoder')
  steps: int = 1  # updates per training step, e.g. 5 for a Wasserstein critic


class Facts(NamedTuple):
  """What the config and the data fix, which a class may ask when it states its problems."""

  data_name: str
  kind: str  # of the data: 'image', 'points' or 'sound'
  image_shape: tuple[int, int, int]  # (H, W, C) after preprocessing
  shapes: Mapping[str, tuple[int, ...]]  # {feature: its shape after preprocessing}; of 'image' or the first, as above
  own_order: Mapping[str, int]  # {feature: examples} of those in an order of their own, such as unpaired images
  levels: int  # number of gray values as the model sees them, 2 where they are binarized; 0 for points
  value_range: tuple[float, float]  # what the model sees
  binarize: str  # 'none', 'dynamic' or 'static'
  dequantize: bool
  num_classes: int  # 0 without labels
  num_examples: int  # of the training split
  outliers: bool  # whether a batch has outliers beside its images
  batch_size: int
  shared_optimizer: Mapping[str, Any]  # config.optimizer
  optimizers: Mapping[str, Mapping[str, Any]]  # {player: its own over config.optimizer}


class Model(Protocol):
  """A final `flax.linen.Module` that declares its players; structural, never subclassed.

  Evaluation and figures ask by name for the optional methods `per_example(batch) -> {name: [B] or [B,D]}`,
  `encode(batch) -> [B,D]`, `decode(z, batch) -> [B,H,W,C]`, `posterior(batch) -> distribution`,
  `reconstruct(batch) -> [B,H,W,C]`, from the code that `encode` gives, and where that is the mean of a posterior
  `reconstruct_sampled(batch)`, from a sample of it; `log_prob(batch) -> [B]`,
  `log_weights(batch, key, samples) -> [samples,B]`, `latents(batch) -> [B,D]`, `logits(batch) -> [B]`,
  `fake_logits(batch) -> [B]`, `classify(batch) -> [B]`, `complete(batch) -> [B,H,W,C]`, which keeps the upper half,
  `translate_to_a(batch)` and `translate_to_b(batch) -> [B,H,W,C]` of the images of the other side, whose heights and
  widths are multiples of the model's `multiple`, and `sample(batch) -> [B,H,W,C]`, from the prior, whose number of rows
  and conditions come from `batch`. Images come in the model's range; frames of voices, [B,T,bands,1], standardized.

  `problems` is optional too, and may be stated by every module that the model is made of. Old configs are read by what
  a class says of itself: `formerly`, its old name; `former_fields`, {old name: new name}; and
  `upgrade(section) -> section`, whatever else has changed.
  """

  players: Mapping[str, Player]  # updated in this order
  # optional: `reads: tuple[str, ...]`, the features of the data that it asks a batch for; ('image',) by default
  # optional: `measure_data(examples [N,...]) -> {collection: {name: array}}`, what it keeps of the training data
  # optional: `averaged: tuple[str, ...]`, the groups that an average of the parameters is of; all by default

  def __call__(self, batch: Batch) -> Any:
    """Touches every parameter; used by init only."""

  def problems(self, facts: Facts) -> Iterator[str]:
    """What cannot work, or would have no effect: a line each, which begins with the field, 'samples=0: must be ...'.

    A line that begins with 'config.' speaks of another section of the config.
    """
