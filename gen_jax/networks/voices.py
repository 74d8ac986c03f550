"""A network from the frames of one voice to those of another, of the form of `translators`.

It sees frames [B,T,bands,1], time along the first axis of an image, and is convolutional along it.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import at_least_one, non_negative, one_of, positive
from gen_jax.networks.generators import DCGAN_INIT
from gen_jax.networks.layers import Conv, from_patches
from gen_jax.networks.normalization import InstanceNorm
from gen_jax.networks.translators import problems_of_sizes
from gen_jax.types import Facts

NORMS = {  # of maps [B,T,bands,channels], with a scale and an offset of each channel
  'instance': functools.partial(InstanceNorm, affine=True),
  'frame': functools.partial(nn.LayerNorm, epsilon=1e-5, reduction_axes=(2, 3)),
}


class GatedTranslator(nn.Module):
  """Gated convolutions over time and bands, then over time alone, then over both (Kaneko et al., 2019 and 2021).

  A first layer reaches over `reach` frames and `kernel` bands, `features[0]` wide; each further entry of `features` is
  reached by halving frames and bands. What is left of the bands becomes channels, `width` of them, which `blocks`
  residual blocks mix over time; and the way back, by convolutions whose channels are spread over 2x2 places. A gate is
  a second convolution, by whose sigmoid the first is multiplied (Dauphin et al., 2017); on the way back it is the
  layer's own. Published: features (128, 256, 256), width 256, 6 blocks, kernel 5 and reach 15, of 80 bands.

  `norm`: 'instance', as published, takes away what is the same throughout an example: of a sentence the speaker, but of
  a single word the word as well; 'frame' normalizes each frame by itself, over its bands and channels.
  """

  features: Sequence[int] = (128, 256, 256)
  width: int = 256
  blocks: int = 6
  kernel: int = 5
  reach: int = 15
  norm: str = 'instance'
  dtype: Any = jnp.float32

  @property
  def multiple(self) -> int:
    """Of which the numbers of frames and of bands must be multiples."""
    return 2 ** (len(self.features) - 1)

  def narrowest(self, bands: int) -> int:
    """The fewest values that a layer has of a frame of so many bands."""
    return min(self.width, *(bands // 2**k * features for k, features in enumerate(self.features)))

  def problems(self, facts: Facts) -> Iterator[str]:
    """Layers of odd kernels, and sounds that can be halved so often."""
    yield from at_least_one(self, 'features')
    yield from positive(self, 'width', 'kernel', 'reach')
    yield from non_negative(self, 'blocks')
    yield from one_of(self, 'norm', NORMS)
    for field in ('kernel', 'reach'):
      if getattr(self, field) % 2 == 0:
        yield f'{field}={getattr(self, field)}: must be odd, so that it has a middle'
    if facts.kind != 'sound':
      yield 'name=GatedTranslator: sees frames of voices; choose UNetTranslator or ResNetTranslator for images'
      return
    yield from problems_of_sizes(self, facts)
    frames = facts.shapes['image_a'][0]
    if self.norm == 'instance' and frames < 2 * self.multiple:  # a single frame would be normalized away
      yield f'config.data.frames={frames}: must be at least {2 * self.multiple}, or name fewer features'
    if self.norm == 'frame' and self.narrowest(facts.shapes['image_a'][1]) < 2:  # so would a single value
      yield "norm='frame': a layer has a single value of each frame; set width and features to 2 or more"

  @nn.compact
  def __call__(self, x: jax.Array, channels: int, rows: jax.Array) -> jax.Array:
    """Unbounded; without noise. The channels of x may be more than those that it makes, such as a mask."""
    del rows
    # without biases before a normalization, which has its own
    conv = lambda x, width, kernel, strides=1, use_bias=False: Conv(
      width, kernel, strides, use_bias=use_bias, kernel_init=DCGAN_INIT, dtype=self.dtype
    )(x)
    norm = lambda x: NORMS[self.norm](dtype=self.dtype)(x)
    gated = lambda x, width, kernel, strides=1: (
      norm(conv(x, width, kernel, strides)) * jax.nn.sigmoid(norm(conv(x, width, kernel, strides)))
    )
    outer = (self.reach, self.kernel)
    first = conv(x, self.features[0], outer, use_bias=True)
    x = first * jax.nn.sigmoid(conv(x, self.features[0], outer, use_bias=True))
    for width in self.features[1:]:
      x = gated(x, width, self.kernel, 2)
    batch, frames, bands, depth = x.shape
    x = norm(conv(x.reshape(batch, frames, 1, bands * depth), self.width, 1))
    for _ in range(self.blocks):
      x = x + norm(conv(gated(x, 2 * self.width, (3, 1)), self.width, (3, 1)))
    x = norm(conv(x, bands * depth, 1)).reshape(batch, frames, bands, depth)
    for width in self.features[-2::-1]:
      x = jax.nn.silu(norm(from_patches(conv(x, 4 * width, self.kernel), 2)))
    return conv(x, channels, outer, use_bias=True).astype(jnp.float32)
