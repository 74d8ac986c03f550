"""A small network that reads label maps off photos, trained on real ones alone: the scale of label-map consistency.

What it finds in translated images stands beside what it finds in real photos of the test split, which is the ceiling.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gen_jax import randomness
from gen_jax.errors import UserError
from gen_jax.networks.layers import Conv, ConvTranspose
from gen_jax.randomness import row_keys

WIDTHS = (32, 64, 128)  # at a half, a quarter and an eighth of the size
EPOCHS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 40, 8, 2e-3, 1e-2
SHIFT = 8  # of the height and of the width, the part by which a crop may be moved
IGNORED = -1  # the class of pixels without one
PART = 100  # images that are predicted at once


class Segmenter(nn.Module):
  """A U-Net (Ronneberger et al., 2015) from half the size on, whose skips are added; group normalization."""

  classes: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,H,W,C] in [-1, 1] -> logits [B,H,W,classes]; H and W are multiples of 8."""
    skips = []
    for width in WIDTHS:
      x = block(Conv(width, 4, strides=2)(x))
      x = block(Conv(width, 3)(x))
      skips.append(x)
    for width, skip in zip(WIDTHS[-2::-1], skips[-2::-1], strict=True):
      x = block(Conv(width, 3)(ConvTranspose(width, 2, strides=2)(x) + skip))
    return ConvTranspose(self.classes, 4, strides=2)(x)


def block(x: jax.Array) -> jax.Array:
  """Normalized in groups of 8 channels, then rectified."""
  return nn.relu(nn.GroupNorm(num_groups=None, group_size=8)(x))


Predict = Callable[[np.ndarray], np.ndarray]  # images uint8 [N,H,W,C] -> classes int32 [N,H,W]


