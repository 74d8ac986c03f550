"""The vocabulary of the whole code base: batches, players, models."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax

Batch = Mapping[str, jax.Array]
"""Arrays with one row an example. 'image' [B,H,W,C]: uint8 from the data, float in the model's range after
preprocessing; points [B,1,1,2], float. 'label' int32 [B]; 'factors' int32 [B,K]; 'mask' float32 [B], 0 where a row
only pads the batch; 'index' int32 [B], the row of the data set; 'row' int32 [B], the global row of the batch, which
keys the example's noise."""


class Player(NamedTuple):
  """One side of the training game: a loss and the parameter groups that descend it."""

  loss: str  # name of a method `(batch, step) -> (loss [], metrics {str: []})`
  trains: tuple[str, ...]  # top-level parameter groups, e.g. ('encoder', 'decoder')
  steps: int = 1  # updates per training step, e.g. 5 for a Wasserstein critic


class Model(Protocol):
  """A game: a final `flax.linen.Module` that has these names; structural, never subclassed.

  Evaluation and figures ask by name for the optional verbs `evaluate(batch) -> {name: [B] or [B,D]}`,
  `encode(batch) -> [B,D]`, `decode(z, batch) -> [B,H,W,C]`, `posterior(batch) -> distribution`,
  `reconstruct(batch) -> [B,H,W,C]`, `log_prob(batch) -> [B]`, `log_weights(batch, key, samples) -> [samples,B]`,
  `latents(batch) -> [B,D]`, `logits(batch) -> [B]`, `fake_logits(batch) -> [B]`, `classify(batch) -> [B]`,
  `complete(batch) -> [B,H,W,C]`, which keeps the upper half. Images come in the model's range.
  """

  players: Mapping[str, Player]  # played in this order
  # optional: `averaged: tuple[str, ...]`, the groups that an average of the parameters is of; all by default

  def __call__(self, batch: Batch) -> Any:
    """Touches every parameter; used by init only."""

  def sample(self, batch: Batch) -> jax.Array:
    """Images [B,H,W,C] from the prior; the number of rows and the conditions come from `batch`."""
