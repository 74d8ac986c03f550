"""Random keys, and noise that does not depend on how a batch is split over devices."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl, threefry_prng_impl

Words = tuple[jax.Array, jax.Array]  # two uint32 arrays of one shape
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


@jax.jit  # traced once for all draws of one shape
def threefry(key: jax.Array, x: Words) -> Words:
  """Threefry-2x32 with 20 rounds: counters x -> random words; key uint32 [2] (Salmon et al., 2011).

  JAX's own runs the rounds as a loop when on a CPU, at every turn of which all words go through memory.
  """
  a, b = x
  keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
  a, b = a + keys[0], b + keys[1]
  for i in range(1, 6):
    for rotation in ROTATIONS[(i - 1) % 2]:
      a = a + b
      b = (b << rotation | b >> (32 - rotation)) ^ a
    a, b = a + keys[i % 3], b + keys[(i + 1) % 3] + jnp.uint32(i)
  return a, b


def _hash(key: jax.Array, shape: Sequence[int]) -> Words:
  """Two words for each place of an array of fewer than 2^32."""
  if math.prod(shape) >= 2**32:
    raise ValueError(f'an array of shape {shape} has more places than there are counters')
  count = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
  return threefry(key, (jnp.zeros_like(count), count))


def _random_bits(key: jax.Array, width: int, shape: Sequence[int]) -> jax.Array:
  a, b = _hash(key, shape)
  if width == 64:
    return a.astype(jnp.uint64) << 32 | b.astype(jnp.uint64)
  return (a ^ b).astype(f'uint{width}')


THREEFRY = define_prng_impl(
  key_shape=(2,),
  seed=threefry_prng_impl.seed,
  split=lambda key, shape: jnp.stack(_hash(key, shape), axis=-1),
  random_bits=_random_bits,
  fold_in=lambda key, data: jnp.stack(threefry(key, tuple(threefry_prng_impl.seed(data.astype(jnp.uint32))))),
  name='threefry',
  tag='fry',
)


def key(seed: jax.Array | int) -> jax.Array:
  """A key with the words of `jax.random.key(seed, impl='threefry2x32')` in all that is drawn from it.

  A seed in [0, 2^32) gives the same key as a Python int and as a traced uint32.
  """
  return jax.random.key(seed, impl=THREEFRY)


def row_keys(key: jax.Array, rows: jax.Array) -> jax.Array:
  """One key for each global row: [B] keys from `key` and int32 `rows` [B]."""
  return jax.vmap(jax.random.fold_in, (None, 0))(key, rows)
