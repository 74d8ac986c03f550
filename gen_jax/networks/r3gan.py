"""The networks of R3GAN: residual stages without any normalization (Huang et al., 2024, arXiv 2501.05441, section 3).

A stage resamples what it gets, but for the smallest maps, and adds to it what residual blocks make. A convolution
before an activation begins as N(0, 2 / (1.04 fan_in sqrt(L))), L the number of blocks, and the last one of a block as
0, so that every block begins as the identity and none needs a normalization (Zhang et al., 2019). The last linear layer
is the head's, which begins smaller than theirs.

Theirs have `hidden` 2, 3x3 convolutions in groups of 16 channels, and two blocks a stage. A CPU is slow at groups: the
gradient of R1 of such a block, of 128 channels at 16x16, takes 20 times as long as with `hidden` 0.5 and one group, 6
times as long as with `hidden` 1.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import at_least_one, non_negative, one_of, positive
from gen_jax.networks.generators import OUTPUTS, append_one_hot, doubling_sizes, finish_image
from gen_jax.networks.layers import Conv, from_patches, to_patches
from gen_jax.types import Facts

SLOPE = 0.2  # of the leaky ReLU below 0


def variance_of(scale: float) -> nn.initializers.Initializer:
  """N(0, scale / fan_in)."""
  return nn.initializers.variance_scaling(scale, 'fan_in', 'normal')


def upsample(x: jax.Array) -> jax.Array:
  """Twice the height and width, by the filter [1, 2, 1] / 2 along each, with zeros beyond the end."""
  for axis in (1, 2):
    following = jax.lax.slice_in_dim(x, 1, None, axis=axis)
    following = jnp.pad(following, [(0, int(i == axis)) for i in range(4)])
    x = jnp.stack([x, (x + following) / 2], axis=axis + 1)
    x = x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])
  return x


def downsample(x: jax.Array) -> jax.Array:
  """Half the height and width, rounded up, by the filter [1, 2, 1] / 4 along each, with zeros beyond the ends.

  Of even sizes, up to the scale, the transpose of `upsample`.
  """
  for axis in (1, 2):
    margin = [(0, x.shape[i] % 2 if i == axis else 0) for i in range(4)]
    x = jnp.pad(x, margin)
    x = x.reshape(*x.shape[:axis], -1, 2, *x.shape[axis + 1 :])
    even, odd = (jax.lax.index_in_dim(x, i, axis=axis + 1, keepdims=False) for i in (0, 1))
    before = jnp.pad(jax.lax.slice_in_dim(odd, 0, -1, axis=axis), [(int(i == axis), 0) for i in range(4)])
    x = (before + 2 * even + odd) / 4
  return x


class Block(nn.Module):
  """x + a 1x1 convolution, a 3x3 one, a 1x1 one, leaky ReLU with a bias before both of the latter."""

  hidden: float  # channels of the 3x3 convolution, relative to those of x
  depth: int  # the number of blocks of the network
  group: int = 0  # channels of a group of the 3x3 convolution; 0: one group
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,H,W,C] -> the same shape."""
    width = round(self.hidden * x.shape[-1])
    init = variance_of(2 / (1 + SLOPE**2) * self.depth**-0.5)
    activate = functools.partial(jax.nn.leaky_relu, negative_slope=SLOPE)
    h = activate(Conv(width, 1, kernel_init=init, dtype=self.dtype)(x))
    if self.group:
      h = nn.Conv(width, (3, 3), feature_group_count=width // self.group, kernel_init=init, dtype=self.dtype)(h)
    else:
      h = Conv(width, 3, kernel_init=init, dtype=self.dtype)(h)
    return x + Conv(x.shape[-1], 1, use_bias=False, kernel_init=nn.initializers.zeros, dtype=self.dtype)(activate(h))


def problems_of_stages(network: nn.Module, facts: Facts) -> Iterator[str]:
  """Stages, blocks, groups that divide the widths, patches that divide the images."""
  yield from at_least_one(network, 'features')
  yield from positive(network, 'blocks', 'hidden', 'patch')
  yield from non_negative(network, 'group')
  height, width, _ = facts.image_shape
  if facts.kind == 'image' and (height % network.patch or width % network.patch):
    yield f'patch={network.patch}: does not divide images of {height}x{width}; set config.data.size, or patch=1'
  for features in network.features:
    if network.group > 0 and round(network.hidden * features) % network.group:
      yield f'group={network.group}: does not divide {round(network.hidden * features)}, hidden of {features} channels'


def residual_blocks(network: nn.Module, x: jax.Array) -> jax.Array:
  """x after `network.blocks` residual blocks, in a compact method."""
  depth = network.blocks * len(network.features)
  for _ in range(network.blocks):
    x = Block(network.hidden, depth, network.group, network.dtype)(x)
  return x


def to_width(network: nn.Module, x: jax.Array, width: int) -> jax.Array:
  """x [B,H,W,C] with so many channels, by a 1x1 convolution where it has others, in a compact method."""
  if x.shape[-1] == width:
    return x
  return Conv(width, 1, use_bias=False, kernel_init=variance_of(1.0), dtype=network.dtype)(x)


class R3Generator(nn.Module):
  """A learned map, scaled channel by channel by a linear function of z; stages, each twice as large; an image.

  `features` are the widths of the stages, the smallest map first. The largest map may have less than the image's size,
  by `patch`, whose patch x patch pixels are then its channels: on a CPU the largest maps cost most.
  """

  features: Sequence[int] = (128, 96, 64)
  blocks: int = 2
  hidden: float = 0.5
  group: int = 0
  patch: int = 1
  output: str = 'linear'  # 'tanh' reaches the ends of the range, where most pixels of drawings lie
  num_classes: int = 0
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """As `problems_of_stages`; and the output."""
    yield from problems_of_stages(self, facts)
    yield from one_of(self, 'output', OUTPUTS)

  @nn.compact
  def __call__(self, z: jax.Array, labels: jax.Array | None, shape: Sequence[int], train: bool) -> jax.Array:
    """As `finish_image`."""
    height, width, channels = shape
    sizes = doubling_sizes((height // self.patch, width // self.patch), len(self.features) - 1)
    basis = self.param('basis', nn.initializers.normal(1.0), (*sizes[0], self.features[0]))
    scale = nn.Dense(self.features[0], use_bias=False, kernel_init=variance_of(1.0), dtype=self.dtype)
    x = basis.astype(self.dtype)[None] * scale(append_one_hot(z, labels, self.num_classes))[:, None, None]
    for i, (features, (h, w)) in enumerate(zip(self.features, sizes, strict=True)):
      if i:  # a 1x1 convolution and a filter of each channel commute, and the smaller map is cheaper
        x = upsample(to_width(self, x, features))[:, :h, :w]
      x = residual_blocks(self, x)
    x = Conv(channels * self.patch**2, 1, use_bias=False, kernel_init=variance_of(1.0), dtype=self.dtype)(x)
    return finish_image(self, from_patches(x, self.patch), train)


class R3Discriminator(nn.Module):
  """The mirror of R3Generator: `features` are the widths of its stages, the largest map first; a feature a channel."""

  features: Sequence[int] = (64, 96, 128)
  blocks: int = 2
  hidden: float = 0.5
  group: int = 0
  patch: int = 1
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """As `problems_of_stages`."""
    yield from problems_of_stages(self, facts)

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Features [B,F] of images [B,H,W,C]; the same in training and elsewhere."""
    del train
    x = to_patches(x, self.patch)
    x = Conv(self.features[0], 1, use_bias=False, kernel_init=variance_of(1.0), dtype=self.dtype)(x)
    for i, features in enumerate(self.features):
      if i:
        x = to_width(self, downsample(x), features)
      x = residual_blocks(self, x)
    fan_in = math.prod(x.shape[1:3])
    basis = self.param('basis', nn.initializers.normal(fan_in**-0.5), x.shape[1:])
    return (x * basis.astype(self.dtype)[None]).sum((1, 2)).astype(jnp.float32)
