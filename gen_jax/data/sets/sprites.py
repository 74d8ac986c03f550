"""dSprites (Matthey et al., 2017), drawn from its factors inside the compiled step, not read from a file.

The 737,280 images are the Cartesian product of the factors below, last fastest, in the order of the published
file (whose first latent, color, has one value and is left out). A row is five bytes; `finish` draws it.
"""

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gen_jax import randomness
from gen_jax.data.dataset import Dataset
from gen_jax.data.sets import grid_of_factors
from gen_jax.randomness import row_keys

FACTOR_NAMES = ('shape', 'scale', 'orientation', 'x', 'y')
FACTOR_SIZES = (3, 6, 40, 32, 32)  # shape: 0 square, 1 ellipse, 2 heart
NUM_IMAGES = 737_280  # the product of the sizes

# Geometry in pixels at scale 1. A published image is the set of pixel centers inside a turned and scaled
# outline, without smoothing. Turned back, pixels of 160 images became points inside or outside an outline,
# and these constants leave 16 on the wrong side: 152 images exact, worst intersection over union .989.
SQUARE = 9.6  # half side
ELLIPSE = (12.768, 7.218)  # semi-axes
# x = a sin^3 t, y = offset - b (13 cos t - 5 cos 2t - 2 cos 3t - cos 4t), y pointing down
HEART_A, HEART_B, HEART_OFFSET = 9.595, 0.6622, -1.436


def factors_of(index: np.ndarray) -> np.ndarray:
  """Rows of the published order, int [...] in [0, 737280) -> factors int32 [..., 5]. ValueError outside."""
  return np.stack(np.unravel_index(index, FACTOR_SIZES), -1).astype(np.int32)


def index_of(factors: np.ndarray) -> np.ndarray:
  """The inverse: factors int [..., 5] -> rows int32 [...]. ValueError outside the sizes."""
  return np.asarray(np.ravel_multi_index(tuple(np.moveaxis(factors, -1, 0)), FACTOR_SIZES), np.int32)


def render(factors: jax.Array) -> jax.Array:
  """Factors int32 [B,5] -> images uint8 [B,64,64,1] in {0, 1}.

  Scale is .5 to 1 in 5 steps; orientation is 0 to 2 pi in 39 steps (so 39 looks like 0), counter-clockwise on
  the screen; x (to the right) and y (down) move the sprite's center from pixel 15.5 to 47.5 in 31 steps.
  """
  shape, scale, orientation, x, y = jnp.moveaxis(factors, -1, 0)[..., None, None]  # [B,1,1] each
  pixel = jnp.arange(64, dtype=jnp.float32)
  dx = pixel[None, None, :] - (15.5 + 32 / 31 * x)  # [B,1,64]
  dy = pixel[None, :, None] - (15.5 + 32 / 31 * y)  # [B,64,1]
  angle, size = 2 * np.pi / 39 * orientation, 0.5 + 0.1 * scale
  cos, sin = jnp.cos(angle) / size, jnp.sin(angle) / size
  u, v = cos * dx - sin * dy, sin * dx + cos * dy  # pixel centers in the upright sprite's frame, [B,64,64]

  square = jnp.maximum(jnp.abs(u), jnp.abs(v)) <= SQUARE
  ellipse = (u / ELLIPSE[0]) ** 2 + (v / ELLIPSE[1]) ** 2 <= 1
  # With w = cos^2 t = 1 - |u/a|^(2/3), the two heights at u are h = 4 - 2w - 8w^2 +- sqrt(w) (19 - 8w);
  # beyond the sides w < 0. The logarithm, where jnp.cbrt and ** would take 5 to 14 times as long on a CPU.
  w = 1 - jnp.exp(jnp.log((u / HEART_A) ** 2) / 3)
  h = (HEART_OFFSET - v) / HEART_B
  heart = (h - 4 + 2 * w + 8 * w**2) ** 2 <= w * (19 - 8 * w) ** 2

  inside = jnp.where(shape == 0, square, jnp.where(shape == 1, ellipse, heart))
  return inside[..., None].astype(jnp.uint8)


def color_sprite(inside: jax.Array, key: jax.Array) -> jax.Array:
  """The sprite in a color, each channel uniform in [1/2, 1], on black."""
  return inside * jax.random.uniform(key, (1, 1, 3), minval=0.5)


def add_noise(inside: jax.Array, key: jax.Array) -> jax.Array:
  """The white sprite on noise, uniform in [0, 1] for each pixel and channel."""
  return jnp.maximum(inside, jax.random.uniform(key, (64, 64, 3)))


def scramble_pixels(inside: jax.Array, key: jax.Array) -> jax.Array:
  """The pixels in one order for all images, so that neighbors tell a convolution nothing."""
  order = np.random.default_rng(0).permutation(64 * 64)
  return inside.reshape(-1, 1)[order].reshape(64, 64, 1)


VARIANTS = {  # name: (gray levels, drawing of one image from its sprite, float [64,64,1] in {0, 1})
  'sprites': (2, lambda inside, key: inside),
  'sprites_coloured': (256, color_sprite),  # as Color- and Noisy-dSprites of Locatello et al. (2019)
  'sprites_noisy': (256, add_noise),
  'sprites_scrambled': (2, scramble_pixels),
}


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` names one of VARIANTS."""
  return data.name in VARIANTS


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split of the variant that the section names."""
  return load(split, data.name)


def load(split: str, variant: str = 'sprites') -> Dataset:
  """A split of dSprites or one of its VARIANTS: arrays {'factors': uint8 [N,5]}, drawn by `finish`.

  Colors and noise are those of the combination of factors, always the same.
  """
  levels, draw = VARIANTS[variant]

  def render_variant(factors: jax.Array) -> jax.Array:
    place = jnp.ravel_multi_index(tuple(factors.T), FACTOR_SIZES, mode='clip')
    images = jax.vmap(draw)(render(factors).astype(jnp.float32), row_keys(randomness.key(0), place))
    return jnp.round(images * (levels - 1)).astype(jnp.uint8)

  renderer = render if variant == 'sprites' else render_variant
  return grid_of_factors.load(split, FACTOR_NAMES, FACTOR_SIZES, renderer, levels)
