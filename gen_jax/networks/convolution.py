"""Convolutions of images [B,H,W,C] and their two transposes, fast on every platform.

y[o] = sum_k x[s o + d k - low] w[k] is linear in x and in w: `convolve` is the function, `to_input` its transpose in
x and `to_kernel` the one in w. Every derivative of one of them, of any order, is another of them, so each may be
computed in whatever form is fastest, without that its derivatives inherit the form.

On a GPU that is XLA's convolution. XLA's CPU has fast convolutions too, but only for some: without zeros put between
the pixels of x, with the axes in the order NHWC, HWIO -> NHWC, which XLA brings about outside of loops only, and
with enough channels on both sides. Everything is brought to that form here, or made a matrix product.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Pair = tuple[int, int]
Pads = Sequence[Pair]  # (low, high) of height and of width; negative values crop

THIN = 16  # channels below which a matrix product is faster on a CPU (measured)
TINY = 4  # pixels of y up to which it is faster in `convolve` and `to_input` (measured: ten times and more)
FEW = 16  # pixels of y up to which it is faster in `to_input` with strides (measured)
MANY = 64  # pixels of y above which it is faster in `to_kernel` (measured: at 32x32 six times)


def window_spans(window: Sequence[int], dilation: Pair) -> list[int]:
  """The pixels from the first tap to the last, both included."""
  return [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]


def output_size(size: Sequence[int], window: Sequence[int], strides: Pair, pads: Pads, dilation: Pair) -> list[int]:
  """(H', W') of y."""
  reach = window_spans(window, dilation)
  return [max(0, (n + sum(p) - r) // s + 1) for n, p, r, s in zip(size, pads, reach, strides, strict=True)]


# The three functions


def geometry_of(strides: Sequence[int], pads: Pads, dilation: Sequence[int]) -> dict[str, tuple]:
  """The parameters that all three share, hashable."""
  return {'strides': tuple(strides), 'pads': tuple(map(tuple, pads)), 'dilation': tuple(dilation)}


def convolve(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads, dilation: Pair) -> jax.Array:
  """y [B,H',W',F] of x [B,H,W,C] and kernel [kh,kw,C,F]."""
  chex.assert_shape(kernel, (None, None, x.shape[3], None))
  chex.assert_type(kernel, x.dtype)
  return convolve_p.bind(x, kernel, **geometry_of(strides, pads, dilation))


def to_input(y: jax.Array, kernel: jax.Array, size: Pair, strides: Pair, pads: Pads, dilation: Pair) -> jax.Array:
  """The transpose of `convolve` in x, whose height and width are `size`: [B,H,W,C] of y and kernel."""
  chex.assert_shape(kernel, (None, None, None, y.shape[3]))
  chex.assert_type(kernel, y.dtype)
  chex.assert_shape(y, (None, *output_size(size, kernel.shape[:2], strides, pads, dilation), None))
  return to_input_p.bind(y, kernel, size=tuple(size), **geometry_of(strides, pads, dilation))


def to_kernel(x: jax.Array, y: jax.Array, window: Pair, strides: Pair, pads: Pads, dilation: Pair) -> jax.Array:
  """The transpose of `convolve` in the kernel, whose height and width are `window`: [kh,kw,C,F] of x and y."""
  chex.assert_type(y, x.dtype)
  chex.assert_shape(y, (x.shape[0], *output_size(x.shape[1:3], window, strides, pads, dilation), None))
  return to_kernel_p.bind(x, y, window=tuple(window), **geometry_of(strides, pads, dilation))


# On other platforms


def convolve_by_xla(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads, dilation: Pair) -> jax.Array:
  """`convolve` by XLA, whose CPU convolution reads beyond x where it shall crop and pad at once."""
  x = lax.pad(
    x, jnp.zeros((), x.dtype), [(0, 0, 0), *((min(low, 0), min(high, 0), 0) for low, high in pads), (0, 0, 0)]
  )
  pads, dims = [(max(low, 0), max(high, 0)) for low, high in pads], ('NHWC', 'HWIO', 'NHWC')
  return lax.conv_general_dilated(x, kernel, strides, pads, rhs_dilation=dilation, dimension_numbers=dims)


def transpose_in_x(form: Callable) -> Callable:
  """`to_input` as the transpose of a form of `convolve`."""

  def function(y, kernel, size, **geometry):
    x = jax.ShapeDtypeStruct((y.shape[0], *size, kernel.shape[2]), y.dtype)
    return jax.linear_transpose(lambda x: form(x, kernel, **geometry), x)(y)[0]

  return function


def transpose_in_kernel(form: Callable) -> Callable:
  """`to_kernel` as the transpose of a form of `convolve`."""

  def function(x, y, window, **geometry):
    kernel = jax.ShapeDtypeStruct((*window, x.shape[3], y.shape[3]), x.dtype)
    return jax.linear_transpose(lambda kernel: form(x, kernel, **geometry), kernel)(y)[0]

  return function


# On a CPU


def is_product_faster(channels: int, features: int, window: Sequence[int], strides: Pair, dtype: Any) -> bool:
  """Whether a matrix product is faster than XLA's convolution on a CPU."""
  one_tap = all(k <= s for k, s in zip(window, strides, strict=True))
  return one_tap or min(channels, features) < THIN or dtype != jnp.float32


