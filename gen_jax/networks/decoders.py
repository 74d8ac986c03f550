"""Networks from vectors to images."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import at_least_one, non_negative, positive
from gen_jax.networks.layers import ConvTranspose, ResidualBlock
from gen_jax.types import Facts


class MLPDecoder(nn.Module):
  """Dense layers with an activation of `jax.nn` between them."""

  hidden: Sequence[int] = (500,)
  activation: str = 'relu'
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """Widths above 0."""
    yield from positive(self, 'hidden')

  @nn.compact
  def __call__(self, z: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """[B, D] -> float32 [B, *shape]."""
    activation = getattr(jax.nn, self.activation)
    for width in self.hidden:
      z = activation(nn.Dense(width, dtype=self.dtype)(z))
    x = nn.Dense(math.prod(shape), dtype=self.dtype)(z)
    return x.reshape(-1, *shape).astype(jnp.float32)


class ConvDecoder(nn.Module):
  """Dense layers, then transposed convolutions of stride 2 (by default the decoder of Higgins et al., 2017, of faces).

  `features[0]` is the width of the smallest map; each further entry, and the output, is reached by doubling, after
  `blocks` residual blocks of two 3x3 convolutions.
  """

  features: Sequence[int] = (64, 64, 32, 32)
  kernel: int = 4
  blocks: int = 0
  hidden: Sequence[int] = (256,)
  activation: str = 'relu'
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """Layers, and widths above 0."""
    yield from at_least_one(self, 'features')
    yield from positive(self, 'kernel', 'hidden')
    yield from non_negative(self, 'blocks')

  @nn.compact
  def __call__(self, z: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
    """[B, D] -> float32 [B, H, W, C] = [B, *shape], any H and W."""
    activation = getattr(jax.nn, self.activation)
    height, width, channels = shape
    # the sizes that stride 2 passes through on the way down, the smallest first
    sizes = [(-(-height // 2**i), -(-width // 2**i)) for i in reversed(range(len(self.features) + 1))]
    smallest = (*sizes[0], self.features[0])
    for hidden in self.hidden:
      z = activation(nn.Dense(hidden, dtype=self.dtype)(z))
    x = nn.Dense(math.prod(smallest), dtype=self.dtype)(z).reshape(-1, *smallest)
    for outputs, (h, w) in zip((*self.features[1:], channels), sizes[1:], strict=True):
      for _ in range(self.blocks):
        x = ResidualBlock(activation=self.activation, dtype=self.dtype)(x)
      x = ConvTranspose(outputs, (self.kernel, self.kernel), strides=2, dtype=self.dtype)(activation(x))
      x = x[:, :h, :w]  # an odd size comes back one too large
    return x.astype(jnp.float32)
