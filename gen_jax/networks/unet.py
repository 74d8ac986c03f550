"""A U-Net with noise levels and labels, for diffusion; and dense layers for points of the plane.

Alike in form: `(x [B,H,W,C], noise [B], labels [B] or None, rows [B], train) -> float32 [B,H,W,C]`. `noise` is any
smooth measure of the noise level of an image, such as log sigma / 4. A label of `num_classes` stands for none. Nothing
couples the images of a batch.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import at_least_one, fraction, non_negative, positive
from gen_jax.networks.layers import Conv, ResizeConv, from_patches, to_patches
from gen_jax.networks.translators import drop_out
from gen_jax.types import Facts

LOWEST, HIGHEST = 0.25, 16.0  # angular frequencies that a noise level of about -2 to 2 is embedded by


def embed_noise(noise: jax.Array, width: int) -> jax.Array:
  """[sin(w noise), cos(w noise)] for w from LOWEST to HIGHEST: [B] -> [B,width]."""
  angles = noise[:, None] * jnp.geomspace(LOWEST, HIGHEST, width // 2)[None]
  return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


def embed_condition(network: nn.Module, noise: jax.Array, labels: jax.Array | None, width: int) -> jax.Array:
  """A vector of the noise level and the label, [B,width], in a compact method."""
  h = nn.Dense(width, dtype=network.dtype)(embed_noise(noise, width))
  h = nn.Dense(width, dtype=network.dtype)(nn.silu(h))
  if labels is not None:
    # the last row is no class; of unit variance, as labels that hardly differ at first are long overlooked
    unit = nn.initializers.normal(1.0)
    h = h + nn.Embed(network.num_classes + 1, width, embedding_init=unit, dtype=network.dtype)(labels)
  return nn.silu(h)


def largest_divisor(number: int, most: int) -> int:
  """The largest divisor of a number that is at most `most`; 1 where that is less."""
  return next(part for part in range(max(1, most), 0, -1) if number % part == 0)


class GroupNorm(nn.Module):
  """(x - E x) / sqrt(Var x + 10^-5) over all pixels of a group of channels of an image (Wu & He, 2018), no scale.

  `channels` in a group, or as few more as divide them; all of them where there are fewer. With 1 it is instance
  normalization.
  """

  channels: int = 16

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,H,W,C] -> the same shape, float32."""
    x = x.astype(jnp.float32)
    groups = largest_divisor(x.shape[-1], x.shape[-1] // self.channels)
    # the moments of each channel first: to reshape [B,H,W,C] to groups is slow on a CPU
    moments = jnp.stack([x.mean((1, 2)), (x**2).mean((1, 2))])  # [2,B,C]
    moments = moments.reshape(2, len(x), groups, -1).mean(-1, keepdims=True)
    mean, square = jnp.broadcast_to(moments, (2, len(x), groups, x.shape[-1] // groups)).reshape(2, len(x), 1, 1, -1)
    return (x - mean) * jax.lax.rsqrt(jnp.maximum(square - mean**2, 0) + 1e-5)


class NoisyBlock(nn.Module):
  """x + Conv(dropout(silu(scale norm(Conv(silu(norm(x)))) + shift))), scale and shift by the condition.

  (Dhariwal & Nichol, 2021; Karras et al., 2022, table 1.) Begins as the identity, or a 1x1 convolution.
  """

  features: int
  group: int = 16
  dropout: float = 0.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, condition: jax.Array, rows: jax.Array, train: bool) -> jax.Array:
    """[B,H,W,C], condition [B,E] -> [B,H,W,features]."""
    conv = functools.partial(Conv, self.features, dtype=self.dtype)
    norm = GroupNorm(self.group)
    h = conv(3, use_bias=False)(nn.silu(norm(x)).astype(self.dtype))
    # the convolution before has no bias, as this is one
    moved = nn.Dense(2 * self.features, dtype=self.dtype, kernel_init=nn.initializers.zeros)(condition)
    scale, shift = jnp.split(moved[:, None, None], 2, axis=-1)
    h = nn.silu(norm(h) * (1 + scale) + shift)
    if self.dropout and train:
      h = drop_out(h, self.dropout, self.make_rng('dropout'), rows)
    h = conv(3, kernel_init=nn.initializers.zeros)(h.astype(self.dtype))
    return h + (x if x.shape[-1] == self.features else conv(1)(x))


class Attention(nn.Module):
  """x + self-attention of all pixels of an image, by heads of 64 channels or more (Vaswani et al., 2017), first x."""

  group: int = 16
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,H,W,C] -> the same shape."""
    b, h, w, c = x.shape
    heads = largest_divisor(c, c // 64)
    y = GroupNorm(self.group)(x).astype(self.dtype).reshape(b, h * w, c)
    q, k, v = jnp.split(nn.Dense(3 * c, dtype=self.dtype)(y).reshape(b, h * w, heads, -1), 3, axis=-1)
    y = jax.nn.dot_product_attention(q, k, v).reshape(b, h, w, c)
    return x + nn.Dense(c, dtype=self.dtype, kernel_init=nn.initializers.zeros)(y)


def problems_of_maps(network: nn.Module, facts: Facts) -> Iterator[str]:
  """What in the fields that a `UNet` and a `NoisyEncoder` share, or in the data, leaves no maps to go down by."""
  yield from at_least_one(network, 'features')
  yield from positive(network, 'blocks', 'patch', 'group')
  yield from fraction(network, 'dropout')
  if any(width % 2 for width in network.features):
    yield f'features={tuple(network.features)}: must be even'
  if unknown := set(network.attention) - set(range(len(network.features))):
    yield f'attention: {min(unknown)} is no level; there are 0 to {len(network.features) - 1}'
  height, width, _ = facts.image_shape
  if facts.kind == 'image' and (height % network.patch or width % network.patch):
    yield f'patch={network.patch}: does not divide images of {height}x{width}; set config.data.size, or patch=1'


def add_block(
  network: nn.Module, level: int, x: jax.Array, condition: jax.Array, rows: jax.Array, train: bool
) -> jax.Array:
  """A residual block of the width of a level, and attention where the level has it, in a compact method."""
  x = NoisyBlock(network.features[level], network.group, network.dropout, network.dtype)(x, condition, rows, train)
  return Attention(network.group, network.dtype)(x) if level in network.attention else x


def go_down(
  network: nn.Module, x: jax.Array, condition: jax.Array, rows: jax.Array, train: bool
) -> list[jax.Array]:
  """All maps on the way down, `blocks` + 1 of each level, in a compact method.

  The first of a level is a convolution of the patches of the image x [B,H,W,C], or of the last map of the level before,
  which it halves.
  """
  maps = [Conv(network.features[0], 3, dtype=network.dtype)(to_patches(x, network.patch))]
  for level, width in enumerate(network.features):
    if level:
      maps.append(Conv(width, 3, strides=2, dtype=network.dtype)(maps[-1]))
    for _ in range(network.blocks):
      maps.append(add_block(network, level, maps[-1], condition, rows, train))
  return maps


class UNet(nn.Module):
  """Residual blocks on the way down, as many and one more on the way up, skips between maps of one size.

  `features` are the widths of the maps, each half as large as the one before; the first has the size of the image by
  `patch`, whose patches x patches of pixels are its channels: on a CPU the largest maps cost most (1: none). The maps
  of the levels in `attention` (0 is the largest) attend to themselves, and so does the smallest between its two ways
  where it is one of them.
  """

  features: Sequence[int] = (64, 128)
  blocks: int = 2
  attention: Sequence[int] = ()
  patch: int = 1
  group: int = 16
  dropout: float = 0.0
  num_classes: int = 0
  dtype: Any = jnp.float32

  @property
  def multiple(self) -> int:
    """Of which heights and widths are to be multiples, so that no map has a half pixel."""
    return self.patch * 2 ** (len(self.features) - 1)

  def problems(self, facts: Facts) -> Iterator[str]:
    """Layers, and images that can be divided and halved so often."""
    yield from problems_of_maps(self, facts)
    if facts.kind != 'image':
      yield 'name=UNet: sees images; choose MLPDenoiser for points of the plane'

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    noise: jax.Array,
    labels: jax.Array | None,
    rows: jax.Array,
    train: bool,
    outputs: int | None = None,
  ) -> jax.Array:
    """0 at first; of `outputs` channels, by default as many as x has."""
    outputs = outputs or x.shape[-1]
    condition = embed_condition(self, noise, labels, 4 * self.features[0])
    add = functools.partial(add_block, self, condition=condition, rows=rows, train=train)
    maps = go_down(self, x, condition, rows, train)

    last = len(self.features) - 1
    x = add(last, maps[-1])
    x = NoisyBlock(self.features[last], self.group, self.dropout, self.dtype)(x, condition, rows, train)

    for level, width in reversed(list(enumerate(self.features))):
      for _ in range(self.blocks + 1):
        x = add(level, jnp.concatenate([x, maps.pop()], axis=-1))
      if level:
        h, w = maps[-1].shape[1:3]
        x = ResizeConv(width, 3, dtype=self.dtype)(x)[:, :h, :w]  # an odd size comes back one too large

    x = nn.silu(GroupNorm(self.group)(x)).astype(self.dtype)
    x = Conv(outputs * self.patch**2, 3, kernel_init=nn.initializers.zeros, dtype=self.dtype)(x)
    return from_patches(x.astype(jnp.float32), self.patch)


class MLPDenoiser(nn.Module):
  """Residual dense layers with SiLU, for points of the plane [B,1,1,2].

  Beside the coordinates it sees their sines and cosines, at angular frequencies 1, 2, 4 and so on, `octaves` of them:
  without, small modes far apart come out blurred (Tancik et al., 2020).
  """

  hidden: int = 128
  blocks: int = 3
  octaves: int = 5
  num_classes: int = 0
  dtype: Any = jnp.float32

  multiple = 1  # of which heights and widths are to be multiples

  def problems(self, facts: Facts) -> Iterator[str]:
    """Widths above 0, and points."""
    yield from positive(self, 'hidden', 'blocks')
    yield from non_negative(self, 'octaves')
    if self.hidden % 2:
      yield f'hidden={self.hidden}: must be even'
    if facts.kind != 'points':
      yield 'name=MLPDenoiser: sees points of the plane; choose UNet for images'

  @nn.compact
  def __call__(
    self, x: jax.Array, noise: jax.Array, labels: jax.Array | None, rows: jax.Array, train: bool
  ) -> jax.Array:
    """0 at first."""
    del rows, train
    dense = functools.partial(nn.Dense, dtype=self.dtype)
    condition = embed_condition(self, noise, labels, self.hidden)
    h = x.reshape(len(x), -1)
    angles = (h[:, None] * 2.0 ** jnp.arange(self.octaves)[None, :, None]).reshape(len(x), -1)
    h = dense(self.hidden)(jnp.concatenate([h, jnp.sin(angles), jnp.cos(angles)], axis=-1))
    for _ in range(self.blocks):
      y = dense(self.hidden)(nn.silu(h)) + dense(self.hidden)(condition)
      h = h + dense(self.hidden)(nn.silu(y))
    h = dense(math.prod(x.shape[1:]), kernel_init=nn.initializers.zeros)(nn.silu(h))
    return h.astype(jnp.float32).reshape(x.shape)
