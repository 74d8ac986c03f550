"""The three functions against XLA's convolution and its transposes, in each form that a CPU takes."""

import contextlib
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from gen_jax.networks import convolution
from gen_jax.networks.convolution import convolve, to_input, to_kernel

pairs = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))
few = settings(max_examples=4, derandomize=True, deadline=None)
FORMS = {'XLA': (0, 0, 10**9), 'product': (10**9, 0, 0)}  # THIN, FEW, MANY


@contextlib.contextmanager
def taking(form: str):
  """Whatever the sizes."""
  with pytest.MonkeyPatch.context() as patch:
    for name, value in zip(('THIN', 'FEW', 'MANY'), FORMS[form], strict=True):
      patch.setattr(convolution, name, value)
    yield


def random(seed: int, *shape: int) -> np.ndarray:
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def operands(size, window, strides, pads, dilation, channels):
  """x, kernel, y, and the geometry."""
  outputs = convolution.output_size(size, window, strides, pads, dilation)
  x, kernel = random(0, 2, *size, channels[0]), random(1, *window, *channels)
  return x, kernel, random(2, 2, *outputs, channels[1]), {'strides': strides, 'pads': pads, 'dilation': dilation}


def reference(x, kernel, strides, pads, dilation):
  """`convolve` as XLA computes it of an image that is padded and cropped beforehand."""
  x = jax.lax.pad(x, 0.0, [(0, 0, 0), *((*p, 0) for p in pads), (0, 0, 0)])
  dims = ('NHWC', 'HWIO', 'NHWC')
  return jax.lax.conv_general_dilated(x, kernel, strides, 'VALID', rhs_dilation=dilation, dimension_numbers=dims)


def close(actual, desired, tolerance=1e-5):
  np.testing.assert_allclose(actual, desired, atol=tolerance * np.abs(desired).max(), rtol=0)


def evaluate(function, *arguments):
  return jax.jit(function)(*arguments)


# size, window, strides, pads, dilation, channels: common ones, a kernel smaller than the stride, and cropping
common = lambda f: functools.reduce(
  lambda f, e: example(*e)(f),
  [
    ((8, 6), (4, 4), (2, 2), ((1, 1), (1, 1)), (1, 1), (3, 2)),
    ((6, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), (2, 3)),
    ((7, 8), (3, 2), (2, 1), ((0, 1), (2, 0)), (2, 3), (2, 2)),
    ((7, 9), (1, 4), (2, 3), ((-1, 0), (1, -2)), (1, 1), (2, 3)),
    ((6, 6), (3, 3), (1, 1), ((-1, 1), (-2, 1)), (1, 1), (16, 17)),
  ],
  f,
)


@pytest.mark.parametrize('form', FORMS)
@few
@common
@given(
  size=pairs(4, 8),
  window=pairs(1, 4),
  strides=pairs(1, 3),
  pads=st.tuples(pairs(-1, 2), pairs(-1, 2)),
  dilation=pairs(1, 2),
  channels=pairs(1, 3),
)
def test_all_are_as_xla_says(form, size, window, strides, pads, dilation, channels):
  assume(min(convolution.output_size(size, window, strides, pads, dilation)) > 0)
  x, kernel, y, geometry = operands(size, window, strides, pads, dilation, channels)

  def xla(x, kernel, y):
    value, transposes = jax.vjp(functools.partial(reference, **geometry), x, kernel)
    return value, *transposes(y)

  def ours(x, kernel, y):
    of_x, of_kernel = to_input(y, kernel, size, **geometry), to_kernel(x, y, window, **geometry)
    return convolve(x, kernel, **geometry), of_x, of_kernel

  with taking(form):
    results = evaluate(ours, x, kernel, y)
  for actual, desired in zip(results, evaluate(xla, x, kernel, y), strict=True):
    close(actual, desired)


