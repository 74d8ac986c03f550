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

  Blocks of s x s pixels become channels, which leaves a convolution of stride 1 with ceil(k / s)^2 taps.
  """
  batch, height, width, inputs = x.shape
  kernel_h, kernel_w, _, features = kernel.shape
  (sh, sw), ((top, bottom), (left, right)) = strides, pads
  bh, bw = min(sh, kernel_h), min(sw, kernel_w)  # the part of a block that the kernel sees
  taps_h, taps_w = -(-kernel_h // sh), -(-kernel_w // sw)
  h, w = (height + top + bottom - kernel_h) // sh + 1, (width + left + right - kernel_w) // sw + 1
  mh, mw = h + taps_h - 1, w + taps_w - 1

  pads = [(0, 0, 0), (top, mh * sh - height - top, 0), (left, mw * sw - width - left, 0), (0, 0, 0)]
  x = lax.pad(x, jnp.zeros((), x.dtype), pads)
  x = x.reshape(batch, mh, sh, mw, sw, inputs)[:, :, :bh, :, :bw].swapaxes(2, 3)
  x = x.reshape(batch, mh, mw, bh * bw * inputs)
  kernel = jnp.pad(kernel, [(0, taps_h * bh - kernel_h), (0, taps_w * bw - kernel_w), (0, 0), (0, 0)])
  kernel = kernel.reshape(taps_h, bh, taps_w, bw, inputs, features).swapaxes(1, 2)
  kernel = kernel.reshape(taps_h * taps_w, -1, features)

  # A matrix product of two axes: with more, XLA copies operands in the gradients.
  taps = [(i, j) for i in range(taps_h) for j in range(taps_w)]
  if h * w * x.shape[-1] < mh * mw * features:  # gather the taps before the product ...
    patches = jnp.concatenate([x[:, i : i + h, j : j + w] for i, j in taps], axis=-1)
    y = patches.reshape(batch * h * w, -1) @ kernel.reshape(-1, features)
    return y.reshape(batch, h, w, features)
  # ... or add them after it, whichever makes the smaller array
  products = x.reshape(batch * mh * mw, -1) @ kernel.swapaxes(0, 1).reshape(x.shape[-1], -1)
  products = lax.split(products.reshape(batch, mh, mw, -1), [features] * len(taps), axis=-1)
  return sum(p[:, i : i + h, j : j + w] for p, (i, j) in zip(products, taps, strict=True))


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
