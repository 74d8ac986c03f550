"""CheckedModel: the model of a run for experts, which refuses a batch of which it would make wrong numbers."""

from collections.abc import Mapping, Set
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.types import Batch

REMEDY = 'run.batches(images) makes batches of uint8 images, as run.encode and its like do'
ROUNDING = 1e-5  # by which preprocessed images may leave their range


class CheckedModel(BoundModel):
  """A BoundModel that looks at the images of a batch before it is called with them.

  shapes       {feature: [H,W,C]} of the images as the model sees them
  value_range  in which they lie
  binary       the features that consist of the two ends of that range alone
  """

  def __init__(
    self,
    module: nn.Module,
    variables: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    value_range: tuple[float, float],
    binary: Set[str],
  ):
    super().__init__(module, variables)
    self._shapes, self._value_range, self._binary = shapes, value_range, binary

  def call(self, method: str, *arguments: Any) -> Any:
    """As `BoundModel.call`. UserError for images of another type, shape or range than the model has been trained on."""
    for batch in arguments:
      if isinstance(batch, Mapping):
        self.check_batch(batch)
    return super().call(method, *arguments)

  def check_batch(self, batch: Batch) -> None:
    """Raises UserError for the first feature of the batch that is no image as this model sees them."""
    for name in self._shapes.keys() & batch.keys():
      if problem := self.problem_of(batch[name], self._shapes[name], name in self._binary):
        raise UserError(f'batch[{name!r}] {problem}: {REMEDY}')

  def problem_of(self, images: Any, shape: tuple[int, ...], binary: bool) -> str | None:
    """What is wrong with images [B,H,W,C]; values cannot be told while a function is traced."""
    low, high = self._value_range
    if not jnp.issubdtype(images.dtype, jnp.floating):
      return f'is {images.dtype}, and this model sees floats in [{low:g}, {high:g}]'
    if tuple(images.shape[1:]) != tuple(shape):
      return f'has the shape {list(images.shape)}, and this model sees {["B", *shape]}'.replace("'", '')
    if isinstance(images, jax.core.Tracer) or not len(images):
      return None
    least, most, from_ends = (float(x) for x in extremes(images, low, high))
    if not low - ROUNDING <= least <= most <= high + ROUNDING:
      return f'has values from {least:g} to {most:g}, and this model sees [{low:g}, {high:g}]'
    if binary and from_ends > ROUNDING:
      return f'has gray values, and this model sees binary images, of {low:g} and {high:g} alone'
    return None


@jax.jit
def extremes(images: jax.Array, low: float, high: float) -> tuple[jax.Array, jax.Array, jax.Array]:
  """(least value, largest value, how far a value lies from the nearer of the ends `low` and `high`, at most)."""
  return images.min(), images.max(), jnp.minimum(abs(images - low), abs(images - high)).max()
