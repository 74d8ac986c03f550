"""Networks from noise to examples, alike in form: `(z [B,Z], labels [B] or None, shape, train) -> [B, *shape]`.

`condition` says what labels do: 'embedding' adds a learned vector of the class to the first layer, by one-hot columns
beside z (Mirza & Osindero, 2014); 'batch_norm' gives every normalization a scale and an offset of each class.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import at_least_one, one_of, positive
from gen_jax.networks.layers import Conv, ConvTranspose, ResizeConv
from gen_jax.networks.normalization import BatchNorm
from gen_jax.types import Facts

CONDITIONS = 'embedding', 'batch_norm'
OUTPUTS = 'linear', 'tanh'
DCGAN_INIT = nn.initializers.normal(0.02)  # Radford et al. (2016)
RELU_XAVIER = nn.initializers.variance_scaling(2.0, 'fan_avg', 'uniform')  # gain sqrt 2 (Miyato et al., 2018)


def append_one_hot(z: jax.Array, labels: jax.Array | None, num_classes: int) -> jax.Array:
  """z [B,Z], and one-hot columns beside it where there are labels."""
  return z if labels is None else jnp.concatenate([z, jax.nn.one_hot(labels, num_classes)], axis=-1)


def condition_on_labels(
  network: nn.Module, z: jax.Array, labels: jax.Array | None, train: bool
) -> tuple[jax.Array, Callable[[jax.Array], jax.Array]]:
  """(what the first layer takes, normalization and ReLU before each later one); one of them sees the labels, if any."""
  by_norm = labels if network.condition == 'batch_norm' else None
  if by_norm is None:
    z = append_one_hot(z, labels, network.num_classes)

  def normalize_and_activate(x: jax.Array) -> jax.Array:
    return jax.nn.relu(BatchNorm(dtype=network.dtype)(x, train, by_norm, network.num_classes))

  return z, normalize_and_activate


def finish_image(network: nn.Module, x: jax.Array, train: bool) -> jax.Array:
  """float32 images in [-1, 1], by tanh; or of a network whose `output` is 'linear' as they come, and cut elsewhere."""
  x = x.astype(jnp.float32)
  if network.output == 'tanh':
    return jnp.tanh(x)
  return x if train else jnp.clip(x, -1, 1)


def doubling_sizes(shape: Sequence[int], doublings: int) -> list[tuple[int, int]]:
  """The heights and widths that lead up to `shape`, the smallest first."""
  height, width = shape[:2]
  return [(-(-height // 2**i), -(-width // 2**i)) for i in reversed(range(doublings + 1))]


class MLPGenerator(nn.Module):
  """Dense layers with ReLU between them, for points; `bounded` by tanh for images."""

  hidden: Sequence[int] = (128, 128, 128)
  bounded: bool = False
  num_classes: int = 0
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """Widths above 0."""
    yield from positive(self, 'hidden')

  @nn.compact
  def __call__(self, z: jax.Array, labels: jax.Array | None, shape: Sequence[int], train: bool) -> jax.Array:
    """float32; the same in training and elsewhere."""
    del train
    x = append_one_hot(z, labels, self.num_classes)
    for width in self.hidden:
      x = jax.nn.relu(nn.Dense(width, dtype=self.dtype)(x))
    x = nn.Dense(math.prod(shape), dtype=self.dtype)(x).astype(jnp.float32).reshape(-1, *shape)
    return jnp.tanh(x) if self.bounded else x


class ConvGenerator(nn.Module):
  """Transposed convolutions of stride 2 with batch normalization and ReLU between them, tanh (DCGAN).

  `features[0]` is the width of the smallest map; each further entry, and the output, is reached by doubling
  (Radford et al., 2016).
  """

  features: Sequence[int] = (256, 128, 64)
  kernel: int = 4
  condition: str = 'embedding'
  num_classes: int = 0
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """Layers, and a way for the labels."""
    yield from at_least_one(self, 'features')
    yield from positive(self, 'kernel')
    yield from one_of(self, 'condition', CONDITIONS)

  @nn.compact
  def __call__(self, z: jax.Array, labels: jax.Array | None, shape: Sequence[int], train: bool) -> jax.Array:
    """float32 in [-1, 1]; `train` normalizes by the moments of the batch."""
    z, normalize_and_activate = condition_on_labels(self, z, labels, train)
    sizes = doubling_sizes(shape, len(self.features))
    smallest = (*sizes[0], self.features[0])
    x = nn.Dense(math.prod(smallest), use_bias=False, kernel_init=DCGAN_INIT, dtype=self.dtype)(z)
    x = x.reshape(-1, *smallest)
    for width, (h, w) in zip((*self.features[1:], shape[-1]), sizes[1:], strict=True):
      last = (h, w) == tuple(shape[:2])
      layer = ConvTranspose(
        width, self.kernel, strides=2, use_bias=last, kernel_init=DCGAN_INIT, dtype=self.dtype
      )
      x = layer(normalize_and_activate(x))[:, :h, :w]  # an odd size comes back one too large
    return jnp.tanh(x.astype(jnp.float32))


class ResNetGenerator(nn.Module):
  """Residual blocks, each of which doubles the size, batch normalization, ReLU, a convolution, tanh (SNGAN).

  `features[0]` is the width of the smallest map, every entry that of a block (Miyato et al., 2018, table 4).
  """

  features: Sequence[int] = (256, 256, 256)
  condition: str = 'embedding'
  num_classes: int = 0
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """Blocks, and a way for the labels."""
    yield from at_least_one(self, 'features')
    yield from one_of(self, 'condition', CONDITIONS)

  @nn.compact
  def __call__(self, z: jax.Array, labels: jax.Array | None, shape: Sequence[int], train: bool) -> jax.Array:
    """float32 in [-1, 1]; `train` normalizes by the moments of the batch."""
    z, normalize_and_activate = condition_on_labels(self, z, labels, train)
    conv = functools.partial(Conv, use_bias=False, dtype=self.dtype)
    sizes = doubling_sizes(shape, len(self.features))
    smallest = (*sizes[0], self.features[0])
    x = nn.Dense(math.prod(smallest), kernel_init=nn.initializers.xavier_uniform(), dtype=self.dtype)(z)
    x = x.reshape(-1, *smallest)
    for width, (h, w) in zip(self.features, sizes[1:], strict=True):
      # without biases, which the normalizations after them would take away; a 1x1 convolution and repeating pixels
      # commute, and the smaller image is cheaper
      shortcut = conv(width, 1, kernel_init=nn.initializers.xavier_uniform())(x)
      y = ResizeConv(width, 3, use_bias=False, kernel_init=RELU_XAVIER, dtype=self.dtype)(normalize_and_activate(x))
      y = conv(width, 3, kernel_init=RELU_XAVIER)(normalize_and_activate(y))
      x = (y + shortcut.repeat(2, axis=1).repeat(2, axis=2))[:, :h, :w]
    x = Conv(shape[-1], 3, kernel_init=nn.initializers.xavier_uniform(), dtype=self.dtype)(normalize_and_activate(x))
    return jnp.tanh(x.astype(jnp.float32))