def convolve_on_cpu(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads, dilation: Pair) -> jax.Array:
  """XLA's convolution, or a product."""
  size = output_size(x.shape[1:3], kernel.shape[:2], strides, pads, dilation)
  product = math.prod(size) <= TINY or is_product_faster(*kernel.shape[2:], kernel.shape[:2], strides, x.dtype)
  return (convolve_by_product if product else convolve_by_xla)(x, kernel, strides, pads, dilation)


def to_input_on_cpu(
  y: jax.Array, kernel: jax.Array, size: Pair, strides: Pair, pads: Pads, dilation: Pair
) -> jax.Array:
  """Blocks of s x s pixels of x are channels of a convolution of stride 1, so that no zeros are put into y."""
  few = y.shape[1] * y.shape[2] <= (FEW if max(strides) > 1 else TINY)
  if few or is_product_faster(*kernel.shape[2:], kernel.shape[:2], strides, y.dtype):
    return transpose_in_x(convolve_by_product)(y, kernel, size, strides=strides, pads=pads, dilation=dilation)
  if max(strides) == 1:  # a convolution as large as x, without a pixel to crop
    reach = zip(window_spans(kernel.shape[:2], dilation), size, y.shape[1:3], pads, strict=True)
    pads = [(r - 1 - p[0], n - m + p[0]) for r, n, m, p in reach]
    return convolve_by_xla(y, jnp.flip(kernel, (0, 1)).swapaxes(2, 3), (1, 1), pads, dilation)
  if max(dilation) > 1:  # rare: the taps fall anywhere in the blocks
    kernel, dilation = dilate_kernel(kernel, dilation), (1, 1)
  channels = kernel.shape[2]
  taps = [-(-k // s) for k, s in zip(kernel.shape[:2], strides, strict=True)]
  kernel = split_kernel_into_blocks(kernel, taps, strides)
  around = [((t - 1) * d, (t - 1) * d) for t, d in zip(taps, dilation, strict=True)]
  x = convolve_by_xla(y, jnp.flip(kernel, (0, 1)).swapaxes(2, 3), (1, 1), around, dilation)
  batch, *blocks, _ = x.shape
  x = x.reshape(batch, *blocks, *strides, channels).swapaxes(2, 3)
  x = x.reshape(batch, *(m * s for m, s in zip(blocks, strides, strict=True)), channels)
  margins = [(-p[0], n + p[0] - m, 0) for n, p, m in zip(size, pads, x.shape[1:3], strict=True)]
  return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *margins, (0, 0, 0)])


def to_kernel_on_cpu(x: jax.Array, y: jax.Array, window: Pair, strides: Pair, pads: Pads, dilation: Pair) -> jax.Array:
  """The images of a batch are the channels of a convolution with y, in which stride and dilation change places."""
  slow = y.shape[1] * y.shape[2] > MANY or x.shape[0] < THIN
  if slow or is_product_faster(x.shape[3], y.shape[3], window, strides, x.dtype):
    form = transpose_in_kernel(convolve_by_product)
    return form(x, y, window, strides=strides, pads=pads, dilation=dilation)
  reach = zip(window_spans(window, dilation), window_spans(y.shape[1:3], strides), x.shape[1:3], pads, strict=True)
  pads = [(p[0], k + m - 1 - n - p[0]) for k, m, n, p in reach]
  kernel = convolve_by_xla(x.transpose(3, 1, 2, 0), y.transpose(1, 2, 0, 3), dilation, pads, strides)
  return kernel.transpose(1, 2, 0, 3)


def dilate_kernel(kernel: jax.Array, dilation: Pair) -> jax.Array:
  """The kernel with d - 1 zeros between its taps."""
  return lax.pad(kernel, jnp.zeros((), kernel.dtype), [(0, 0, d - 1) for d in dilation] + [(0, 0, 0)] * 2)


def split_kernel_into_blocks(kernel: jax.Array, taps: Sequence[int], block: Sequence[int]) -> jax.Array:
  """[taps, taps, block block C, F] of [kh,kw,C,F]: for blocks of pixels as channels, zeros after the last tap."""
  *window, _, features = kernel.shape
  margins = [(0, t * b - k) for t, b, k in zip(taps, block, window, strict=True)]
  kernel = jnp.pad(kernel, [*margins, (0, 0), (0, 0)])
  kernel = kernel.reshape(taps[0], block[0], taps[1], block[1], -1, features).swapaxes(1, 2)
  return kernel.reshape(*taps, -1, features)


