"""Differentiable augmentations, which the discriminator sees real and fake images through (Zhao et al., 2020).

Each is a function of one image [H,W,C] in [-1, 1] and a key, so that `vmap` batches it.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from gen_jax.randomness import row_keys


def brightness(image: jax.Array, key: jax.Array) -> jax.Array:
  """x + u, u ~ U(-1/2, 1/2)."""
  return image + jax.random.uniform(key, (), minval=-0.5, maxval=0.5)


def saturation(image: jax.Array, key: jax.Array) -> jax.Array:
  """Distances of the channels from their mean, times u ~ U(0, 2); gray images stay as they are."""
  mean = image.mean(-1, keepdims=True)
  return mean + (image - mean) * jax.random.uniform(key, (), minval=0.0, maxval=2.0)


def contrast(image: jax.Array, key: jax.Array) -> jax.Array:
  """Distances from the image's mean, times u ~ U(1/2, 3/2)."""
  mean = image.mean()
  return mean + (image - mean) * jax.random.uniform(key, (), minval=0.5, maxval=1.5)


def translation(image: jax.Array, key: jax.Array) -> jax.Array:
  """Moved by up to an eighth of each side; zeros come in."""
  height, width, _ = image.shape
  reach = jnp.array([int(height / 8 + 0.5), int(width / 8 + 0.5)])
  y, x = jax.random.randint(key, (2,), -reach, reach + 1)
  rows, columns = jnp.arange(height) + y, jnp.arange(width) + x
  # 'fill' knows negative indices as places from the end, so they are sent beyond it
  rows, columns = jnp.where(rows < 0, height, rows), jnp.where(columns < 0, width, columns)
  moved = jnp.take(image, rows, axis=0, mode='fill', fill_value=0.0)
  return jnp.take(moved, columns, axis=1, mode='fill', fill_value=0.0)


def cutout(image: jax.Array, key: jax.Array) -> jax.Array:
  """A square of half the side, anywhere, also partly outside, is zero."""
  height, width, _ = image.shape
  y, x = jax.random.randint(key, (2,), 0, jnp.array([height, width]) + 1)
  out = (jnp.abs(jnp.arange(height) + 0.5 - y) < height / 4)[:, None] & (
    jnp.abs(jnp.arange(width) + 0.5 - x) < width / 4
  )[None, :]
  return jnp.where(out[..., None], 0.0, image)


AUGMENTATIONS = {
  'brightness': brightness,
  'saturation': saturation,
  'contrast': contrast,
  'translation': translation,
  'cutout': cutout,
}


def augment(images: jax.Array, names: Sequence[str], key: jax.Array, rows: jax.Array) -> jax.Array:
  """The named ones in turn, with noise of each global row: [B,H,W,C] -> the same shape."""
  for i, name in enumerate(names):
    images = jax.vmap(AUGMENTATIONS[name])(images, row_keys(jax.random.fold_in(key, i), rows))
  return images