def train_segmenter(
  photos: np.ndarray,
  labels: np.ndarray,
  validation_photos: np.ndarray,
  validation_labels: np.ndarray,
  classes: int,
  seed: int = 0,
  epochs: int = EPOCHS,
) -> Predict:
  """A function from images to label maps, learned from real photos uint8 [N,H,W,C] and their label maps int [N,H,W].

  Cross-entropy by AdamW, its rate falling to 0 along a cosine; flipped and shifted at random, see `augment`. Kept are
  the weights of the epoch with the least cross-entropy on the validation photos. Pixels whose class is none of
  0..classes-1 are ignored. The same arrays and seed give the same function. UserError for maps of another shape than
  their photos, and for a height or width that is no multiple of 8.
  """
  for images, maps in ((photos, labels), (validation_photos, validation_labels)):
    check_shapes(images, maps)
  labels, validation_labels = (without_others(maps, classes) for maps in (labels, validation_labels))
  batch = min(BATCH, len(photos))
  steps = epochs * (len(photos) // batch)
  network, order = Segmenter(classes), np.random.default_rng(seed)
  keys = iter(jax.random.split(randomness.key(seed), steps + 1))
  params = jax.jit(network.init)(next(keys), scale(photos[:1]))['params']
  state, best, least = optimizer_of(steps).init(params), None, np.inf
  for _ in range(epochs):
    for rows in order.permutation(len(photos))[: steps // epochs * batch].reshape(-1, batch):
      params, state = update(network, steps, params, state, photos[rows], labels[rows], next(keys))
    loss = validation_loss(network, params, validation_photos, validation_labels)
    if best is None or loss < least:
      best, least = jax.device_get(params), loss

  def predict(images: np.ndarray) -> np.ndarray:
    check_sides(images)
    return np.concatenate([logits.argmax(-1) for logits in logits_of(network, best, images)]).astype(np.int32)

  return predict


def optimizer_of(steps: int) -> optax.GradientTransformation:
  """AdamW whose rate falls to 0 along a cosine."""
  return optax.adamw(optax.cosine_decay_schedule(LEARNING_RATE, steps), weight_decay=WEIGHT_DECAY)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=(2, 3))
def update(
  network: nn.Module, steps: int, params: Any, state: Any, images: jax.Array, maps: jax.Array, key: jax.Array
) -> tuple[Any, Any]:
  """One of so many steps -> (params, state)."""
  images, maps = augment(key, images, maps)
  gradient = jax.grad(lambda params: cross_entropy(network.apply({'params': params}, scale(images)), maps)[0])(params)
  updates, state = optimizer_of(steps).update(gradient, state, params)
  return optax.apply_updates(params, updates), state


def augment(key: jax.Array, images: jax.Array, maps: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Images [B,H,W,C] and their maps [B,H,W] alike: mirrored with probability 1/2, moved by up to an eighth.

  A crop of the size of the image, from an image that is continued by its border, and a map that is ignored there.
  """
  height, width = images.shape[1:3]
  reach = height // SHIFT, width // SHIFT

  def one(key: jax.Array, image: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One image and its map."""
    flip_key, crop_key = jax.random.split(key)
    mirrored = jax.random.bernoulli(flip_key)
    image, labels = (jnp.where(mirrored, x[:, ::-1], x) for x in (image, labels))
    margins = [(n, n) for n in reach]
    image = jnp.pad(image, [*margins, (0, 0)], mode='edge')
    labels = jnp.pad(labels, margins, constant_values=IGNORED)
    top, left = jax.random.randint(crop_key, (2,), 0, 2 * jnp.array(reach) + 1)
    crop = lambda x: jax.lax.dynamic_slice(x, (top, left, *[0] * (x.ndim - 2)), (height, width, *x.shape[2:]))
    return crop(image), crop(labels)

  return jax.vmap(one)(row_keys(key, jnp.arange(len(images))), images, maps)


def scale(images: jax.Array) -> jax.Array:
  """Gray values 0..255 as [-1, 1]."""
  return jnp.asarray(images, jnp.float32) / 127.5 - 1


def cross_entropy(logits: jax.Array, maps: jax.Array) -> tuple[jax.Array, jax.Array]:
  """The mean -log p(class) over pixels that have a class, and their number."""
  known = maps != IGNORED
  loss = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.where(known, maps, 0))
  return (loss * known).sum() / jnp.maximum(known.sum(), 1), known.sum()


def validation_loss(network: nn.Module, params: Any, photos: np.ndarray, labels: np.ndarray) -> float:
  """The mean cross-entropy over all pixels that have a class."""
  total = pixels = 0.0
  for logits, maps in zip(logits_of(network, params, photos), in_parts(labels), strict=True):
    loss, count = cross_entropy(logits, maps)
    total, pixels = total + float(loss * count), pixels + float(count)
  return total / max(pixels, 1)


@functools.partial(jax.jit, static_argnums=0)
def apply(network: nn.Module, params: Any, images: jax.Array) -> jax.Array:
  """Logits [B,H,W,classes] of gray values."""
  return network.apply({'params': params}, scale(images))


def logits_of(network: nn.Module, params: Any, images: np.ndarray) -> Iterator[np.ndarray]:
  """The logits of each part of the images, [n,H,W,classes]; the last part is filled up for the one program."""
  size = min(PART, len(images))
  for part in in_parts(images):
    filled = np.pad(part, [(0, size - len(part)), (0, 0), (0, 0), (0, 0)])
    with jax.default_matmul_precision('highest'):  # left alone, a GPU rounds to ten bits
      yield np.asarray(apply(network, params, filled))[: len(part)]


def in_parts(arrays: np.ndarray) -> Iterator[np.ndarray]:
  """Rows of an array, as many at a time as are predicted at once."""
  return (arrays[start : start + PART] for start in range(0, len(arrays), PART))


def without_others(maps: np.ndarray, classes: int) -> np.ndarray:
  """Label maps as int32, with -1 for whatever is no class."""
  return np.where((maps >= 0) & (maps < classes), maps, IGNORED).astype(np.int32)


def check_shapes(photos: np.ndarray, maps: np.ndarray) -> None:
  """UserError where a map is not of the shape of its photo, or photos cannot be segmented."""
  check_sides(photos)
  if photos.shape[:3] != maps.shape:
    raise UserError(f'label maps {list(maps.shape)} are not of the shape of their photos {list(photos.shape)}')


def check_sides(images: np.ndarray) -> None:
  """UserError where there is no image, or the network cannot halve it as often as it does."""
  number, height, width, _ = images.shape
  multiple = 2 ** len(WIDTHS)
  if not number or height % multiple or width % multiple:
    raise UserError(
      f'a segmenter needs images whose sides are multiples of {multiple}, not {number} of {height}x{width}'
    )