def convolve_by_product(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads, dilation: Pair) -> jax.Array:
  """`convolve` by one matrix product.

  Blocks of s x s pixels become channels, which leaves a convolution of stride 1 with ceil(k / s)^2 taps. Along each
  axis the taps are either gathered before the product (im2col) or added after it (col2im).
  """
  if max(strides) > 1 and max(dilation) > 1:  # rare: the taps fall anywhere in the blocks
    kernel, dilation = dilate_kernel(kernel, dilation), (1, 1)
  batch, *size, channels = x.shape
  *window, _, features = kernel.shape
  taps = [-(-k // s) for k, s in zip(window, strides, strict=True)]
  seen = [min(k, s) for k, s in zip(window, strides, strict=True)]  # pixels of a block that the kernel sees
  outputs = output_size(size, window, strides, pads, dilation)
  blocks = [n + (t - 1) * d for n, t, d in zip(outputs, taps, dilation, strict=True)]

  margins = [(p[0], m * s - n - p[0], 0) for n, p, m, s in zip(size, pads, blocks, strides, strict=True)]
  x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *margins, (0, 0, 0)])
  x = x.reshape(batch, blocks[0], strides[0], blocks[1], strides[1], channels)[:, :, : seen[0], :, : seen[1]]
  x = x.swapaxes(2, 3).reshape(batch, *blocks, seen[0] * seen[1] * channels)
  kernel = split_kernel_into_blocks(kernel, taps, seen)

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

  def shift(x: jax.Array, axis: int, tap: int) -> jax.Array:
    start = tap * dilation[axis]
    return lax.slice_in_dim(x, start, start + outputs[axis], axis=axis + 1)

  for axis in reversed(gathered):
    x = jnp.concatenate([shift(x, axis, i) for i in range(taps[axis])], axis=-1)
  # with two axes only, as XLA copies the operands of the gradients of products with more
  *images, depth = x.shape
  kernel = kernel.transpose(*gathered, 2, *added, 3).reshape(depth, -1)
  y = (x.reshape(math.prod(images), depth) @ kernel).reshape(*images, kernel.shape[1])
  for axis in added:
    y = sum(shift(part, axis, i) for i, part in enumerate(jnp.split(y, taps[axis], axis=-1)))
  return y


# What JAX has to know of the three


def bilinear(
  name: str, shape: Callable, form: Callable, on_cpu: Callable, left: Callable, right: Callable
) -> Primitive:
  """A function of two arrays that is linear in each.

  `shape(left shape, right shape, **geometry)` of its value; `form` and `on_cpu` compute it; `left(ct, left, right)` and
  `right(ct, left, right)` are its transposes, in which the operand transposed for has no value, but a shape.
  """
  primitive = Primitive(name)

  def compute(a, b, **geometry):
    forms = {'cpu': on_cpu, 'default': form}
    return lax.platform_dependent(a, b, **{p: functools.partial(f, **geometry) for p, f in forms.items()})

  primitive.def_impl(jax.jit(compute, static_argnames=('strides', 'pads', 'dilation', 'size', 'window')))
  primitive.def_abstract_eval(
    lambda a, b, **geometry: jax.core.ShapedArray(shape(a.shape, b.shape, **geometry), a.dtype)
  )
  mlir.register_lowering(primitive, mlir.lower_fun(compute, multiple_results=False))
  ad.defbilinear(primitive, left, right)

  def of_batches(operands, axes, **geometry):
    if axes[1] is None and primitive is not to_kernel_p:  # one kernel for all: more images
      x = jnp.moveaxis(operands[0], axes[0], 0)
      y = primitive.bind(x.reshape(-1, *x.shape[2:]), operands[1], **geometry)
      return y.reshape(*x.shape[:2], *y.shape[1:]), 0
    return jax.vmap(functools.partial(form, **geometry), axes)(*operands), 0

  batching.primitive_batchers[primitive] = of_batches
  return primitive


convolve_p = bilinear(
  'convolve',
  lambda x, kernel, **geometry: (x[0], *output_size(x[1:3], kernel[:2], **geometry), kernel[3]),
  convolve_by_xla,
  convolve_on_cpu,
  lambda ct, x, kernel, **geometry: to_input(ct, kernel, x.aval.shape[1:3], **geometry),
  lambda ct, x, kernel, **geometry: to_kernel(x, ct, kernel.aval.shape[:2], **geometry),
)
to_input_p = bilinear(
  'to_input',
  lambda y, kernel, size, **geometry: (y[0], *size, kernel[2]),
  transpose_in_x(convolve_by_xla),
  to_input_on_cpu,
  lambda ct, y, kernel, size, **geometry: convolve(ct, kernel, **geometry),
  lambda ct, y, kernel, size, **geometry: to_kernel(ct, y, kernel.aval.shape[:2], **geometry),
)
to_kernel_p = bilinear(
  'to_kernel',
  lambda x, y, window, **geometry: (*window, x[3], y[3]),
  transpose_in_kernel(convolve_by_xla),
  to_kernel_on_cpu,
  lambda ct, x, y, window, **geometry: to_input(y, ct, x.aval.shape[1:3], **geometry),
  lambda ct, x, y, window, **geometry: convolve(x, ct, **geometry),
)
