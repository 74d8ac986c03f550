"""Convolutions of images [B,H,W,C] with the mathematics and parameters of Flax's, fast on every platform.

XLA's convolutions are slow on CPU, their gradients most of all, so there both layers are matrix products. They are
made of slices, concatenations and products, whose transposes are steps of the same kind, so derivatives of any
order, forward or backward, are matrix products as well.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.linen.linear import canonicalize_padding
from jax import lax

Pair = tuple[int, int]
Pads = Sequence[Pair]  # (low, high) of height and of width; negative values crop


def native_conv(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads, dilation: Pair) -> jax.Array:
  """y[o] = sum_k x[s o + d k - low] kernel[k] for x [B,H,W,C] and kernel [kh,kw,C,F], by XLA's convolution."""
  dims = ('NHWC', 'HWIO', 'NHWC')
  return lax.conv_general_dilated(x, kernel, strides, pads, rhs_dilation=dilation, dimension_numbers=dims)


def native_conv_transpose(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads, dilation: Pair) -> jax.Array:
  """`native_conv` of stride 1 over x with s - 1 zeros put between its pixels."""
  dims = ('NHWC', 'HWIO', 'NHWC')
  return lax.conv_general_dilated(
    x, kernel, (1, 1), pads, lhs_dilation=strides, rhs_dilation=dilation, dimension_numbers=dims
  )


def spans(window: Sequence[int], dilation: Pair) -> list[int]:
  """The pixels from the first tap to the last, both included."""
  return [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]


def dilated(kernel: jax.Array, dilation: Pair) -> jax.Array:
  """The kernel with d - 1 zeros between its taps."""
  return lax.pad(kernel, jnp.zeros((), kernel.dtype), [(0, 0, d - 1) for d in dilation] + [(0, 0, 0)] * 2)


