"""Batch normalization, plain and conditional, over the global batch; of each image; spectral norms of kernels."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.networks.convolution import convolve
from gen_jax.networks.layers import same_pads

EPSILON = 1e-12


def mean_over_devices(x: jax.Array) -> jax.Array:
  """The mean over the devices that share a batch; x itself where there is no axis 'batch', or only one of them."""
  try:
    devices = jax.lax.axis_size('batch')
  except NameError:  # evaluation, on one device
    return x
  return x if devices == 1 else jax.lax.pmean(x, 'batch')


class BatchNorm(nn.Module):
  """gamma (x - E x) / sqrt(Var x + 10^-5) + beta over all axes but the last (Ioffe & Szegedy, 2015).

  In training, and always where it is not `running`, by the moments of the global batch; else by their running means.
  Where it is called with labels, gamma and beta are those of the class (Dumoulin et al., 2017).
  """

  running: bool = True
  momentum: float = 0.9
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: jax.Array, train: bool, labels: jax.Array | None = None, num_classes: int = 0
  ) -> jax.Array:
    """[B,...,C] -> the same shape; computed in float32."""
    features, like_x = x.shape[-1], (-1, *[1] * (x.ndim - 2), x.shape[-1])
    x = x.astype(jnp.float32)
    if self.running:
      means = self.variable('batch_stats', 'mean', jnp.zeros, (features,))
      variances = self.variable('batch_stats', 'variance', jnp.ones, (features,))
    if train or not self.running:
      axes = tuple(range(x.ndim - 1))
      mean, square = mean_over_devices(jnp.stack([x.mean(axes), (x**2).mean(axes)]))
      variance = jnp.maximum(square - mean**2, 0)
      if self.running and self.is_mutable_collection('batch_stats') and not self.is_initializing():
        means.value = self.momentum * means.value + (1 - self.momentum) * mean
        variances.value = self.momentum * variances.value + (1 - self.momentum) * variance
    else:
      mean, variance = means.value, variances.value
    shape = (features,) if labels is None else (num_classes, features)
    gamma = self.param('scale', nn.initializers.ones, shape)
    beta = self.param('bias', nn.initializers.zeros, shape)
    if labels is not None:
      gamma, beta = gamma[labels], beta[labels]
    gain = gamma * jax.lax.rsqrt(variance + 1e-5).reshape(*[1] * (gamma.ndim - 1), -1)
    offset = beta - mean.reshape(*[1] * (gamma.ndim - 1), -1) * gain
    return (x * gain.reshape(like_x) + offset.reshape(like_x)).astype(self.dtype)


class InstanceNorm(nn.Module):
  """(x - E x) / sqrt(Var x + 10^-5) by the moments of each channel of each image alone (Ulyanov et al., 2016).

  `affine` adds a learned scale and offset of each channel: what batch normalization is of batches of one image.
  """

  affine: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,H,W,C] -> the same shape; computed in float32."""
    x = x.astype(jnp.float32)
    mean = x.mean((1, 2), keepdims=True)
    variance = ((x - mean) ** 2).mean((1, 2), keepdims=True)
    x = (x - mean) * jax.lax.rsqrt(variance + 1e-5)
    if self.affine:
      x = x * self.param('scale', nn.initializers.ones, (1, 1, 1, x.shape[-1]))
      x = x + self.param('bias', nn.initializers.zeros, (1, 1, 1, x.shape[-1]))
    return x.astype(self.dtype)


def to_unit_norm(x: jax.Array) -> jax.Array:
  """x / ||x||."""
  return x / jnp.maximum(jnp.linalg.norm(x), EPSILON)


def spectral_norm(layer: nn.Module, kernel: jax.Array, train: bool) -> jax.Array:
  """kernel / sigma, sigma the largest singular value of it as a matrix [., features] (Miyato et al., 2018).

  One step of power iteration a call from the vector u of the collection 'spectral', which training moves on; u and v
  count as constants (their eq. 10), so that the gradient is that of v^T W u.
  """
  matrix = kernel.reshape(-1, kernel.shape[-1])
  start = lambda: to_unit_norm(jax.random.normal(layer.make_rng('params'), kernel.shape[-1:]))
  u = layer.variable('spectral', 'u', start)
  fixed = jax.lax.stop_gradient(matrix)
  v = to_unit_norm(fixed @ u.value)
  moved = to_unit_norm(fixed.T @ v)
  if train and not layer.is_initializing():
    u.value = moved
  return kernel / (v @ matrix @ moved)


class SpectralDense(nn.Module):
  """A dense layer whose kernel has spectral norm 1."""

  features: int
  use_bias: bool = True
  kernel_init: Callable[..., jax.Array] = nn.initializers.xavier_uniform()
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[B,F] -> [B,features]."""
    kernel = self.param('kernel', self.kernel_init, (x.shape[-1], self.features))
    kernel = spectral_norm(self, kernel, train).astype(self.dtype)
    y = x.astype(self.dtype) @ kernel
    if not self.use_bias:
      return y
    return y + self.param('bias', nn.initializers.zeros, (1, self.features)).astype(self.dtype)


class SpectralConv(nn.Module):
  """A convolution whose kernel, as a matrix, has spectral norm 1; `padding` 'SAME', or so many zeros on every side."""

  features: int
  kernel_size: int
  strides: int = 1
  padding: str | int = 'SAME'
  kernel_init: Callable[..., jax.Array] = nn.initializers.xavier_uniform()
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[B,H,W,C] -> [B,H',W',features]."""
    window, strides = (self.kernel_size,) * 2, (self.strides,) * 2
    kernel = self.param('kernel', self.kernel_init, (*window, x.shape[-1], self.features))
    kernel = spectral_norm(self, kernel, train).astype(self.dtype)
    bias = self.param('bias', nn.initializers.zeros, (1, 1, 1, self.features)).astype(self.dtype)
    pads = same_pads(x, window, strides) if self.padding == 'SAME' else ((self.padding,) * 2,) * 2
    return convolve(x.astype(self.dtype), kernel, strides, pads, (1, 1)) + bias
