"""The pool of images: fills first, then gives half of them back; the same on any number of devices."""

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.models.image_pool import ImagePool, exchange

KEY = jax.random.key(1)


def numbered(first, number):
  """Images [n,1,1,1] whose value is their number."""
  return np.arange(first, first + number, dtype=np.float32).reshape(-1, 1, 1, 1)


def run(module, calls, devices=1, batch=4):
  """(what the pool gives at each call [calls,B], the pool after them) of images 1, 2, ... on so many devices."""
  shape = numbered(0, batch // devices)
  rows = np.arange(batch, dtype=np.int32)
  pool = module.init(KEY, shape, rows[: len(shape)], KEY)['pool']
  call_once = lambda pool, x, rows, key: module.apply({'pool': pool}, x, rows, key, mutable=['pool'])
  step = jax.jit(jax.vmap(call_once, (None, 0, 0, None), axis_name='batch'))
  given = []
  for call in range(calls):
    split = lambda x: x.reshape(devices, -1, *x.shape[1:])
    images, changed = step(pool, split(numbered(1 + call * batch, batch)), split(rows), jax.random.fold_in(KEY, call))
    for leaf in jax.tree.leaves(changed):  # equal on every device
      np.testing.assert_array_equal(leaf, np.broadcast_to(np.asarray(leaf)[:1], leaf.shape))
    pool = jax.tree.map(lambda x: np.asarray(x)[0], changed['pool'])
    given.append(np.asarray(images).ravel())
  return np.stack(given), pool


def test_it_fills_first_and_then_gives_half_of_them_back():
  given, pool = run(ImagePool(10), 500)
  given = given.ravel()
  np.testing.assert_array_equal(given[:10], np.arange(1, 11))
  assert pool['number'] == 10
  new = given[10:] == np.arange(11, 2001)
  assert abs(new.mean() - 0.5) < 4 * (0.25 / new.size) ** 0.5
  # whatever was not given at once is there, or was given once later
  swapped_in = np.setdiff1d(np.arange(11, 2001), given[10:][new])
  old = given[10:][~new]
  assert len(np.unique(old)) == len(old)
  assert set(old) | set(pool['images'].ravel()) == set(range(1, 11)) | set(swapped_in)


def test_the_places_that_are_taken_are_uniform():
  images, keys = jnp.asarray(numbered(0, 5)), jax.random.split(KEY, 4000)
  (kept, number), given = jax.vmap(lambda key: exchange((images, np.int32(5)), numbered(9, 1)[0], key))(keys)
  places = np.asarray(given).ravel()
  counts = np.array([(places == i).sum() for i in range(5)])
  assert counts.sum() + (places == 9).sum() == 4000
  np.testing.assert_allclose(counts, 400, atol=4 * (4000 * 0.1 * 0.9) ** 0.5)
  assert (np.asarray(number) == 5).all()
  assert ((np.asarray(kept) == 9).sum((1, 2, 3, 4)) == (places != 9)).all()


def test_devices_share_one_pool():
  alone, pool = run(ImagePool(3), 6, batch=8)
  together, same = run(ImagePool(3), 6, devices=4, batch=8)
  np.testing.assert_array_equal(together, alone)
  np.testing.assert_array_equal(same['images'], pool['images'])


def test_without_a_pool_images_pass_through():
  x = numbered(1, 4)
  assert not ImagePool(0).init(KEY, x, np.arange(4), KEY)
  np.testing.assert_array_equal(ImagePool(0).apply({}, x, np.arange(4), KEY), x)