def matrix_conv(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads, dilation: Pair) -> jax.Array:
  """As `native_conv`, by one matrix product.

  Blocks of s x s pixels become channels, which leaves a convolution of stride 1 with ceil(k / s)^2 taps. Along each
  axis the taps are either gathered before the product (im2col) or added after it (col2im).
  """
  if max(strides) > 1 and max(dilation) > 1:  # rare: the taps fall anywhere in the blocks
    kernel, dilation = dilated(kernel, dilation), (1, 1)
  batch, *size, _ = x.shape
  *window, _, features = kernel.shape
  taps = [-(-k // s) for k, s in zip(window, strides, strict=True)]
  seen = [min(k, s) for k, s in zip(window, strides, strict=True)]  # pixels of a block that the kernel sees
  reach = spans(window, dilation)
  outputs = [(n + sum(p) - r) // s + 1 for n, p, r, s in zip(size, pads, reach, strides, strict=True)]
  blocks = [n + (t - 1) * d for n, t, d in zip(outputs, taps, dilation, strict=True)]

  margins = [(p[0], m * s - n - p[0], 0) for n, p, m, s in zip(size, pads, blocks, strides, strict=True)]
  x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *margins, (0, 0, 0)])
  x = x.reshape(batch, blocks[0], strides[0], blocks[1], strides[1], -1)[:, :, : seen[0], :, : seen[1]]
  x = x.swapaxes(2, 3).reshape(batch, *blocks, -1)
  margins = [(0, t * b - k) for t, b, k in zip(taps, seen, window, strict=True)]
  kernel = jnp.pad(kernel, [*margins, (0, 0), (0, 0)])
  kernel = kernel.reshape(taps[0], seen[0], taps[1], seen[1], -1, features).swapaxes(1, 2)
  kernel = kernel.reshape(*taps, -1, features)

  def cost(gathered: tuple[int, ...]) -> int:
    """Multiplications for each image, with a number copied at the price of 128 (measured)."""
    pixels, depth, width = 1, x.shape[-1], features
    for axis in (0, 1):
      pixels *= outputs[axis] if axis in gathered else blocks[axis]
      depth *= taps[axis] if axis in gathered else 1
      width *= 1 if axis in gathered else taps[axis]
    return pixels * (depth * width + 128 * (depth * (len(gathered) > 0) + width * (len(gathered) < 2)))

  gathered = min(((), (1,), (0, 1)), key=cost)
  added = [axis for axis in (0, 1) if axis not in gathered]

  def shifted(x: jax.Array, axis: int, tap: int) -> jax.Array:
    start = tap * dilation[axis]
    return lax.slice_in_dim(x, start, start + outputs[axis], axis=axis + 1)

  for axis in reversed(gathered):
    x = jnp.concatenate([shifted(x, axis, i) for i in range(taps[axis])], axis=-1)
  # with two axes only, as XLA copies the operands of the gradients of products with more
  y = x.reshape(-1, x.shape[-1]) @ kernel.transpose(*gathered, 2, *added, 3).reshape(x.shape[-1], -1)
  y = y.reshape(*x.shape[:3], -1)
  for axis in added:
    y = sum(shifted(part, axis, i) for i, part in enumerate(jnp.split(y, taps[axis], axis=-1)))
  return y


def matrix_conv_transpose(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads, dilation: Pair) -> jax.Array:
  """As `native_conv_transpose`: the transpose of a `matrix_conv`, which is linear in its input."""
  size, window = x.shape[1:3], spans(kernel.shape[:2], dilation)
  outputs = [(n - 1) * s + 2 + sum(p) - k for n, s, p, k in zip(size, strides, pads, window, strict=True)]
  pads = [(k - 1 - low, k - 1 - high) for k, (low, high) in zip(window, pads, strict=True)]
  kernel = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
  y = jax.ShapeDtypeStruct((x.shape[0], *outputs, kernel.shape[2]), x.dtype)
  return jax.linear_transpose(lambda y: matrix_conv(y, kernel, strides, pads, dilation), y)(x)[0]


def _pair(value: int | Sequence[int]) -> Pair:
  return (value, value) if isinstance(value, int) else tuple(value)


def _transpose_pads(kernel: int, stride: int, padding: str) -> Pair:
  """The padding whose output has n s ('SAME') or (n - 1) s + max(k, s) ('VALID') pixels."""
  if padding == 'VALID':
    return kernel - 1, max(kernel, stride) - 1
  low = kernel - 1 if stride > kernel - 1 else math.ceil((kernel + stride - 2) / 2)
  return low, kernel + stride - 2 - low


def _with_parameters(layer: nn.Module, x: jax.Array, window: Pair) -> tuple[jax.Array, jax.Array, jax.Array]:
  """(x, kernel, bias [1,1,1,features]) in the dtype in which the layer computes."""
  chex.assert_rank(x, 4)
  kernel = layer.param('kernel', layer.kernel_init, (*window, x.shape[-1], layer.features), layer.param_dtype)
  bias = jnp.zeros((layer.features,), layer.param_dtype)
  if layer.use_bias:
    bias = layer.param('bias', layer.bias_init, (layer.features,), layer.param_dtype)
  x, kernel, bias = promote_dtype(x, kernel, bias, dtype=layer.dtype)
  return x, kernel, bias.reshape(1, 1, 1, -1)


class Conv(nn.Module):
  """`flax.linen.Conv` in two dimensions: [B,H,W,C] -> [B,H',W',features].

  `padding` is 'SAME', 'VALID', 'REFLECT', an int, or one int or (low, high) for each axis.
  Parameters: 'kernel' [kh,kw,C,features], 'bias' [features].
  """

  features: int
  kernel_size: int | Sequence[int]
  strides: int | Sequence[int] = 1
  padding: str | int | Sequence[int | Pair] = 'SAME'
  dilation: int | Sequence[int] = 1
  use_bias: bool = True
  dtype: Any = None
  param_dtype: Any = jnp.float32
  kernel_init: Callable[..., jax.Array] = nn.initializers.lecun_normal()
  bias_init: Callable[..., jax.Array] = nn.initializers.zeros

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Pads with zeros (or mirror images), in `dtype` or the common type of input and parameters."""
    window, strides, dilation = _pair(self.kernel_size), _pair(self.strides), _pair(self.dilation)
    x, kernel, bias = _with_parameters(self, x, window)
    pads = canonicalize_padding(self.padding, 2)
    if pads == 'REFLECT':
      x = jnp.pad(x, [(0, 0), *(((k - 1) // 2, k // 2) for k in spans(window, dilation)), (0, 0)], mode='reflect')
      pads = 'VALID'
    if isinstance(pads, str):
      pads = lax.padtype_to_pads(x.shape[1:3], spans(window, dilation), strides, pads)
    conv = matrix_conv if jax.default_backend() == 'cpu' else native_conv
    return conv(x, kernel, strides, pads, dilation) + bias


class ConvTranspose(nn.Module):
  """`flax.linen.ConvTranspose` in two dimensions: [B,H,W,C] -> [B,H',W',features], H' = s H with 'SAME'.

  `padding` is 'SAME', 'VALID', or, for the input with s - 1 zeros between its pixels, an int, or one int or
  (low, high) for each axis. Parameters: 'kernel' [kh,kw,C,features], 'bias' [features].
  """

  features: int
  kernel_size: int | Sequence[int]
  strides: int | Sequence[int] = 1
  padding: str | int | Sequence[int | Pair] = 'SAME'
  dilation: int | Sequence[int] = 1
  use_bias: bool = True
  dtype: Any = None
  param_dtype: Any = jnp.float32
  kernel_init: Callable[..., jax.Array] = nn.initializers.lecun_normal()
  bias_init: Callable[..., jax.Array] = nn.initializers.zeros

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Computes in `dtype`, or in the common type of input and parameters."""
    window, strides, dilation = _pair(self.kernel_size), _pair(self.strides), _pair(self.dilation)
    x, kernel, bias = _with_parameters(self, x, window)
    pads = canonicalize_padding(self.padding, 2)
    if isinstance(pads, str):
      pads = [_transpose_pads(k, s, pads) for k, s in zip(spans(window, dilation), strides, strict=True)]
    conv = matrix_conv_transpose if jax.default_backend() == 'cpu' else native_conv_transpose
    return conv(x, kernel, strides, pads, dilation) + bias


class ResizeConv(nn.Module):
  """Enlarging to `scale` times the size by repeating pixels, then `Conv` of stride 1 (Odena et al., 2016).

  [B,H,W,C] -> [B,scale H,scale W,features], 'SAME' padding. Parameters: 'kernel' [kh,kw,C,features], 'bias' [features].
  """

  features: int
  kernel_size: int | Sequence[int] = 3
  scale: int | Sequence[int] = 2
  use_bias: bool = True
  dtype: Any = None
  param_dtype: Any = jnp.float32
  kernel_init: Callable[..., jax.Array] = nn.initializers.lecun_normal()
  bias_init: Callable[..., jax.Array] = nn.initializers.zeros

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Computes in `dtype`, or in the common type of input and parameters."""
    window, scale = _pair(self.kernel_size), _pair(self.scale)
    x, kernel, bias = _with_parameters(self, x, window)
    # Repeating pixels is a transposed convolution with a box of ones, so both together are one with their product,
    # and the enlarged image, s^2 times as large, is never made.
    for axis, s in enumerate(scale):
      margins = lambda i, s=s, axis=axis: [(i, s - 1 - i) if a == axis else (0, 0) for a in range(4)]
      kernel = sum(jnp.pad(kernel, margins(i)) for i in range(s))
    pads = [((k - 1) // 2 + s - 1, k // 2 + s - 1) for k, s in zip(window, scale, strict=True)]
    conv = matrix_conv_transpose if jax.default_backend() == 'cpu' else native_conv_transpose
    return conv(x, kernel, scale, pads, (1, 1)) + bias
