"""Half of a U-Net: from images with noise to vectors."""

from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.networks.unet import GroupNorm, embed_condition, go_down, problems_of_maps
from gen_jax.types import Facts


class NoisyEncoder(nn.Module):
  """The way down of a `UNet` without labels, the mean over the pixels of its last map, a dense layer.

  The classifier of Dhariwal & Nichol (2021, section 4) but for its pooling, which there is by attention. The fields are
  those of the `UNet`.
  """

  features: Sequence[int] = (32, 64, 128)
  blocks: int = 1
  attention: Sequence[int] = ()
  patch: int = 1
  group: int = 16
  dropout: float = 0.0
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """Layers, and images that can be divided into patches."""
    yield from problems_of_maps(self, facts)
    if facts.kind != 'image':
      yield 'name=NoisyEncoder: sees images, no points of the plane'

  @nn.compact
  def __call__(self, x: jax.Array, noise: jax.Array, outputs: int, rows: jax.Array, train: bool) -> jax.Array:
    """[B,H,W,C], noise [B] -> float32 [B,outputs], 0 at first."""
    condition = embed_condition(self, noise, None, 4 * self.features[0])
    x = go_down(self, x, condition, rows, train)[-1]
    x = nn.silu(GroupNorm(self.group)(x)).mean((1, 2))
    return nn.Dense(outputs, kernel_init=nn.initializers.zeros)(x)