@pytest.mark.parametrize('form', FORMS)
def test_each_derivative_is_one_of_the_others(form):
  geometry = {'strides': (2, 1), 'pads': ((1, 2), (0, 1)), 'dilation': (1, 2)}
  x, kernel, y, _ = operands((7, 6), (4, 3), **geometry, channels=(2, 3))

  def ours(x, kernel, y):
    return (
      jnp.sin(convolve(x, kernel, **geometry)).sum()
      + jnp.sin(to_input(y, kernel, (7, 6), **geometry)).sum()
      + jnp.sin(to_kernel(x, y, (4, 3), **geometry)).sum()
    )

  def xla(x, kernel, y):
    value, transposes = jax.vjp(functools.partial(reference, **geometry), x, kernel)
    return sum(jnp.sin(v).sum() for v in (value, *transposes(y)))

  def derivatives(f):
    """Of the first order, and products with the Hessian: forward over reverse, and reverse over reverse."""
    gradient = jax.grad(f, (0, 1, 2))
    forward = lambda *a: jax.jvp(gradient, a, (x, kernel, y))
    reverse = jax.grad(lambda *a: sum((g**2).sum() for g in gradient(*a)), (0, 1, 2))
    return evaluate(lambda *a: (forward(*a), reverse(*a)), 0.1 * x, 0.1 * kernel, 0.1 * y)

  with taking(form):
    results = derivatives(ours)
  jax.tree.map(functools.partial(close, tolerance=1e-4), results, derivatives(xla))


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('axes', [(0, None), (1, None), (None, 0), (0, 1)])
def test_vmap_is_a_loop(form, axes):
  geometry = {'strides': (2, 2), 'pads': ((1, 1), (1, 1)), 'dilation': (1, 1)}
  x, y, kernel = random(0, 3, 2, 6, 6, 2), random(1, 3, 2, 3, 3, 4), random(2, 3, 4, 4, 2, 4)
  for function, operands in [
    (lambda x, kernel: convolve(x, kernel, **geometry), (x, kernel)),
    (lambda y, kernel: to_input(y, kernel, (6, 6), **geometry), (y, kernel)),
    (lambda x, y: to_kernel(x, y, (4, 4), **geometry), (x, y)),
  ]:
    rows = [[a[0 if axis is None else i] for a, axis in zip(operands, axes, strict=True)] for i in range(3)]
    moved = [a[0] if axis is None else np.moveaxis(a, 0, axis) for a, axis in zip(operands, axes, strict=True)]
    of_row = jax.jit(function)
    with taking(form):
      results = evaluate(jax.vmap(function, axes), *moved)
    close(results, np.stack([of_row(*row) for row in rows]))


def layers(x, kernel):
  """The gradients of a strided convolution and its transpose."""
  geometry = {'strides': (2, 2), 'pads': ((1, 1), (1, 1)), 'dilation': (1, 1)}

  def loss(x, kernel):
    y = convolve(x, kernel, **geometry)
    return (y**2).sum() + (to_input(y, kernel, (32, 32), **geometry) ** 2).sum()

  return jax.grad(loss, (0, 1))(x, kernel)


def lowered(platform: str, x, kernel) -> str:
  return jax.jit(layers).trace(x, kernel).lower(lowering_platforms=(platform,)).as_text()


def test_a_cpu_gets_only_convolutions_that_it_is_fast_at():
  text = lowered('cpu', jnp.zeros((2, 32, 32, 32)), jnp.zeros((4, 4, 32, 64)))
  convolutions = re.findall(r'stablehlo.convolution.*', text)
  assert len(convolutions) >= 4
  assert all('dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]' in line for line in convolutions)
  assert set(re.findall(r'lhs_dilate = \[(.*?)\]', text)) == {'1, 1'}


@pytest.mark.parametrize(
  ('channels', 'window', 'dtype'), [(3, 4, jnp.float32), (32, 2, jnp.float32), (32, 4, jnp.bfloat16)]
)
def test_a_cpu_gets_products_where_they_are_faster(channels, window, dtype):
  text = lowered('cpu', jnp.zeros((2, 32, 32, channels), dtype), jnp.zeros((window, window, channels, 64), dtype))
  assert 'stablehlo.convolution' not in text
  assert 'stablehlo.dot_general' in text


def test_other_platforms_get_convolutions():
  text = lowered('cuda', jnp.zeros((2, 32, 32, 3)), jnp.zeros((4, 4, 3, 8)))
  assert 'stablehlo.convolution' in text
  assert 'stablehlo.dot_general' not in text


GEOMETRY = {'strides': (1, 1), 'pads': ((0, 0), (0, 0)), 'dilation': (1, 1)}


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize(('batch', 'size'), [(0, (5, 5)), (2, (2, 5))])
def test_nothing_gives_nothing(form, batch, size):
  with taking(form):
    y = evaluate(lambda x, kernel: convolve(x, kernel, **GEOMETRY), random(0, batch, *size, 2), random(1, 3, 3, 2, 4))
  assert y.shape == (batch, max(0, size[0] - 2), 3, 4)


def test_it_runs_uncompiled():
  x, kernel = random(0, 2, 5, 5, 2), random(1, 3, 3, 2, 4)
  with jax.disable_jit():
    y = convolve(x, kernel, **GEOMETRY)
  close(y, reference(x, kernel, **GEOMETRY))


def test_a_nan_is_named():
  with jax.debug_nans(True), pytest.raises(FloatingPointError):
    convolve(jnp.full((1, 4, 4, 2), jnp.nan), random(1, 3, 3, 2, 4), **GEOMETRY)


@pytest.mark.parametrize(
  'call',
  [
    lambda: convolve(random(0, 1, 4, 4, 2), random(1, 3, 3, 3, 2), **GEOMETRY),
    lambda: convolve(random(0, 1, 4, 4, 2), random(1, 3, 3, 2, 2).astype(jnp.bfloat16), **GEOMETRY),
    lambda: to_input(random(0, 1, 4, 4, 2), random(1, 3, 3, 2, 2), (4, 4), **GEOMETRY),
    lambda: to_kernel(random(0, 1, 4, 4, 2), random(1, 1, 4, 4, 2), (3, 3), **GEOMETRY),
  ],
)
def test_shapes_and_dtypes_must_agree(call):
  with pytest.raises(AssertionError):
    call()
