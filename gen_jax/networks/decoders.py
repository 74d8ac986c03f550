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
    sizes = doubling_sizes(shape, len(self.features))
    smallest = (*sizes[0], self.features[0])
    for hidden in self.hidden:
      z = activation(nn.Dense(hidden, dtype=self.dtype)(z))
    x = nn.Dense(math.prod(smallest), dtype=self.dtype)(z).reshape(-1, *smallest)
    for outputs, (h, w) in zip((*self.features[1:], shape[2]), sizes[1:], strict=True):
      for _ in range(self.blocks):
        x = ResidualBlock(activation=self.activation, dtype=self.dtype)(x)
      x = ConvTranspose(outputs, (self.kernel, self.kernel), strides=2, dtype=self.dtype)(activation(x))
      x = x[:, :h, :w]  # an odd size comes back one too large
    return x.astype(jnp.float32)


class BroadcastDecoder(nn.Module):
  """A coarse map whose every place sees all of z and where it is, doubled by transposed convolutions, then patches.

  After the spatial broadcast decoder of Watters et al. (2019, arXiv:1901.07017), which has a map as large as the image:
  as dense layers, the same at each place, are given its coordinates, they compare them with z, and what an object looks
  like need not be learned anew for each place. `hidden` are their widths; each entry of `features` is reached by
  doubling; a last dense layer makes a patch of `patch` x `patch` pixels of each place, as the sub-pixel layer of Shi et
  al. (2016, arXiv:1609.05158), which costs less than a transposed convolution of the image's size.
  """

  hidden: Sequence[int] = (128, 128)
  features: Sequence[int] = (32,)
  kernel: int = 4
  patch: int = 4
  activation: str = 'relu'
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """Layers, and widths above 0."""
    yield from at_least_one(self, 'hidden')
    yield from positive(self, 'features', 'kernel', 'patch')

  @nn.compact
  def __call__(self, z: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
    """[B, D] -> float32 [B, H, W, C] = [B, *shape], any H and W."""
    activation = getattr(jax.nn, self.activation)
    height, width, channels = shape
    places = (-(-height // self.patch), -(-width // self.patch), channels)  # that become a patch each
    sizes = doubling_sizes(places, len(self.features))
    lines = [jnp.linspace(-1, 1, size) for size in sizes[0]]
    coordinates = jnp.stack(jnp.meshgrid(*lines, indexing='ij'), axis=-1)[None]  # y and x, [1,h,w,2]
    # a dense layer of z and the coordinates, whose part of z is the same everywhere; each begins at its own scale
    first, *others = self.hidden
    x = nn.Dense(first, dtype=self.dtype)(z)[:, None, None]
    x = x + nn.Dense(first, use_bias=False, dtype=self.dtype)(coordinates)
    for units in others:
      x = nn.Dense(units, dtype=self.dtype)(activation(x))
    for outputs, (h, w) in zip(self.features, sizes[1:], strict=True):
      x = ConvTranspose(outputs, (self.kernel, self.kernel), strides=2, dtype=self.dtype)(activation(x))
      x = x[:, :h, :w]  # an odd size comes back one too large
    x = nn.Dense(self.patch**2 * channels, dtype=self.dtype)(activation(x))
    x = x.reshape(*x.shape[:3], self.patch, self.patch, channels).swapaxes(2, 3)  # [B, h, patch, w, patch, C]
    x = x.reshape(-1, places[0] * self.patch, places[1] * self.patch, channels)
    return x[:, :height, :width].astype(jnp.float32)


def doubling_sizes(shape: tuple[int, int, int], times: int) -> list[tuple[int, int]]:
  """The (height, width) of the maps that stride 2 makes of an image [H,W,C], the smallest first, the image's last."""
  return [(-(-shape[0] // 2**i), -(-shape[1] // 2**i)) for i in reversed(range(times + 1))]
