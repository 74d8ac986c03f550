"""Half of a U-Net: from images with noise to vectors."""

from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import at_least_one, fraction, positive
from gen_jax.networks.layers import Conv
from gen_jax.networks.unet import GroupNorm, NoisyBlock, embed_condition, to_patches
from gen_jax.types import Facts


class NoisyEncoder(nn.Module):
  """The way down of a `UNet` without labels, the mean over the pixels of its last map, a dense layer.

  (The classifier of Dhariwal & Nichol, 2021, section 4, but for its attention.) The fields are those of the `UNet`.
  """

  features: Sequence[int] = (32, 64, 128)
  blocks: int = 1
  patch: int = 1
  group: int = 16
  dropout: float = 0.0
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """Layers, and images that can be divided into patches."""
    yield from at_least_one(self, 'features')
    yield from positive(self, 'blocks', 'patch', 'group')
    yield from fraction(self, 'dropout')
    if any(width % 2 for width in self.features):
      yield f'features={tuple(self.features)}: must be even'
    if facts.kind != 'image':
      yield 'name=NoisyEncoder: sees images, no points of the plane'
    height, width, _ = facts.image_shape
    if height % self.patch or width % self.patch:
      yield f'patch={self.patch}: does not divide images of {height}x{width}; set config.data.size, or patch=1'

  @nn.compact
  def __call__(self, x: jax.Array, noise: jax.Array, outputs: int, rows: jax.Array, train: bool) -> jax.Array:
    """[B,H,W,C], noise [B] -> float32 [B,outputs], 0 at first."""
    condition = embed_condition(self, noise, None, 4 * self.features[0])
    x = Conv(self.features[0], 3, dtype=self.dtype)(to_patches(x, self.patch).astype(self.dtype))
    for level, width in enumerate(self.features):
      if level:
        x = Conv(width, 3, strides=2, dtype=self.dtype)(x)
      for _ in range(self.blocks):
        x = NoisyBlock(width, self.group, self.dropout, self.dtype)(x, condition, rows, train)
    x = nn.silu(GroupNorm(self.group)(x)).mean((1, 2))
    return nn.Dense(outputs, kernel_init=nn.initializers.zeros)(x)
