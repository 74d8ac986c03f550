"""The order of training: a pseudo-random permutation of the data set for each epoch, evaluated at any point.

Batch k is a pure function of (seed, k), no shuffled array is stored, every epoch visits every example once,
and the compiled loop and the host's stream see the same rows.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

ROUNDS = 16  # with 12, the orders of six examples are not yet equally frequent
GOLDEN = 0x9E3779B9  # 2^32 divided by the golden ratio
MAX_SIZE = 2**30  # 3 * size must fit uint32 in `position`


def rows(seed: jax.Array | int, batch: jax.Array | int, row: jax.Array, batch_size: int, size: int) -> jax.Array:
  """Which examples, int32 [B] in [0, size), stand at the rows `row` [B] in [0, batch_size) of batch `batch`.

  The running count of examples p = batch * batch_size + row lies in epoch p // size, at p % size of that
  epoch's permutation. `batch` counts updates (step * updates + update) up to 2^32; p may be larger. A shard
  passes its own rows only. The seed lies in [0, 2^32); traced or not, it gives the same rows.
  """
  epoch, offset = position(batch, batch_size, size)
  offset = offset + jnp.asarray(row, jnp.uint32)
  return permute(seed, epoch + offset // size, offset % size, size)


def own_rows(
  seed: jax.Array | int, place: int, batch: jax.Array | int, row: jax.Array, batch_size: int, size: int
) -> jax.Array:
  """`rows` of a feature that stands in an order of its own; `place` is its number among those that do.

  Its seed is mix(seed ^ mix(place + 1)): a bijection of the seed for each place, and for each seed another one at each
  place, so that features of equally many examples do not move in step.
  """
  own_seed = mix(jnp.asarray(seed, jnp.uint32) ^ mix(jnp.uint32(place + 1)))
  return rows(own_seed, batch, row, batch_size, size)


def shuffled_rows(
  seed: jax.Array | int, state: Any, batch: jax.Array | int, row: jax.Array, batch_size: int, size: int
) -> jax.Array:
  """`rows`, whatever the state of training: the order of a data set that says nothing else (`Dataset.rows`)."""
  del state
  return rows(seed, batch, row, batch_size, size)


def position(count: jax.Array | int, stride: int, size: int) -> tuple[jax.Array, jax.Array]:
  """divmod(count * stride, size), uint32 []: by Horner's rule on count's bits, as the product may not fit."""
  if not 0 < size <= MAX_SIZE:
    raise ValueError(f'a data set has between 1 and {MAX_SIZE} examples, not {size}')
  count = jnp.asarray(count, jnp.uint32)
  quotient, remainder = (jnp.uint32(x) for x in divmod(stride, size))

  def digit(i, carry):
    epoch, offset = carry
    bit = (count >> (31 - i).astype(jnp.uint32)) & 1
    offset = 2 * offset + bit * remainder  # < 3 * size
    return 2 * epoch + bit * quotient + offset // size, offset % size

  return jax.lax.fori_loop(0, 32, digit, (jnp.uint32(0), jnp.uint32(0)))


def permute(seed: jax.Array | int, epoch: jax.Array, offset: jax.Array, size: int) -> jax.Array:
  """The epoch's permutation of range(size) at `offset` [B] (uint32, < size), int32 [B].

  A generalized Feistel network on pairs (l, r) of Z_a x Z_b, nearly square with a * b >= size, is a bijection
  of range(a * b); applying it again wherever the value is still >= size (cycle walking) makes it one of
  range(size) (Black and Rogaway, 2002). Fewer than a of the a * b values lie outside, so walks are rare.
  """
  a = math.isqrt(size - 1) + 1
  b = -(-size // a)
  seed = jnp.asarray(seed, jnp.uint32)
  key = mix(mix(seed + jnp.uint32(GOLDEN)) ^ jnp.asarray(epoch, jnp.uint32))
  keys = [mix(key + jnp.uint32(GOLDEN * (i + 1) % 2**32)) for i in range(ROUNDS)]

  def network(x):
    l, r = x // b, x % b
    for left, right in zip(keys[::2], keys[1::2], strict=True):
      l = (l + mix(r ^ left) % a) % a
      r = (r + mix(l ^ right) % b) % b
    return l * b + r

  def walk(carry):
    x, outside = carry
    x = jnp.where(outside, network(x), x)
    return x, x >= size

  x = jnp.asarray(offset, jnp.uint32)
  x, _ = jax.lax.while_loop(lambda carry: carry[1].any(), walk, (x, x >= 0))  # all take a first step
  return x.astype(jnp.int32)


@jax.jit  # which programs hold forty times over: traced once for each shape
def mix(x: jax.Array) -> jax.Array:
  """MurmurHash3's 32-bit finalizer (Appleby, 2011), a bijection of uint32."""
  x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
  x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
  return x ^ (x >> 16)
