"""Networks from images to images, alike in form: `(x [B,H,W,C], channels, rows [B]) -> float32 [B,H,W,channels]`.

`rows` are the global rows of the batch, which key the noise of an image. Nothing couples the images of a batch, in
training or elsewhere: they are normalized each by itself. `multiple` is what heights and widths must be multiples of.

`upsampling`: 'transposed' convolutions, as published, or 'resize', convolutions of repeated pixels, which leave no
checkerboards (Odena et al., 2016).
`bounded`: whether a tanh ends at -1 and 1, as images do; frames of voices do not.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import at_least_one, fraction, non_negative, one_of, positive
from gen_jax.networks.discriminators import leaky_relu
from gen_jax.networks.generators import DCGAN_INIT
from gen_jax.networks.layers import Conv, ConvTranspose, ResizeConv
from gen_jax.networks.normalization import InstanceNorm
from gen_jax.randomness import row_keys
from gen_jax.types import Facts

UPSAMPLINGS = 'transposed', 'resize'


def problems_of_sizes(network: nn.Module, facts: Facts) -> Iterator[str]:
  """Images whose height or width is no multiple of `network.multiple`, or so the frames or bands of voices."""
  for name, shape in facts.shapes.items():
    wanted = [math.ceil(length / network.multiple) * network.multiple for length in shape[:2]]
    if wanted == list(shape[:2]):
      continue
    height, width = shape[:2]
    remedy = f'config.data.size={min(wanted)}'
    if facts.kind == 'sound':
      keys = zip(('frames', 'bands'), shape, wanted, strict=False)
      remedy = ' and '.join(f'config.data.{key}={whole}' for key, length, whole in keys if whole != length)
    multiples = f'which must be multiples of {network.multiple}'
    yield f'features: {name} is {height}x{width}, {multiples}; set {remedy}, or name fewer widths'


def problems_of_bounds(network: nn.Module, facts: Facts) -> Iterator[str]:
  """Frames of voices that cannot go beyond 1, or images that do."""
  if facts.kind == 'sound' and network.bounded:
    yield 'bounded=True: frames of voices go beyond 1; set False'
  if facts.kind == 'image' and not network.bounded:
    yield 'bounded=False: images end at -1 and 1; set True'


def drop_out(x: jax.Array, rate: float, key: jax.Array, rows: jax.Array) -> jax.Array:
  """Each value of x [B,...] 0 with probability `rate`, else divided by 1 - rate, by noise of the row alone."""
  keep = lambda key, x: jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)
  return jax.vmap(keep)(row_keys(key, rows), x)


class UNetTranslator(nn.Module):
  """An encoder and a decoder with skips between maps of one size, as in pix2pix (Isola et al., 2017, appendix 6.1).

  `features` are the widths of the maps, each half as large as the one before: (64, 128, 256, 512, 512, 512, 512, 512)
  for images of 256x256 in the paper. The `dropouts` innermost layers of the decoder drop values with probability
  `dropout`, in training and elsewhere: the noise is all the randomness of a translation. Published with batch
  normalization by the moments of the batch, in training and elsewhere, of batches of one image: `InstanceNorm`. The
  first and the innermost map are not normalized.
  """

  features: Sequence[int] = (64, 128, 256, 512, 512, 512)
  dropouts: int = 3
  dropout: float = 0.5
  upsampling: str = 'transposed'
  bounded: bool = True
  dtype: Any = jnp.float32

  @property
  def multiple(self) -> int:
    """Of which heights and widths must be multiples: the innermost map has at least one place."""
    return 2 ** len(self.features)

  def problems(self, facts: Facts) -> Iterator[str]:
    """Layers, and images that can be halved so often."""
    yield from at_least_one(self, 'features')
    yield from non_negative(self, 'dropouts')
    yield from fraction(self, 'dropout')
    yield from one_of(self, 'upsampling', UPSAMPLINGS)
    yield from problems_of_bounds(self, facts)
    if self.dropouts >= len(self.features):
      yield f'dropouts={self.dropouts}: the decoder has {len(self.features) - 1} layers before the last'
    yield from problems_of_sizes(self, facts)

  @nn.compact
  def __call__(self, x: jax.Array, channels: int, rows: jax.Array) -> jax.Array:
    """In [-1, 1], where it is bounded."""
    norm = lambda x: InstanceNorm(affine=True, dtype=self.dtype)(x)
    key, maps = self.make_rng('dropout') if self.dropouts else None, []
    for i, width in enumerate(self.features):
      normalized = 0 < i < len(self.features) - 1
      x = x if i == 0 else leaky_relu(x)
      conv = Conv(width, 4, strides=2, use_bias=not normalized, kernel_init=DCGAN_INIT, dtype=self.dtype)
      x = norm(conv(x)) if normalized else conv(x)
      maps.append(x)
    for i, width in enumerate((*self.features[-2::-1], channels)):
      last = i == len(self.features) - 1
      x = jax.nn.relu(x if i == 0 else jnp.concatenate([x, maps[-1 - i]], axis=-1))
      x = double(self, width, 4, use_bias=last)(x)
      x = x if last else norm(x)
      if i < self.dropouts:
        x = drop_out(x, self.dropout, jax.random.fold_in(key, i), rows)
    return bound(x, self.bounded)


class ResNetTranslator(nn.Module):
  """Residual blocks between two halvings and two doublings, as in CycleGAN (Zhu et al., 2017, appendix 7.2).

  After a first convolution of 7x7, `features[0]` wide, each further entry of `features` is reached by halving the
  size. The paper has 6 blocks for images of 128x128, and 9 for larger ones.
  """

  features: Sequence[int] = (64, 128, 256)
  blocks: int = 9
  upsampling: str = 'transposed'
  bounded: bool = True
  dtype: Any = jnp.float32

  @property
  def multiple(self) -> int:
    """Of which heights and widths must be multiples."""
    return 2 ** (len(self.features) - 1)

  def problems(self, facts: Facts) -> Iterator[str]:
    """Layers, and images that can be halved so often, and mirrored at their borders."""
    yield from at_least_one(self, 'features')
    yield from non_negative(self, 'blocks')
    yield from one_of(self, 'upsampling', UPSAMPLINGS)
    yield from problems_of_bounds(self, facts)
    yield from problems_of_sizes(self, facts)
    for name, shape in facts.shapes.items():
      height, width = shape[:2]
      if min(height, width) < max(4, 2 * self.multiple):
        yield f'features: of {name}, {height}x{width}, too little is left to be mirrored at its borders; use fewer'

  @nn.compact
  def __call__(self, x: jax.Array, channels: int, rows: jax.Array) -> jax.Array:
    """In [-1, 1], where it is bounded; without noise."""
    del rows
    activate = lambda x: jax.nn.relu(InstanceNorm(dtype=self.dtype)(x))
    # without biases, which the normalizations after them would take away
    same = {'padding': 'REFLECT', 'kernel_init': DCGAN_INIT, 'dtype': self.dtype}
    conv = functools.partial(Conv, use_bias=False, **same)
    x = activate(conv(self.features[0], 7)(x))
    for width in self.features[1:]:
      x = activate(conv(width, 3, strides=2, padding=1)(x))
    for _ in range(self.blocks):
      y = activate(conv(x.shape[-1], 3)(x))
      x = x + InstanceNorm(dtype=self.dtype)(conv(x.shape[-1], 3)(y))
    for width in self.features[-2::-1]:
      x = activate(double(self, width, 3, use_bias=False)(x))
    return bound(Conv(channels, 7, **same)(x), self.bounded)


def bound(x: jax.Array, bounded: bool) -> jax.Array:
  """float32, by tanh where images end at -1 and 1."""
  x = x.astype(jnp.float32)
  return jnp.tanh(x) if bounded else x


def double(network: nn.Module, width: int, kernel: int, use_bias: bool) -> nn.Module:
  """The layer of a network that doubles height and width, in a compact method."""
  made_of = ConvTranspose if network.upsampling == 'transposed' else ResizeConv
  strides = {'strides': 2} if network.upsampling == 'transposed' else {}
  kernel = kernel if network.upsampling == 'transposed' else 3
  return made_of(width, kernel, use_bias=use_bias, kernel_init=DCGAN_INIT, dtype=network.dtype, **strides)


class MLPTranslator(nn.Module):
  """x + dense layers with ReLU between them, for points of the plane [B,1,1,2]; begins near the identity."""

  hidden: Sequence[int] = (128, 128, 128)
  dtype: Any = jnp.float32

  multiple = 1

  def problems(self, facts: Facts) -> Iterator[str]:
    """Widths above 0, and points."""
    yield from positive(self, 'hidden')
    if facts.kind != 'points':
      yield 'name=MLPTranslator: moves points of the plane; choose UNetTranslator or ResNetTranslator for images'

  @nn.compact
  def __call__(self, x: jax.Array, channels: int, rows: jax.Array) -> jax.Array:
    """Unbounded; without noise."""
    del rows
    y = x
    for width in self.hidden:
      y = jax.nn.relu(nn.Dense(width, dtype=self.dtype)(y))
    y = nn.Dense(channels, kernel_init=nn.initializers.normal(0.01), dtype=self.dtype)(y)
    return x + y.astype(jnp.float32)
