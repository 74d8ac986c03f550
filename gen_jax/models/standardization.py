"""The mean and the deviation of the training data, for models that add noise to examples about their mean.

A model that holds them has `measure_data`, which returns what `measure` does, and calls `declare` in its `setup`. They
stand in the checkpoint, in a collection of their own.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

COLLECTION = 'statistics'
PART = 500  # examples whose squares are held at a time


def measure(examples: np.ndarray, deviation: float = 0.0) -> dict[str, Any]:
  """{'statistics': {'mean' [C], 'deviation' []}} of examples [N,H,W,C]: one mean a channel, one deviation about them.

  With `deviation` above 0 that is given in place of what is measured.
  """
  mean = examples.mean((0, 1, 2), dtype=np.float64)
  parts = (examples[i : i + PART] for i in range(0, len(examples), PART))
  measured = np.sqrt(sum(((part - mean) ** 2).sum() for part in parts) / examples.size)
  return {COLLECTION: {'mean': np.float32(mean), 'deviation': np.float32(deviation or measured)}}


def declare(model: nn.Module, channels: int) -> tuple[nn.Variable, nn.Variable]:
  """The places of the mean [C] and the deviation [], in the `setup` of a model; 0 and 1 until they are measured."""
  return (
    model.variable(COLLECTION, 'mean', jnp.zeros, (channels,)),
    model.variable(COLLECTION, 'deviation', jnp.ones, ()),
  )
