"""The layers against Flax's: parameters, values, gradients, second derivatives."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small import random_variables

from gen_jax.networks import layers

pairs = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))
paddings = st.sampled_from(['SAME', 'VALID', 1, (2, 0), ((2, 1), (0, 2))])
# size, kernel, strides, padding, channels, dilation
cases = given(pairs(5, 9), pairs(1, 5), pairs(1, 3), paddings, pairs(1, 5), pairs(1, 2))
few = settings(max_examples=3, derandomize=True, deadline=None)
LAYERS = [(layers.Conv, nn.Conv), (layers.ConvTranspose, nn.ConvTranspose)]


def images(*shape: int) -> np.ndarray:
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def init(layer, x):
  return jax.jit(layer.init)(jax.random.key(1), x)


def derivatives(layer, variables, x):
  """Output, gradients, and the gradients of the squared norm of the gradients."""

  def loss(variables, x):
    y = layer.apply(variables, x)
    return jnp.sin(y).sum(), y

  def penalty(variables, x):
    gradients, y = jax.grad(loss, (0, 1), has_aux=True)(variables, x)
    return sum((g**2).sum() for g in jax.tree.leaves(gradients)), (y, gradients)

  everything = jax.grad(penalty, (0, 1), has_aux=True)
  return jax.jit(everything)(variables, x)


def assert_close(actual, desired, tolerance=1e-4):
  """Within a part of the largest entry."""
  for a, d in zip(jax.tree.leaves(actual), jax.tree.leaves(desired), strict=True):
    assert a.shape == d.shape
    assert a.dtype == d.dtype
    a, d = np.asarray(a, np.float32), np.asarray(d, np.float32)
    np.testing.assert_allclose(a, d, atol=tolerance * max(np.abs(d).max(), 1e-3), rtol=0)


def check(ours, flax, size, kernel, strides, padding, channels, dilation):
  x, settings = images(2, *size, channels[0]), {'strides': strides, 'padding': padding}
  if padding != 'SAME':  # room for the window
    size = tuple(max(n, (k - 1) * d + 1) for n, k, d in zip(size, kernel, dilation, strict=True))
    x = images(2, *size, channels[0])
  ours = ours(channels[1], kernel, **settings, dilation=dilation)
  flax = flax(channels[1], kernel, **settings, kernel_dilation=dilation)
  variables = init(flax, x)
  jax.tree.map(np.testing.assert_array_equal, init(ours, x), variables)
  assert_close(derivatives(ours, variables, x), derivatives(flax, variables, x))


# a case for each way in which a product takes the taps: gathered, gathered along the width, added; and one with many
# channels
forms = lambda f: functools.reduce(
  lambda f, e: example(*e)(f),
  [
    ((8, 6), (4, 4), (2, 2), 'SAME', (1, 5), (1, 1)),
    ((6, 6), (3, 3), (1, 1), 'SAME', (4, 4), (1, 1)),
    ((8, 8), (4, 3), (2, 2), 'SAME', (5, 1), (1, 1)),
    ((7, 8), (3, 2), (1, 1), 'VALID', (2, 3), (2, 3)),
    ((7, 8), (3, 2), (2, 1), 'SAME', (2, 3), (2, 2)),
    ((7, 6), (4, 3), (2, 1), 'SAME', (16, 17), (1, 1)),
  ],
  f,
)


@few
@forms
@cases
def test_conv_is_flax_conv(size, kernel, strides, padding, channels, dilation):
  check(*LAYERS[0], size, kernel, strides, padding, channels, dilation)


@few
@forms
@cases
def test_conv_transpose_is_flax_conv_transpose(size, kernel, strides, padding, channels, dilation):
  check(*LAYERS[1], size, kernel, strides, padding, channels, dilation)


class Enlarged(nn.Module):
  """What `ResizeConv` means, step by step."""

  scale: tuple[int, int]
  conv: nn.Module

  def __call__(self, x):
    for axis, times in enumerate(self.scale):
      x = jnp.repeat(x, times, axis=axis + 1)
    return self.conv(x)


@few
@example((4, 3), (3, 3), (2, 2), (3, 2))
@given(pairs(2, 5), pairs(1, 4), pairs(1, 3), pairs(1, 4))
def test_resize_conv_repeats_pixels_then_convolves(size, kernel, scale, channels):
  x, ours = images(2, *size, channels[0]), layers.ResizeConv(channels[1], kernel, scale)
  variables = init(ours, x)
  flax = {'params': {'conv': variables['params']}}
  desired = derivatives(Enlarged(scale, nn.Conv(channels[1], kernel)), flax, x)
  assert_close(derivatives(ours, variables, x), desired)


@pytest.mark.parametrize('dilation', [1, 2])
def test_reflect_is_flaxs(dilation):
  x = images(2, 7, 8, 3)
  ours = layers.Conv(2, (4, 3), strides=2, padding='REFLECT', dilation=dilation)
  flax = nn.Conv(2, (4, 3), strides=2, padding='REFLECT', kernel_dilation=dilation)
  variables = init(flax, x)
  assert_close(derivatives(ours, variables, x), derivatives(flax, variables, x))


@pytest.mark.parametrize(('ours', 'flax'), LAYERS)
def test_bfloat16(ours, flax):
  x = images(2, 8, 8, 3)
  variables = init(flax(4, (4, 4), strides=(2, 2)), x)
  y = ours(4, 4, strides=2, dtype=jnp.bfloat16).apply(variables, x)
  assert_close(y, flax(4, (4, 4), strides=(2, 2), dtype=jnp.bfloat16).apply(variables, x), 0.02)


def test_a_residual_block_is_its_formula():
  block, x = layers.ResidualBlock(activation='silu'), jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
  variables = random_variables(lambda key: block.init(key, x))
  convolutions = [nn.Conv(3, (3, 3)).bind({'params': variables['params'][f'Conv_{i}']}) for i in range(2)]
  expected = x + convolutions[1](jax.nn.silu(convolutions[0](jax.nn.silu(x))))
  np.testing.assert_allclose(block.apply(variables, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('layer', [layers.Conv, layers.ConvTranspose])
def test_without_bias_and_in_half_precision(layer):
  params = init(layer(4, 3, use_bias=False, param_dtype=jnp.float16), images(1, 4, 4, 2))['params']
  assert jax.tree.map(lambda p: (p.shape, p.dtype.name), params) == {'kernel': ((3, 3, 2, 4), 'float16')}


@pytest.mark.parametrize('layer', [layers.Conv, layers.ConvTranspose])
def test_vmap_scan_pmap_and_jvp(layer):
  layer, x = layer(3, 4, strides=2), images(4, 2, 6, 6, 3)
  variables = init(layer, x[0])
  apply = jax.jit(functools.partial(layer.apply, variables))
  each = jnp.stack([apply(row) for row in x])
  assert_close(jax.vmap(apply)(x), each)
  assert_close(jax.lax.scan(lambda carry, row: (carry, apply(row)), 0, x)[1], each)
  assert_close(jax.pmap(apply)(x), each)
  # linear in x but for the bias, so that the tangent of x along x is y - y(0)
  assert_close(jax.jvp(apply, (x[0],), (x[0],))[1], each[0] - apply(jnp.zeros_like(x[0])))
