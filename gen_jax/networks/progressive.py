"""Networks that grow from images of 4x4 upward, and their like at full size (Karras et al., 2018, arXiv 1710.10196).

How deep they are follows from the images: `features` are the widths of the levels, 4x4 first, of which as many are used
as the images have. A level is named by its resolution, 'block_16', 'to_image_16', 'from_image_16', by which a stage
finds the parameters of the one before.

With `skip` every level makes and sees an image of its own, and they are added up (Karras et al., 2020, figure 7): all
levels learn from the start, as in MSG-GAN (Karnewar & Wang, 2020), and nothing grows.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import at_least_one, non_negative, one_of
from gen_jax.networks.discriminators import leaky_relu, mean_pool
from gen_jax.networks.equalized import EqualizedConv, EqualizedDense
from gen_jax.networks.generators import OUTPUTS, append_one_hot, finish_image
from gen_jax.networks.growing import blend, repeat_to
from gen_jax.networks.normalization import mean_over_devices
from gen_jax.stages import SMALLEST
from gen_jax.types import Facts

EPSILON = 1e-8  # under roots


def pixel_norm(x: jax.Array) -> jax.Array:
  """x / sqrt(mean of x^2 over the last axis)."""
  return x * jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + EPSILON)


def minibatch_deviation(x: jax.Array, group: int) -> jax.Array:
  """x [B,H,W,C] with a map more: the standard deviation over a group of examples, averaged over the rest (section 3).

  A group are `group` rows that follow each other, so that devices change nothing; fewer where the batch does not divide
  by them, as in evaluation. With 0 it is the global batch.
  """
  batch, *rest = x.shape
  if group == 0:
    mean, square = mean_over_devices(jnp.stack([x.mean(0), (x**2).mean(0)]))
    deviation = jnp.sqrt(jnp.maximum(square - mean**2, 0) + EPSILON).mean()[None]
  else:
    grouped = x.reshape(-1, math.gcd(group, batch), *rest)
    deviation = jnp.sqrt(grouped.var(1) + EPSILON).mean((1, 2, 3))
  maps = jnp.broadcast_to(deviation[:, None, None, None], (len(deviation), *rest[:2], 1))
  return jnp.concatenate([x, maps.repeat(batch // len(deviation), axis=0)], axis=-1)


def resolutions_up_to(side: int) -> list[int]:
  """4, 8, ... up to the side of an image."""
  return [SMALLEST * 2**i for i in range(int(math.log2(side // SMALLEST)) + 1)]


def problems_of_levels(network: nn.Module, facts: Facts) -> Iterator[str]:
  """A width for each level of square images of a power of two."""
  yield from at_least_one(network, 'features')
  height, width, _ = facts.image_shape
  if height != width or height < SMALLEST or height & (height - 1):
    yield (
      f'features: levels double, and images are {height}x{width}; set config.data.size to a power of two, of at least '
      f'{SMALLEST}'
    )
  elif len(levels := resolutions_up_to(height)) != len(network.features):
    number = len(network.features)
    yield f'features: has {number} widths, and images of {height}x{height} have {len(levels)} levels, from 4x4'


class GeneratorBlock(nn.Module):
  """Twice the size and a convolution, or at first a dense layer to 4x4; a convolution; after each `activate`."""

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """z [B,Z] -> [B,4,4,features]; [B,H,W,C] -> [B,2H,2W,features]."""
    if x.ndim == 2:
      size = SMALLEST, SMALLEST, self.features
      x = EqualizedDense(math.prod(size), math.sqrt(2) / 4, dtype=self.dtype)(x).reshape(-1, *size)
    else:
      x = EqualizedConv(self.features, scale=2, dtype=self.dtype)(x)
    return self.activate(EqualizedConv(self.features, dtype=self.dtype)(self.activate(x)))

  def activate(self, x: jax.Array) -> jax.Array:
    """Leaky ReLU, then pixel normalization."""
    return pixel_norm(leaky_relu(x))


class ProgressiveGenerator(nn.Module):
  """Levels of two convolutions, each twice as large; a 1x1 convolution makes an image of the last one.

  While a level is new, that of the level before, enlarged, is faded over to its own.
  """

  features: Sequence[int] = (128, 128, 64, 32)
  skip: bool = False
  output: str = 'linear'
  num_classes: int = 0
  dtype: Any = jnp.float32

  @property
  def grows(self) -> bool:
    """Whether it may be trained in stages."""
    return not self.skip

  def problems(self, facts: Facts) -> Iterator[str]:
    """As `problems_of_levels`; and the output."""
    yield from problems_of_levels(self, facts)
    yield from one_of(self, 'output', OUTPUTS)

  @nn.compact
  def __call__(
    self, z: jax.Array, labels: jax.Array | None, shape: Sequence[int], train: bool, fade: jax.Array | None = None
  ) -> jax.Array:
    """As `finish_image`; `fade` is the weight of the last level, in [0, 1]."""
    levels = resolutions_up_to(shape[0])
    x, maps = pixel_norm(append_one_hot(z, labels, self.num_classes)), {}
    for level, width in zip(levels, self.features, strict=False):
      maps[level] = x = GeneratorBlock(width, dtype=self.dtype, name=f'block_{level}')(x)

    def image_of(level: int) -> jax.Array:
      layer = EqualizedConv(shape[-1], 1, gain=1.0, dtype=self.dtype, name=f'to_image_{level}')
      return layer(maps[level])

    def finished(image: jax.Array) -> jax.Array:
      return finish_image(self, image, train)

    last = levels[-1]
    if fade is not None:
      return blend(repeat_to(finished(image_of(last // 2)), last), finished(image_of(last)), fade)
    image = image_of(SMALLEST if self.skip else last)
    for level in levels[1:] if self.skip else ():
      image = repeat_to(image, level) + image_of(level)
    return finished(image)


class DiscriminatorBlock(nn.Module):
  """Two convolutions, leaky ReLU after each, and half the size."""

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,H,W,C] -> [B,H/2,W/2,features]."""
    x = leaky_relu(EqualizedConv(x.shape[-1], dtype=self.dtype)(x))
    return mean_pool(leaky_relu(EqualizedConv(self.features, dtype=self.dtype)(x)))


