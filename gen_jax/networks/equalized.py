"""Layers whose learning rate is equalized: N(0, 1) weights, scaled where they are used (Karras et al., 2018, 4.1).

Adam's steps do not depend on the scale of a gradient. So weights that begin small learn relatively fast, and those of
one layer would race ahead of another's; here all are of one size, and the scale is a constant.
"""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.networks.convolution import convolve
from gen_jax.networks.layers import enlarge_and_convolve, same_pads


def scaled_kernel(layer: nn.Module, shape: Sequence[int]) -> jax.Array:
  """A kernel, N(0, 1) at first, times gain / sqrt(fan_in), the constant of He et al. (2015)."""
  kernel = layer.param('kernel', nn.initializers.normal(1.0), tuple(shape))
  return (kernel * (layer.gain / math.sqrt(math.prod(shape[:-1])))).astype(layer.dtype)


class EqualizedConv(nn.Module):
  """A convolution whose learning rate is equalized, of images enlarged to `scale` times their size first."""

  features: int
  kernel_size: int = 3
  scale: int = 1
  gain: float = math.sqrt(2)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,H,W,C] -> [B,scale H,scale W,features]."""
    window = (self.kernel_size,) * 2
    kernel = scaled_kernel(self, (*window, x.shape[-1], self.features))
    bias = self.param('bias', nn.initializers.zeros, (1, 1, 1, self.features)).astype(self.dtype)
    x = x.astype(self.dtype)
    if self.scale > 1:
      return enlarge_and_convolve(x, kernel, (self.scale,) * 2) + bias
    return convolve(x, kernel, (1, 1), same_pads(x, window, (1, 1)), (1, 1)) + bias


class EqualizedDense(nn.Module):
  """A dense layer whose learning rate is equalized."""

  features: int
  gain: float = math.sqrt(2)
  use_bias: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,F] -> [B,features]."""
    y = x.astype(self.dtype) @ scaled_kernel(self, (x.shape[-1], self.features))
    if not self.use_bias:
      return y
    return y + self.param('bias', nn.initializers.zeros, (1, self.features)).astype(self.dtype)
