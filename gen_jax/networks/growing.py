"""Images while networks grow: at the resolution of a stage, and blended while its new layers are faded in.

With `fade` 0 all is as in the stage before, of half the resolution; with 1 nothing of it is left.
"""

import jax
import jax.numpy as jnp


def fade_at(step: jax.Array, start: int, fade_steps: int) -> jax.Array:
  """The weight of what is new, which rises from 0 at `start` to 1 after `fade_steps`, []."""
  return jnp.clip((step - start) / fade_steps, 0.0, 1.0)


def pool_to(images: jax.Array, side: int) -> jax.Array:
  """The means of square patches: [B,H,H,C] -> [B,side,side,C]; side divides H."""
  batch, height, _, channels = images.shape
  each = height // side
  return images.reshape(batch, side, each, side, each, channels).mean((2, 4))


def repeat_to(images: jax.Array, side: int) -> jax.Array:
  """Each pixel repeated: [B,h,h,C] -> [B,side,side,C]; h divides side."""
  times = side // images.shape[1]
  return images.repeat(times, axis=1).repeat(times, axis=2)


def blend(old: jax.Array, new: jax.Array, fade: jax.Array) -> jax.Array:
  """old + fade (new - old)."""
  return old + fade * (new - old)


def see_at(images: jax.Array, side: int, fade: jax.Array | None = None) -> jax.Array:
  """Real images as the discriminator of a stage sees them, [B,side,side,C].

  While a stage is faded in, they lose as much of their detail as the generator's images still lack (Karras et al.,
  2018, appendix A).
  """
  images = pool_to(images, side)
  return images if fade is None else blend(repeat_to(pool_to(images, side // 2), side), images, fade)
