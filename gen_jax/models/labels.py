"""Labels, for the models that may be conditional on them: those with the fields `conditional` and `num_classes`."""

from collections.abc import Iterator
from typing import Any

import jax

from gen_jax.types import Batch, Facts


def labels_of(model: Any, batch: Batch) -> jax.Array | None:
  """What the model is conditional on: the labels y of the batch, int32 [B], or None."""
  return batch['label'] if model.conditional else None


def missing_labels(model: Any, facts: Facts) -> Iterator[str]:
  """The problem of a conditional model of data without labels."""
  if model.conditional and not facts.num_classes:
    yield f'conditional=True: {facts.data_name} has no labels; choose a data set with classes'
