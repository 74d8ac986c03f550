"""From stored images to what a model sees, inside the compiled step, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp

from gen_jax import randomness
from gen_jax.config import BINARIZE
from gen_jax.data.dataset import Feature
from gen_jax.errors import UserError
from gen_jax.randomness import row_keys
from gen_jax.types import Batch


def preprocess(
  batch: Batch,
  key: jax.Array,
  *,
  train: bool,
  features: Mapping[str, Feature],
  size: int = 0,
  mutate: float = 0.0,
  binarize: str = 'none',
  crop: int = 0,
  flip: bool = False,
  dequantize: bool = False,
  value_range: Sequence[float] = (0.0, 1.0),
) -> Batch:
  """The batch with every image float32 [B,H,W,C] in `value_range`, from integers 0..levels - 1, in this order.

  size        central square, resized to size x size with antialiasing, rounded to integers; 0: as it is
  mutate      each value becomes, with this probability, one of 0..levels - 1, in training only: to learn the
              background alone (Ren et al., 2019)
  binarize    x ~ Bernoulli(x / (levels - 1)), after which levels is 2: 'dynamic' with noise of `key` and
              batch['row'] (Burda et al., 2016), 'static' with noise of batch['index'] alone, fixed for ever
              (Salakhutdinov and Murray, 2008)
  crop        crop x crop pixels: anywhere in training, the middle in evaluation; 0: all
  flip        mirrored left to right with probability 1/2, in training only
  dequantize  (x + u) / levels, u ~ Uniform(0, 1) (Theis et al., 2016); otherwise x / (levels - 1)

  All noise is keyed by the example, so it does not depend on how a batch is split. Where an example has several
  images, its crop and its flip are drawn once for all of them; the noise of their gray values is independent.
  `features` says which they are. Those of another kind than 'image' are numbers, not gray values, and stay as they
  are, float32, whatever the `value_range`.
  Raises UserError: a crop larger than the image, or of images of different sizes; an unknown `binarize`; any of these
  where no feature is an image.
  """
  if binarize not in BINARIZE:
    raise UserError(f'data.binarize is {binarize!r}, not one of {", ".join(BINARIZE)}')
  images = {name: feature for name, feature in features.items() if feature.kind == 'image'}
  numbers = {name: batch[name].astype(jnp.float32) for name in features if name not in images}
  if not images:
    changes = {'size': size, 'mutate': mutate, 'binarize': binarize != 'none' and binarize, 'crop': crop, 'flip': flip}
    refuse_changes(**changes, dequantize=dequantize)
    return {**batch, **numbers}
  if crop:
    check_equal_sizes({name: shape_after(feature, size) for name, feature in images.items()})
  binarize_key, crop_key, flip_key, dequantize_key = jax.random.split(key, 4)
  fixed_key, mutate_key = randomness.key(0), jax.random.fold_in(key, 4)

  def process(place: int, name: str) -> jax.Array:
    """The image `name`; `place` is its number among the images, which keys its own noise."""
    own = lambda key: jax.random.fold_in(key, place) if place else key
    shape = shape_after(images[name], size, crop)
    levels, x = images[name].levels, batch[name].astype(jnp.float32)
    if size:
      x = resize(x, size, levels)
    if mutate and train:
      x = jax.vmap(mutate_values, (0, 0, None, None))(row_keys(own(mutate_key), batch['row']), x, mutate, levels)
    if binarize != 'none':
      dynamic = binarize == 'dynamic'
      keys = row_keys(own(binarize_key), batch['row']) if dynamic else row_keys(own(fixed_key), batch['index'])
      x = jax.vmap(bernoulli)(keys, x / (levels - 1))
      levels = 2
    if crop and train:
      x = jax.vmap(random_crop, (0, 0, None))(row_keys(crop_key, batch['row']), x, crop)
    elif crop:
      x = crop_center(x, crop, crop)
    if flip and train:
      mirrored = jax.vmap(jax.random.bernoulli)(row_keys(flip_key, batch['row']))
      x = jnp.where(mirrored[:, None, None, None], x[:, :, ::-1], x)
    if dequantize:
      noise = jax.vmap(open_uniform, (0, None))(row_keys(own(dequantize_key), batch['row']), shape)
      x = (x + noise) / levels
    else:
      x = x / (levels - 1)
    low, high = value_range
    x = jnp.clip(low + (high - low) * x, low, high)  # a fused multiply-add overshoots 1 by an ulp
    chex.assert_shape(x, (None, *shape))
    return x

  return {**batch, **numbers, **{name: process(place, name) for place, name in enumerate(images)}}


def refuse_changes(**changes: Any) -> None:
  """UserError where one of these {option: value} would change data that are no images."""
  for name, value in changes.items():
    if value:
      raise UserError(f'data.{name}={value!r}: these data are numbers, not gray values; leave {name} at its default')


def check_equal_sizes(shapes: Mapping[str, Sequence[int]]) -> None:
  """UserError where the images of an example differ in height or width, so that no crop fits all of them."""
  (first, (height, width, _)), *others = shapes.items()
  for name, (other_height, other_width, _) in others:
    if (other_height, other_width) != (height, width):
      sizes = f'{first} is {height}x{width}, {name} {other_height}x{other_width}'
      raise UserError(f'data.crop needs images of one size, but {sizes}: set data.size')


def shape_after(feature: Feature, size: int = 0, crop: int = 0) -> tuple[int, ...]:
  """What `preprocess` makes of the shape of this feature: (H, W, C) of an image; any other stays as it is."""
  if feature.kind != 'image':
    return tuple(feature.shape)
  height, width, channels = feature.shape
  if size:
    height = width = size
  if crop > min(height, width):
    raise UserError(f'data.crop is {crop}, but images are {height}x{width}')
  return (crop, crop, channels) if crop else (height, width, channels)


def shapes_after(features: Mapping[str, Feature], size: int = 0, crop: int = 0) -> dict[str, tuple[int, ...]]:
  """{feature: `shape_after` it}."""
  return {name: shape_after(feature, size, crop) for name, feature in features.items()}


def to_uint8(images: jax.Array, value_range: Sequence[float] = (0.0, 1.0)) -> jax.Array:
  """Images in `value_range`, clipped to it, as uint8 0..255: inverts the scaling of 256 levels exactly."""
  low, high = value_range
  return jnp.clip(jnp.round((images - low) * (255 / (high - low))), 0, 255).astype(jnp.uint8)


def resize(images: jax.Array, size: int, levels: int) -> jax.Array:
  """The central square of each image [B,H,W,C], bilinear with antialiasing, on the integers 0..levels - 1."""
  batch, height, width, channels = images.shape
  if height == width == size:
    return images
  side = min(height, width)
  square = crop_center(images, side, side)
  images = jax.image.resize(square, (batch, size, size, channels), 'linear', antialias=True)
  return jnp.clip(jnp.round(images), 0, levels - 1)


def crop_center(images: jax.Array, height: int, width: int) -> jax.Array:
  """The middle height x width pixels of images [B,H,W,C]."""
  top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
  return images[:, top : top + height, left : left + width]


def random_crop(key: jax.Array, image: jax.Array, crop: int) -> jax.Array:
  """crop x crop pixels of one image [H,W,C] from anywhere in it."""
  room = jnp.array([image.shape[0] - crop, image.shape[1] - crop])
  top, left = jax.random.randint(key, (2,), 0, room + 1)
  return jax.lax.dynamic_slice(image, (top, left, 0), (crop, crop, image.shape[2]))


def mutate_values(key: jax.Array, x: jax.Array, rate: float, levels: int) -> jax.Array:
  """x with each value replaced, with probability `rate`, by a uniform one of 0..levels - 1."""
  where, value = jax.random.split(key)
  drawn = jax.random.randint(value, x.shape, 0, levels).astype(x.dtype)
  return jnp.where(jax.random.bernoulli(where, rate, x.shape), drawn, x)


def bernoulli(key: jax.Array, probability: jax.Array) -> jax.Array:
  """0. or 1. with the given probabilities of 1, which 0 and 1 hit exactly."""
  return jax.random.bernoulli(key, probability).astype(jnp.float32)


def open_uniform(key: jax.Array, shape: Sequence[int]) -> jax.Array:
  """Uniform on the open interval (0, 1), in steps of 2^-15.

  With the bits that jax.random.uniform draws, 255 + u may round to 256, which leaves the bin and has an
  infinite logit; these values plus 255 are exact in float32.
  """
  return ((jax.random.bits(key, shape, jnp.uint16) >> 1).astype(jnp.float32) + 0.5) / 2**15