class ProgressiveDiscriminator(nn.Module):
  """The mirror of ProgressiveGenerator, without normalization, and with the deviation of a minibatch at 4x4.

  `features` are the widths of the levels, 4x4 first, as those of the generator. `group`: of `minibatch_deviation`.
  """

  features: Sequence[int] = (128, 128, 64, 32)
  group: int = 4
  skip: bool = False
  dtype: Any = jnp.float32

  @property
  def grows(self) -> bool:
    """Whether it may be trained in stages."""
    return not self.skip

  def problems(self, facts: Facts) -> Iterator[str]:
    """As `problems_of_levels`; and groups of a batch."""
    yield from problems_of_levels(self, facts)
    yield from non_negative(self, 'group')
    if self.group and facts.batch_size % (self.group * jax.device_count()):
      devices = f' on each of {jax.device_count()} devices' if jax.device_count() > 1 else ''
      yield f'group={self.group}: does not divide a batch of {facts.batch_size}{devices}; 0 is all of the batch'

  @nn.compact
  def __call__(self, x: jax.Array, train: bool, fade: jax.Array | None = None) -> jax.Array:
    """Features [B,F] of square images; `fade` is the weight of the largest level, in [0, 1]."""
    del train
    levels = resolutions_up_to(x.shape[1])
    widths = dict(zip(levels, self.features, strict=False))

    def map_of(image: jax.Array, level: int) -> jax.Array:
      layer = EqualizedConv(widths[level], 1, dtype=self.dtype, name=f'from_image_{level}')
      return leaky_relu(layer(image))

    h = map_of(x, levels[-1])
    for level in reversed(levels[1:]):
      h = DiscriminatorBlock(widths[level // 2], self.dtype, name=f'block_{level}')(h)
      x = mean_pool(x)
      if self.skip:
        h = h + map_of(x, level // 2)
      elif level == levels[-1] and fade is not None:
        h = blend(map_of(x, level // 2), h, fade)
    h = minibatch_deviation(h.astype(jnp.float32), self.group)
    h = leaky_relu(EqualizedConv(self.features[0], dtype=self.dtype, name='conv')(h))
    h = EqualizedDense(self.features[0], dtype=self.dtype, name='dense')(h.reshape(len(h), -1))
    return leaky_relu(h).astype(jnp.float32)
