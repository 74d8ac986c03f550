"""Both forms of both layers against Flax's: values, gradients, second derivatives."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gen_jax.networks import layers

PADS = st.sampled_from(['SAME', 'VALID', 1, ((2, 1), (0, 2))])
PAIRS = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))
CASES = st.tuples(PAIRS(5, 9), PAIRS(1, 5), PAIRS(1, 3), PADS, PAIRS(1, 5))  # size, window, strides, pads, channels
few = settings(max_examples=12, derandomize=True, deadline=None)


@pytest.fixture(params=['matrix', 'native'])
def form(request, monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: {'matrix': 'cpu', 'native': 'gpu'}[request.param])


def values(layer, variables, x):
  """Output, gradients, and the gradient of a squared norm of gradients, compiled as one."""

  def loss(variables, x):
    return (jnp.sin(layer.apply(variables, x))).sum()

  def penalty(variables, x):
    return sum((g**2).sum() for g in jax.tree.leaves(jax.grad(loss, (0, 1))(variables, x)))

  return jax.jit(lambda *args: (layer.apply(*args), jax.grad(loss, (0, 1))(*args), jax.grad(penalty, (0, 1))(*args)))(
    variables, x
  )


def assert_close(actual, desired, tolerance=1e-4):
  for a, d in zip(jax.tree.leaves(actual), jax.tree.leaves(desired), strict=True):
    assert a.shape == d.shape and a.dtype == d.dtype
    d = np.asarray(d, np.float32)
    np.testing.assert_allclose(np.asarray(a, np.float32), d, atol=tolerance * max(np.abs(d).max(), 1e-3), rtol=0)


def compare(ours, flax, x):
  variables = flax.init(jax.random.key(1), x)
  actual = ours.init(jax.random.key(1), x)
  jax.tree.map(np.testing.assert_array_equal, actual, variables)
  assert_close(values(ours, variables, x), values(flax, variables, x))


def images(*shape):
  return jax.random.normal(jax.random.key(0), shape)


@few
@given(CASES)
def check_conv(case):
  size, window, strides, padding, (inputs, features) = case
  args = dict(features=features, kernel_size=window, strides=strides, padding=padding)
  compare(layers.Conv(**args), nn.Conv(**args), images(2, *size, inputs))


@few
@given(CASES)
def check_conv_transpose(case):
  size, window, strides, padding, (inputs, features) = case
  args = dict(features=features, kernel_size=window, strides=strides, padding=padding)
  compare(layers.ConvTranspose(**args), nn.ConvTranspose(**args), images(2, *size, inputs))


def test_conv(form):
  check_conv()


def test_conv_transpose(form):
  check_conv_transpose()
