"""Random keys against known answers and JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax import randomness

OURS, JAX = randomness.key(7), jax.random.key(7, impl='threefry2x32')


# of Random123's kat_vectors, "threefry2x32 20": counter, key, words
@pytest.mark.parametrize(
  ('counter', 'key', 'words'),
  [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
  ],
)
def test_threefry_gives_the_known_answers(counter, key, words):
  result = randomness.threefry(jnp.array(key, jnp.uint32), tuple(jnp.array(counter, jnp.uint32)))
  assert tuple(map(int, result)) == words


@pytest.mark.parametrize('dtype', [jnp.uint8, jnp.uint16, jnp.uint32])
@pytest.mark.parametrize('shape', [(), (5,), (3, 4, 2), (0, 3)])
def test_bits_are_those_of_jax(shape, dtype):
  np.testing.assert_array_equal(jax.random.bits(OURS, shape, dtype), jax.random.bits(JAX, shape, dtype))


def test_64_bits_are_those_of_jax():
  with jax.enable_x64(True):
    np.testing.assert_array_equal(jax.random.bits(OURS, (9,), jnp.uint64), jax.random.bits(JAX, (9,), jnp.uint64))


def test_keys_made_of_keys_are_those_of_jax():
  def derived(key):
    rows = randomness.row_keys(jax.random.fold_in(key, 2**32 - 1), jnp.arange(6))
    return jax.random.key_data(jax.vmap(lambda row: jax.random.split(row, (2, 3)))(rows))

  np.testing.assert_array_equal(derived(OURS), derived(JAX))


@pytest.mark.parametrize('seed', [0, 1, 2**31, 2**32 - 1])
def test_a_traced_seed_gives_the_key_of_the_number(seed):
  words = lambda seed: jax.random.key_data(randomness.key(seed))
  np.testing.assert_array_equal(words(seed), [0, seed])
  np.testing.assert_array_equal(jax.jit(words)(np.uint32(seed)), [0, seed])
  np.testing.assert_array_equal(jax.vmap(words)(np.array([7, seed], np.uint32)), [[0, 7], [0, seed]])


@pytest.mark.parametrize('seed', [0, 1, -1, 2**31 - 1])
def test_a_seed_gives_the_noise_of_jax(seed):
  rows = jnp.arange(4)
  ours, theirs = (
    jax.vmap(jax.random.normal, (0, None))(randomness.row_keys(key, rows), (3, 5))
    for key in (randomness.key(seed), jax.random.key(seed, impl='threefry2x32'))
  )
  np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_every_row_has_a_key_of_its_own_wherever_it_stands():
  rows = jnp.array([5, 0, 3])
  keys = randomness.row_keys(OURS, rows)
  for key, row in zip(keys, rows, strict=True):
    assert key == jax.random.fold_in(OURS, row)
  assert len({tuple(words.tolist()) for words in jax.random.key_data(keys)}) == 3
