"""Labels, for the models that may be conditional on them: those with the fields `conditional` and `num_classes`.

Of these, models that are also trained without labels have a field `label_dropout`; `num_classes` stands for no label.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from gen_jax.randomness import row_keys
from gen_jax.types import Batch, Facts


def labels_of(model: Any, batch: Batch) -> jax.Array | None:
  """What the model is conditional on: the labels y of the batch, int32 [B], or None."""
  return batch['label'] if model.conditional else None


def no_labels(model: Any, rows: jax.Array) -> jax.Array | None:
  """The label that stands for none, for each of the rows [B]; None for a model without labels."""
  return jnp.full(rows.shape, model.num_classes) if model.conditional else None


def hide_labels(model: Any, labels: jax.Array | None, key: jax.Array, rows: jax.Array) -> jax.Array | None:
  """The labels [B], each hidden by itself with probability `label_dropout`; None for a model without labels."""
  if not model.conditional:
    return None
  hidden = jax.vmap(lambda key: jax.random.bernoulli(key, model.label_dropout))(row_keys(key, rows))
  return jnp.where(hidden, model.num_classes, labels)


def missing_labels(model: Any, facts: Facts) -> Iterator[str]:
  """The problem of a conditional model of data without labels."""
  if model.conditional and not facts.num_classes:
    yield f'conditional=True: {facts.data_name} has no labels; choose a data set with classes'
