"""A pool of earlier images of a generator, of which a discriminator sees some again (Shrivastava et al., 2017)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.randomness import row_keys

Pool = tuple[jax.Array, jax.Array]  # images [P, ...], and how many of them are there, int32 []


def exchange(pool: Pool, image: jax.Array, key: jax.Array) -> tuple[Pool, jax.Array]:
  """(the pool, what it gives for an image): the image itself, which is kept, until the pool is full.

  Then, with probability 1/2, the image itself, which is not kept; else one of the pool at random, whose place it takes.
  """
  images, number = pool
  size = len(images)
  swap_key, place_key = jax.random.split(key)
  full = number >= size
  swapped = full & jax.random.bernoulli(swap_key)
  place = jnp.where(full, jax.random.randint(place_key, (), 0, size), number)
  given = jnp.where(swapped, images[place], image)
  kept = images.at[place].set(jnp.where(full & ~swapped, images[place], image))
  return (kept, jnp.minimum(number + 1, size)), given


class ImagePool(nn.Module):
  """The last images that came in, `size` of them, in the collection 'pool'; 0: none, and images pass through.

  The images of the global batch come in one after another, in the order of its rows, so that the pool is the same on
  every device.
  """

  size: int = 50

  @nn.compact
  def __call__(self, images: jax.Array, rows: jax.Array, key: jax.Array) -> jax.Array:
    """What the pool gives for images [B,...] at the global rows [B]; `key` is the same on all devices."""
    if self.size == 0:
      return images
    kept = self.variable('pool', 'images', jnp.zeros, (self.size, *images.shape[1:]))
    number = self.variable('pool', 'number', jnp.zeros, (), jnp.int32)
    if self.is_initializing():
      return images
    all_images, all_rows = gather((images, rows))
    order = jnp.argsort(all_rows)
    all_images, all_rows = all_images[order], all_rows[order]
    step = lambda pool, image_and_key: exchange(pool, *image_and_key)
    (kept.value, number.value), given = jax.lax.scan(
      step, (kept.value, number.value), (all_images, row_keys(key, all_rows))
    )
    return given[jnp.searchsorted(all_rows, rows)]


def gather(tree):
  """The leaves [B, ...] of all devices that share a batch, [devices B, ...]."""
  return jax.tree.map(lambda x: jax.lax.all_gather(x, 'batch', tiled=True), tree)
