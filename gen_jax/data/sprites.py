"""dSprites (Matthey et al., 2017), drawn from its factors inside the compiled step, not read from a file.

The 737,280 images are the Cartesian product of the factors below, last fastest, in the order of the published
file (whose first latent, colour, has one value and is left out). A row is five bytes; `finish` draws it.
"""
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.data.dataset import Dataset
from gen_jax.errors import UserError
from gen_jax.types import Batch

FACTOR_NAMES = ('shape', 'scale', 'orientation', 'x', 'y')
FACTOR_SIZES = (3, 6, 40, 32, 32)  # shape: 0 square, 1 ellipse, 2 heart
NUM_IMAGES = 737_280  # the product of the sizes

# Geometry in pixels at scale 1. A published image is the set of pixel centres inside a turned and scaled
# outline, without smoothing. Turned back, pixels of 160 images became points inside or outside an outline,
# and these constants leave 16 on the wrong side: 152 images exact, worst intersection over union .989.
SQUARE = 9.6  # half side
ELLIPSE = (12.768, 7.218)  # semi-axes
# x = a sin^3 t, y = offset - b (13 cos t - 5 cos 2t - 2 cos 3t - cos 4t), y pointing down
HEART_A, HEART_B, HEART_OFFSET = 9.595, .6622, -1.436


def factors_of(index: np.ndarray) -> np.ndarray:
  """Rows of the published order, int [...] in [0, 737280) -> factors int32 [..., 5]. ValueError outside."""
  return np.stack(np.unravel_index(index, FACTOR_SIZES), -1).astype(np.int32)


def index_of(factors: np.ndarray) -> np.ndarray:
  """The inverse: factors int [..., 5] -> rows int32 [...]. ValueError outside the sizes."""
  return np.asarray(np.ravel_multi_index(tuple(np.moveaxis(factors, -1, 0)), FACTOR_SIZES), np.int32)


def render(factors: jax.Array) -> jax.Array:
  """Factors int32 [B,5] -> images uint8 [B,64,64,1] in {0, 1}.

  Scale is .5 to 1 in 5 steps; orientation is 0 to 2 pi in 39 steps (so 39 looks like 0), counter-clockwise on
  the screen; x (to the right) and y (down) move the sprite's centre from pixel 15.5 to 47.5 in 31 steps.
  """
  shape, scale, orientation, x, y = jnp.moveaxis(factors, -1, 0)[..., None, None]  # [B,1,1] each
  pixel = jnp.arange(64, dtype=jnp.float32)
  dx = pixel[None, None, :] - (15.5 + 32 / 31 * x)  # [B,1,64]
  dy = pixel[None, :, None] - (15.5 + 32 / 31 * y)  # [B,64,1]
  angle, size = 2 * np.pi / 39 * orientation, .5 + .1 * scale
  cos, sin = jnp.cos(angle) / size, jnp.sin(angle) / size
  u, v = cos * dx - sin * dy, sin * dx + cos * dy  # pixel centres in the upright sprite's frame, [B,64,64]

  square = jnp.maximum(jnp.abs(u), jnp.abs(v)) <= SQUARE
  ellipse = (u / ELLIPSE[0])**2 + (v / ELLIPSE[1])**2 <= 1
  # With w = cos^2 t = 1 - |u/a|^(2/3), the two heights at u are h = 4 - 2w - 8w^2 +- sqrt(w) (19 - 8w);
  # beyond the sides w < 0. The logarithm, where jnp.cbrt and ** would take 5 to 14 times as long on a CPU.
  w = 1 - jnp.exp(jnp.log((u / HEART_A)**2) / 3)
  h = (HEART_OFFSET - v) / HEART_B
  heart = (h - 4 + 2 * w + 8 * w**2)**2 <= w * (19 - 8 * w)**2

  inside = jnp.where(shape == 0, square, jnp.where(shape == 1, ellipse, heart))
  return inside[..., None].astype(jnp.uint8)


def split_indices(split: str) -> np.ndarray:
  """The rows of 'train' (589,824), 'validation' (73,728) or 'test' (73,728): int64 [N], ascending.

  All rows are ranked by murmur3's fmix32 of their index, a bijection of 32-bit words, so there are no ties:
  the first tenth is the test split, the second tenth the validation split. UserError for any other name.
  """
  tenth = NUM_IMAGES // 10
  ranks = {'test': slice(tenth), 'validation': slice(tenth, 2 * tenth), 'train': slice(2 * tenth, None)}
  if split not in ranks:
    raise UserError(f"dSprites has no split '{split}': use one of {', '.join(ranks)}.")
  h = np.arange(NUM_IMAGES, dtype=np.uint32)
  h = (h ^ h >> 16) * np.uint32(0x85ebca6b)
  h = (h ^ h >> 13) * np.uint32(0xc2b2ae35)
  return np.sort(np.argsort(h ^ h >> 16)[ranks[split]])


def load(split: str) -> Dataset:
  """A split of dSprites: arrays {'factors': uint8 [N,5]}, drawn by `finish`."""
  arrays = {'factors': factors_of(split_indices(split)).astype(np.uint8)}

  def fetch(indices: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[indices] for name, values in arrays.items()}

  def finish(rows: Mapping[str, jax.Array]) -> Batch:
    factors = rows['factors'].astype(jnp.int32)
    return {**rows, 'factors': factors, 'image': render(factors)}

  return Dataset(size=len(arrays['factors']), image_shape=(64, 64, 1), levels=2, num_classes=0,
                 factor_sizes=FACTOR_SIZES, arrays=arrays, fetch=fetch, finish=finish)
