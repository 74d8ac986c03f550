"""A solid in a colored room, ray cast from its factors inside the compiled step; the factors of 3D Shapes.

The 480,000 images are the Cartesian product of the factors below, last fastest, as in Burgess & Kim (2018), whose
pictures these are not: there is one light, and no shadow.
"""

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gen_jax.data.dataset import Dataset
from gen_jax.data.sets import grid_of_factors

FACTOR_NAMES = ('floor_hue', 'wall_hue', 'object_hue', 'scale', 'shape', 'orientation')
FACTOR_SIZES = (10, 10, 10, 8, 4, 15)  # shape: 0 cube, 1 cylinder, 2 sphere, 3 capsule
NUM_IMAGES = 480_000  # the product of the sizes
SIZE = 64  # pixels of a side

# The room is |x|, |z| <= ROOM over the floor y = 0; the solid stands in its middle. It turns with what is in it.
ROOM, WALL = 4.0, 3.0
EYE, LOOK = np.array((0.0, 2.6, -5.2)), np.array((0.0, 1.1, 0.0))
FIELD = 0.48  # tangent of half the angle of view
LIGHT = np.array((-0.45, 0.75, -0.5)) / np.linalg.norm((-0.45, 0.75, -0.5))  # the direction towards it
SKY = (0.75, 0.85, 0.95)
FAR = 1e6  # where a ray meets nothing

Hit = tuple[jax.Array, jax.Array]  # the distance at which a ray first meets a surface, [], and the normal there, [3]


def hue(h: jax.Array) -> jax.Array:
  """RGB [3] of full saturation and value, of a hue in [0, 1)."""
  return jnp.clip(jnp.abs((6 * h + jnp.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)


def rays() -> np.ndarray:
  """Unit directions from EYE through the pixels, [SIZE,SIZE,3], the first row on top."""
  forward = (LOOK - EYE) / np.linalg.norm(LOOK - EYE)
  right = np.cross((0.0, 1.0, 0.0), forward)
  right /= np.linalg.norm(right)
  up = np.cross(forward, right)
  at = FIELD * (2 * (np.arange(SIZE) + 0.5) / SIZE - 1)
  directions = forward + at[None, :, None] * right - at[:, None, None] * up
  return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def upwards(height: jax.Array | float) -> jax.Array:
  """(0, height, 0)."""
  return height * jnp.array([0.0, 1.0, 0.0])


def ball(origin: jax.Array, ray: jax.Array, center: jax.Array, radius: jax.Array) -> Hit:
  """Where a ray first meets a sphere."""
  to = origin - center
  b = ray @ to
  root = b**2 - to @ to + radius**2
  t = -b - jnp.sqrt(jnp.maximum(root, 0))
  return jnp.where((root > 0) & (t > 0), t, FAR), (to + t * ray) / radius


def tube(origin: jax.Array, ray: jax.Array, radius: jax.Array, low: jax.Array, high: jax.Array) -> Hit:
  """Where a ray first meets an upright cylinder about the axis x = z = 0, with its lid, between two heights."""
  flat = jnp.array([1.0, 0.0, 1.0])
  o, d = origin * flat, ray * flat
  root = (o @ d) ** 2 - d @ d * (o @ o - radius**2)
  side = (-o @ d - jnp.sqrt(jnp.maximum(root, 0))) / (d @ d)
  y = origin[1] + side * ray[1]
  side = jnp.where((root > 0) & (y >= low) & (y <= high), side, FAR)
  lid = (high - origin[1]) / ray[1]
  at = o + lid * d
  lid = jnp.where((lid > 0) & (at @ at <= radius**2), lid, FAR)
  return jnp.minimum(side, lid), jnp.where(lid < side, upwards(1.0), (o + side * d) / radius)


def cube(origin: jax.Array, ray: jax.Array, half: jax.Array) -> Hit:
  """Where a ray first meets a cube on the floor, `half` its side."""
  to = origin - upwards(half)
  enter, leave = (-jnp.sign(ray) * half - to) / ray, (jnp.sign(ray) * half - to) / ray  # each pair of planes
  t = enter.max()
  return jnp.where((t < leave.min()) & (t > 0), t, FAR), -jnp.sign(ray) * (enter == t)


def capsule(origin: jax.Array, ray: jax.Array, radius: jax.Array, height: jax.Array) -> Hit:
  """Where a ray first meets a cylinder on the floor with half a ball at each end."""
  low, high = radius, height - radius
  parts = [ball(origin, ray, upwards(y), radius) for y in (low, high)] + [tube(origin, ray, radius, low, high)]
  distances, normals = (jnp.stack(x) for x in zip(*parts, strict=True))
  return distances.min(), normals[distances.argmin()]


def solid(origin: jax.Array, ray: jax.Array, shape: jax.Array, size: jax.Array) -> Hit:
  """Where a ray first meets the solid of that shape, half of whose height is `size`, or a little less."""
  every = [
    cube(origin, ray, 0.85 * size),
    tube(origin, ray, 0.85 * size, 0.0, 2 * size),
    ball(origin, ray, upwards(size), size),
    capsule(origin, ray, 0.6 * size, 2 * size),
  ]
  distances, normals = (jnp.stack(x) for x in zip(*every, strict=True))
  return distances[shape], normals[shape]


def pixel(factors: jax.Array, ray: jax.Array) -> jax.Array:
  """RGB [3] in [0, 1] that a ray [3] from EYE sees of factors int32 [6]."""
  floor_hue, wall_hue, object_hue, scale, shape, orientation = factors
  angle = jnp.deg2rad(-30 + 60 / 14 * orientation)
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  turn = jnp.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])  # of the eye, with the light, about the room
  origin, ray, light = turn @ jnp.float32(EYE), turn @ ray, turn @ jnp.float32(LIGHT)
  lit = lambda color, normal: color * (0.45 + 0.55 * jnp.maximum(normal @ light, 0))

  # the room from inside, where the ray leaves it; no wall is as high as the ray goes
  walls = ((jnp.sign(ray) * ROOM - origin) / ray)[jnp.array([0, 2])]
  to_wall = walls.min()
  inward = -jnp.sign(ray) * jnp.array([walls[0] <= walls[1], False, walls[0] > walls[1]])
  wall = jnp.where(origin[1] + to_wall * ray[1] > WALL, jnp.array(SKY), lit(hue(wall_hue / 10), inward))
  to_floor = jnp.where(ray[1] < 0, -origin[1] / ray[1], FAR)
  room = jnp.where(to_floor < to_wall, lit(hue(floor_hue / 10), upwards(1.0)), wall)

  to_solid, normal = solid(origin, ray, shape, 0.75 + 0.5 / 7 * scale)
  return jnp.where(to_solid < FAR, lit(hue(object_hue / 10), normal), room)


def render(factors: jax.Array) -> jax.Array:
  """Factors int32 [B,6] -> images uint8 [B,64,64,3]."""
  every_pixel = jax.vmap(jax.vmap(pixel, (None, 0)), (None, 0))
  images = jax.vmap(every_pixel, (0, None))(factors, jnp.float32(rays()))
  return jnp.round(255 * images).astype(jnp.uint8)


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` names these shapes."""
  return data.name == 'shapes'


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split of the shapes."""
  del data
  return load(split)


def load(split: str) -> Dataset:
  """A split: arrays {'factors': uint8 [N,6]}, drawn by `finish`."""
  return grid_of_factors.load(split, FACTOR_NAMES, FACTOR_SIZES, render, levels=256)
