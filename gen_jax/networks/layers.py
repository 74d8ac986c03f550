"""Convolutions of images [B,H,W,C] with the mathematics and parameters of Flax's, fast on every platform."""

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

from gen_jax.networks.convolution import Pads, Pair, convolve, to_input, window_spans


def _pair(value: int | Sequence[int]) -> Pair:
  return (value, value) if isinstance(value, int) else tuple(value)


def same_pads(x: jax.Array, window: Pair, strides: Pair) -> Pads:
  """The padding with which [B,H,W,C] comes out at H / s, W / s, rounded up."""
  return lax.padtype_to_pads(x.shape[1:3], window, strides, 'SAME')


def _transpose_pads(kernel: int, stride: int, padding: str) -> Pair:
  """The padding whose output has n s ('SAME') or (n - 1) s + max(k, s) ('VALID') pixels."""
  if padding == 'VALID':
    return kernel - 1, max(kernel, stride) - 1
  low = kernel - 1 if stride > kernel - 1 else math.ceil((kernel + stride - 2) / 2)
  return low, kernel + stride - 2 - low


def _conv_transpose(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads, dilation: Pair) -> jax.Array:
  """`convolve` of stride 1 over x with s - 1 zeros put between its pixels."""
  reach = window_spans(kernel.shape[:2], dilation)
  size = [(n - 1) * s + 2 + sum(p) - r for n, s, p, r in zip(x.shape[1:3], strides, pads, reach, strict=True)]
  pads = [(r - 1 - low, r - 1 - high) for r, (low, high) in zip(reach, pads, strict=True)]
  return to_input(x, jnp.flip(kernel, (0, 1)).swapaxes(2, 3), size, strides, pads, dilation)


def _create_parameters(layer: nn.Module, x: jax.Array, window: Pair) -> tuple[jax.Array, jax.Array, jax.Array]:
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
    x, kernel, bias = _create_parameters(self, x, window)
    pads = canonicalize_padding(self.padding, 2)
    if pads == 'REFLECT':
      margins = [((k - 1) // 2, k // 2) for k in window_spans(window, dilation)]
      x = jnp.pad(x, [(0, 0), *margins, (0, 0)], mode='reflect')
      pads = 'VALID'
    if isinstance(pads, str):
      pads = lax.padtype_to_pads(x.shape[1:3], window_spans(window, dilation), strides, pads)
    return convolve(x, kernel, strides, pads, dilation) + bias


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
    x, kernel, bias = _create_parameters(self, x, window)
    pads = canonicalize_padding(self.padding, 2)
    if isinstance(pads, str):
      pads = [_transpose_pads(k, s, pads) for k, s in zip(window_spans(window, dilation), strides, strict=True)]
    return _conv_transpose(x, kernel, strides, pads, dilation) + bias


def enlarge_and_convolve(x: jax.Array, kernel: jax.Array, scale: Pair) -> jax.Array:
  """Repeats pixels to `scale` times the size, then convolves with stride 1 and 'SAME' padding."""
  # Repeating pixels is a transposed convolution with a box of ones, so both together are one with their product, and
  # the enlarged image, s^2 times as large, is never made.
  window = kernel.shape[:2]
  for axis, s in enumerate(scale):
    margins = lambda i, s=s, axis=axis: [(i, s - 1 - i) if a == axis else (0, 0) for a in range(4)]
    kernel = sum(jnp.pad(kernel, margins(i)) for i in range(s))
  pads = [((k - 1) // 2 + s - 1, k // 2 + s - 1) for k, s in zip(window, scale, strict=True)]
  return _conv_transpose(x, kernel, scale, pads, (1, 1))


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
    x, kernel, bias = _create_parameters(self, x, window)
    return enlarge_and_convolve(x, kernel, scale) + bias


def to_patches(x: jax.Array, size: int) -> jax.Array:
  """Blocks of size x size pixels as channels: [B,H,W,C] -> [B,H / size,W / size,size size C]."""
  b, h, w, c = x.shape
  x = x.reshape(b, h // size, size, w // size, size, c).swapaxes(2, 3)
  return x.reshape(b, h // size, w // size, -1)


def from_patches(x: jax.Array, size: int) -> jax.Array:
  """The inverse of `to_patches`."""
  b, h, w, c = x.shape
  x = x.reshape(b, h, w, size, size, c // size**2).swapaxes(2, 3)
  return x.reshape(b, h * size, w * size, -1)


class ResidualBlock(nn.Module):
  """x + Conv(activation(Conv(activation(x)))), [B,H,W,C] -> the same shape (He et al., 2016b)."""

  kernel_size: int = 3
  activation: str = 'relu'
  dtype: Any = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Begins as the identity."""
    activation, width = getattr(jax.nn, self.activation), x.shape[-1]
    h = Conv(width, self.kernel_size, dtype=self.dtype)(activation(x))
    h = Conv(width, self.kernel_size, dtype=self.dtype, kernel_init=nn.initializers.zeros)(activation(h))
    return x + h
