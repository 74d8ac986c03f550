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


def native_conv(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads) -> jax.Array:
  """y[o] = sum_k x[s o + k - low] kernel[k] for x [B,H,W,C] and kernel [kh,kw,C,F], by XLA's convolution."""
  return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=('NHWC', 'HWIO', 'NHWC'))


def native_conv_transpose(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads) -> jax.Array:
  """`native_conv` of stride 1 over x with s - 1 zeros put between its pixels."""
  dims = ('NHWC', 'HWIO', 'NHWC')
  return lax.conv_general_dilated(x, kernel, (1, 1), pads, lhs_dilation=strides, dimension_numbers=dims)


def matrix_conv(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads) -> jax.Array:
  """As `native_conv`, by one matrix product.

  Blocks of s x s pixels become channels, which leaves a convolution of stride 1 with ceil(k / s)^2 taps. Along each
  axis the taps are either gathered before the product (im2col) or added after it (col2im).
  """
  batch, *size, _ = x.shape
  *window, _, features = kernel.shape
  taps = [-(-k // s) for k, s in zip(window, strides, strict=True)]
  seen = [min(k, s) for k, s in zip(window, strides, strict=True)]  # pixels of a block that the kernel sees
  outputs = [(n + sum(p) - k) // s + 1 for n, p, k, s in zip(size, pads, window, strides, strict=True)]
  blocks = [n + t - 1 for n, t in zip(outputs, taps, strict=True)]

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
  shifted = lambda x, axis, i: lax.slice_in_dim(x, i, i + outputs[axis], axis=axis + 1)
  for axis in reversed(gathered):
    x = jnp.concatenate([shifted(x, axis, i) for i in range(taps[axis])], axis=-1)
  # with two axes only, as XLA copies the operands of the gradients of products with more
  y = x.reshape(-1, x.shape[-1]) @ kernel.transpose(*gathered, 2, *added, 3).reshape(x.shape[-1], -1)
  y = y.reshape(*x.shape[:3], -1)
  for axis in added:
    y = sum(shifted(part, axis, i) for i, part in enumerate(jnp.split(y, taps[axis], axis=-1)))
  return y


def matrix_conv_transpose(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads) -> jax.Array:
  """As `native_conv_transpose`: the transpose of a `matrix_conv`, which is linear in its input."""
  size, window = x.shape[1:3], kernel.shape[:2]
  outputs = [(n - 1) * s + 2 + sum(p) - k for n, s, p, k in zip(size, strides, pads, window, strict=True)]
  pads = [(k - 1 - low, k - 1 - high) for k, (low, high) in zip(window, pads, strict=True)]
  kernel = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
  y = jax.ShapeDtypeStruct((x.shape[0], *outputs, kernel.shape[2]), x.dtype)
  return jax.linear_transpose(lambda y: matrix_conv(y, kernel, strides, pads), y)(x)[0]


def _pair(value: int | Sequence[int]) -> Pair:
  return (value, value) if isinstance(value, int) else tuple(value)


def _transpose_pads(kernel: int, stride: int, padding: str) -> Pair:
  """The padding whose output has n s ('SAME') or (n - 1) s + max(k, s) ('VALID') pixels."""
  if padding == 'VALID':
    return kernel - 1, max(kernel, stride) - 1
  low = kernel - 1 if stride > kernel - 1 else math.ceil((kernel + stride - 2) / 2)
  return low, kernel + stride - 2 - low


class Conv(nn.Module):
  """`flax.linen.Conv` in two dimensions: [B,H,W,C] -> [B,H',W',features].

  `padding` is 'SAME', 'VALID', 'REFLECT', an int, or one int or (low, high) for each axis.
  Parameters: 'kernel' [kh,kw,C,features], 'bias' [features].
  """

  features: int
  kernel_size: int | Sequence[int]
  strides: int | Sequence[int] = 1
  padding: str | int | Sequence[int | Pair] = 'SAME'
  use_bias: bool = True
  dtype: Any = None
  param_dtype: Any = jnp.float32
  kernel_init: Callable[..., jax.Array] = nn.initializers.lecun_normal()
  bias_init: Callable[..., jax.Array] = nn.initializers.zeros

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Pads with zeros (or mirror images), in `dtype` or the common type of input and parameters."""
    chex.assert_rank(x, 4)
    window, strides = _pair(self.kernel_size), _pair(self.strides)
    kernel = self.param('kernel', self.kernel_init, (*window, x.shape[-1], self.features), self.param_dtype)
    bias = self.param('bias', self.bias_init, (self.features,), self.param_dtype) if self.use_bias else None
    x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
    pads = canonicalize_padding(self.padding, 2)
    if pads == 'REFLECT':
      x = jnp.pad(x, [(0, 0), *(((k - 1) // 2, k // 2) for k in window), (0, 0)], mode='reflect')
      pads = 'VALID'
    if isinstance(pads, str):
      pads = lax.padtype_to_pads(x.shape[1:3], window, strides, pads)
    conv = matrix_conv if jax.default_backend() == 'cpu' else native_conv
    y = conv(x, kernel, strides, pads)
    return y if bias is None else y + bias.reshape(1, 1, 1, -1)


class ConvTranspose(nn.Module):
  """`flax.linen.ConvTranspose` in two dimensions: [B,H,W,C] -> [B,H',W',features], H' = s H with 'SAME'.

  `padding` is 'SAME', 'VALID', or, for the input with s - 1 zeros between its pixels, an int, or one int or
  (low, high) for each axis. Parameters: 'kernel' [kh,kw,C,features], 'bias' [features].
  """

  features: int
  kernel_size: int | Sequence[int]
  strides: int | Sequence[int] = 1
  padding: str | int | Sequence[int | Pair] = 'SAME'
  use_bias: bool = True
  dtype: Any = None
  param_dtype: Any = jnp.float32
  kernel_init: Callable[..., jax.Array] = nn.initializers.lecun_normal()
  bias_init: Callable[..., jax.Array] = nn.initializers.zeros

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Computes in `dtype`, or in the common type of input and parameters."""
    chex.assert_rank(x, 4)
    window, strides = _pair(self.kernel_size), _pair(self.strides)
    kernel = self.param('kernel', self.kernel_init, (*window, x.shape[-1], self.features), self.param_dtype)
    bias = self.param('bias', self.bias_init, (self.features,), self.param_dtype) if self.use_bias else None
    x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
    pads = canonicalize_padding(self.padding, 2)
    if isinstance(pads, str):
      pads = [_transpose_pads(k, s, pads) for k, s in zip(window, strides, strict=True)]
    conv = matrix_conv_transpose if jax.default_backend() == 'cpu' else native_conv_transpose
    y = conv(x, kernel, strides, pads)
    return y if bias is None else y + bias.reshape(1, 1, 1, -1)
