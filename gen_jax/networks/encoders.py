"""Networks from images to vectors."""

from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import at_least_one, non_negative, positive
from gen_jax.networks.layers import Conv, ResidualBlock
from gen_jax.types import Facts


class MLPEncoder(nn.Module):
  """Flatten, then dense layers with an activation of `jax.nn` between them.

  The last hidden layer is sown as 'hidden', for who asks for it by `mutable='intermediates'`.
  """

  hidden: Sequence[int] = (500,)
  activation: str = 'relu'
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """Widths above 0."""
    yield from positive(self, 'hidden')

  @nn.compact
  def __call__(self, x: jax.Array, outputs: int) -> jax.Array:
    """[B, ...] -> float32 [B, outputs]."""
    activation = getattr(jax.nn, self.activation)
    x = x.reshape(x.shape[0], -1)
    for width in self.hidden:
      x = activation(nn.Dense(width, dtype=self.dtype)(x))
    self.sow('intermediates', 'hidden', x)
    return nn.Dense(outputs, dtype=self.dtype)(x).astype(jnp.float32)


class ConvEncoder(nn.Module):
  """Convolutions of stride 2, then dense layers (by default the encoder of Higgins et al., 2017, of faces).

  `blocks` residual blocks of two 3x3 convolutions follow each of them; their sum goes on as it is.
  """

  features: Sequence[int] = (32, 32, 64, 64)
  kernels: Sequence[int] = (4, 4, 4, 4)
  blocks: int = 0
  hidden: Sequence[int] = (256,)
  activation: str = 'relu'
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """Layers, and widths above 0."""
    yield from at_least_one(self, 'features', 'kernels')
    yield from positive(self, 'hidden')
    yield from non_negative(self, 'blocks')

  @nn.compact
  def __call__(self, x: jax.Array, outputs: int) -> jax.Array:
    """[B, H, W, C] -> float32 [B, outputs], any H and W."""
    activation = getattr(jax.nn, self.activation)
    for width, kernel in zip(self.features, self.kernels, strict=True):
      x = activation(Conv(width, (kernel, kernel), strides=2, dtype=self.dtype)(x))
      for _ in range(self.blocks):
        x = ResidualBlock(activation=self.activation, dtype=self.dtype)(x)
    return MLPEncoder(self.hidden, self.activation, self.dtype)(x, outputs)


class LabelMap(nn.Module):
  """A learned image of each class, [H,W,1], which joins the channels of an encoder's input."""

  @nn.compact
  def __call__(self, labels: jax.Array, num_classes: int, size: tuple[int, int]) -> jax.Array:
    """int32 [B] -> [B,H,W,1]."""
    maps = nn.Embed(num_classes, size[0] * size[1], embedding_init=nn.initializers.normal(0.3))(labels)
    return maps.reshape(-1, *size, 1)
