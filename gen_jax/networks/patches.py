"""Discriminators of patches, alike in form: `(x [B,H,W,C], train) -> float32 [B,h,w]`, a logit for each patch."""

from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import non_negative, one_of, positive
from gen_jax.networks.discriminators import leaky_relu
from gen_jax.networks.generators import DCGAN_INIT
from gen_jax.networks.layers import Conv
from gen_jax.networks.normalization import InstanceNorm, SpectralConv
from gen_jax.types import Facts

WIDEST = 8  # times the first layer's width


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
  """The side of what one unit sees through layers of (kernel, stride): r <- s r + k - s, from the last layer back."""
  field = 1
  for kernel, stride in reversed(layers):
    field = stride * field + kernel - stride
  return field


class PatchDiscriminator(nn.Module):
  """Convolutions that judge every patch of an image (Isola et al., 2017, appendix 6.1).

  `halvings` layers of stride 2, the first of width `features`, each further one twice as wide as far as eight times;
  one of stride 1, twice as wide too; and the logits. With kernels of 4 a patch has 16, 34, 70, 142 and 286 pixels a
  side for 1, 2, 3, 4 and 5 halvings, of which the paper has 16, 70 and 286. With `kernel=1` and no halving, three
  layers of 1x1 judge each pixel, as in the paper. All but the first and the last layer are normalized: 'instance',
  'spectral' (those, too) or 'none'.
  """

  features: int = 64
  halvings: int = 3
  kernel: int = 4
  norm: str = 'instance'
  dtype: Any = jnp.float32

  @property
  def layers(self) -> list[tuple[int, int]]:
    """(kernel, stride) of each."""
    if self.kernel == 1:
      return [(1, 1)] * 3
    return [(self.kernel, 2)] * self.halvings + [(self.kernel, 1)] * 2

  def problems(self, facts: Facts) -> Iterator[str]:
    """Widths above 0, a norm, and images with a patch left."""
    yield from positive(self, 'features', 'kernel')
    yield from non_negative(self, 'halvings')
    yield from one_of(self, 'norm', ('instance', 'spectral', 'none'))
    if self.kernel == 1 and self.halvings:
      yield f'halvings={self.halvings}: with kernel=1 pixels are judged, and none may be left out; set 0'
    for name, shape in facts.shapes.items():
      height, width = shape[:2]
      if min(self.patches(height), self.patches(width)) < 1:
        yield f'halvings={self.halvings}: no patch is left of {name}, {height}x{width}; use fewer'

  def patches(self, length: int) -> int:
    """The number of patches along a side of an image of so many pixels."""
    for kernel, stride in self.layers:
      length = (length + 2 * self.padding - kernel) // stride + 1 if length > 0 else 0
    return length

  @property
  def padding(self) -> int:
    """The zeros around the input of each layer."""
    return (self.kernel - 1) // 2

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """`train` moves the vectors of spectral norms on."""

    def conv(x: jax.Array, width: int, stride: int, use_bias: bool = True) -> jax.Array:
      """One layer of a width and a stride."""
      if self.norm == 'spectral':
        layer = SpectralConv(width, self.kernel, stride, self.padding, kernel_init=DCGAN_INIT, dtype=self.dtype)
        return layer(x, train)
      options = {'padding': self.padding, 'use_bias': use_bias, 'kernel_init': DCGAN_INIT, 'dtype': self.dtype}
      return Conv(width, self.kernel, stride, **options)(x)

    for i, (_, stride) in enumerate(self.layers[:-1]):
      normalized = self.norm == 'instance' and i > 0
      x = conv(x, self.features * min(2**i, WIDEST), stride, use_bias=not normalized)
      x = leaky_relu(InstanceNorm(dtype=self.dtype)(x) if normalized else x)
    return conv(x, 1, 1)[..., 0].astype(jnp.float32)


class PointDiscriminator(nn.Module):
  """Dense layers with leaky ReLU after each, and a logit: a point of the plane is one patch."""

  hidden: Sequence[int] = (128, 128, 128)
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """Widths above 0."""
    yield from positive(self, 'hidden')

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Of points [B,1,1,2]; the same in training and elsewhere."""
    del train
    for width in self.hidden:
      x = leaky_relu(nn.Dense(width, dtype=self.dtype)(x))
    return nn.Dense(1, dtype=self.dtype)(x)[..., 0].astype(jnp.float32)
