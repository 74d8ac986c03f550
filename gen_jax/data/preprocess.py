"""From stored images to what a model sees, inside the compiled step, and back."""
from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp

from gen_jax import randomness
from gen_jax.errors import UserError
from gen_jax.randomness import row_keys
from gen_jax.types import Batch

BINARIZE = ('none', 'dynamic', 'static')


def preprocess(batch: Batch, key: jax.Array, *, train: bool, levels: int = 256, size: int = 0,
               binarize: str = 'none', crop: int = 0, flip: bool = False, dequantize: bool = False,
               value_range: Sequence[float] = (0., 1.)) -> Batch:
  """The batch with 'image' float32 [B,H,W,C] in `value_range`, from integers 0..levels - 1, in this order.

  size        central square, resized to size x size with antialiasing, rounded to integers; 0: as it is
  binarize    x ~ Bernoulli(x / (levels - 1)), after which levels is 2: 'dynamic' with noise of `key` and
              batch['row'] (Burda et al., 2016), 'static' with noise of batch['index'] alone, fixed for ever
              (Salakhutdinov and Murray, 2008)
  crop        crop x crop pixels: anywhere in training, the middle in evaluation; 0: all
  flip        mirrored left to right with probability 1/2, in training only
  dequantize  (x + u) / levels, u ~ Uniform(0, 1) (Theis et al., 2016); otherwise x / (levels - 1)

  All noise is keyed by the example, so it does not depend on how a batch is split. With levels = 0 images are numbers,
  not grey values, and stay as they are, float32, whatever the `value_range`.
  Raises UserError: a crop larger than the image, an unknown `binarize`, any of these for numbers.
  """
  if binarize not in BINARIZE:
    raise UserError(f'data.binarize is {binarize!r}, not one of {", ".join(BINARIZE)}')
  images = batch['image'].astype(jnp.float32)
  if levels == 0:
    asked = {'size': size, 'binarize': binarize != 'none' and binarize, 'crop': crop, 'flip': flip}
    for name, value in {**asked, 'dequantize': dequantize}.items():
      if value:
        raise UserError(f'data.{name}={value!r}: these data are numbers, not grey values; leave {name} at its default')
    return {**batch, 'image': images}
  shape = shape_after(images.shape[1:], size, crop)
  binarize_key, crop_key, flip_key, dequantize_key = jax.random.split(key, 4)
  if size:
    images = resize(images, size, levels)
  if binarize != 'none':
    once = randomness.key(0)
    keys = row_keys(binarize_key, batch['row']) if binarize == 'dynamic' else row_keys(once, batch['index'])
    images = jax.vmap(bernoulli)(keys, images / (levels - 1))
    levels = 2
  if crop:
    keys = row_keys(crop_key, batch['row'])
    images = jax.vmap(random_crop, (0, 0, None))(keys, images, crop) if train else central(images, crop, crop)
  if flip and train:
    mirrored = jax.vmap(jax.random.bernoulli)(row_keys(flip_key, batch['row']))
    images = jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
  if dequantize:
    noise = jax.vmap(inside_unit, (0, None))(row_keys(dequantize_key, batch['row']), shape)
    images = (images + noise) / levels
  else:
    images = images / (levels - 1)
  low, high = value_range
  images = jnp.clip(low + (high - low) * images, low, high)  # a fused multiply-add overshoots 1 by an ulp
  chex.assert_shape(images, (None, *shape))
  return {**batch, 'image': images}


def shape_after(image_shape: Sequence[int], size: int = 0, crop: int = 0) -> tuple[int, int, int]:
  """(H, W, C) that `preprocess` makes of images of `image_shape`."""
  height, width, channels = image_shape
  if size:
    height = width = size
  if crop > min(height, width):
    raise UserError(f'data.crop is {crop}, but images are {height}x{width}')
  return (crop, crop, channels) if crop else (height, width, channels)


def to_uint8(images: jax.Array, value_range: Sequence[float] = (0., 1.)) -> jax.Array:
  """Images in `value_range`, clipped to it, as uint8 0..255: inverts the scaling of 256 levels exactly."""
  low, high = value_range
  return jnp.clip(jnp.round((images - low) * (255 / (high - low))), 0, 255).astype(jnp.uint8)


def resize(images: jax.Array, size: int, levels: int) -> jax.Array:
  """The central square of each image [B,H,W,C], bilinear with antialiasing, on the integers 0..levels - 1."""
  batch, height, width, channels = images.shape
  if height == width == size:
    return images
  side = min(height, width)
  square = central(images, side, side)
  images = jax.image.resize(square, (batch, size, size, channels), 'linear', antialias=True)
  return jnp.clip(jnp.round(images), 0, levels - 1)


def central(images: jax.Array, height: int, width: int) -> jax.Array:
  """The middle height x width pixels of images [B,H,W,C]."""
  top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
  return images[:, top:top + height, left:left + width]


def random_crop(key: jax.Array, image: jax.Array, crop: int) -> jax.Array:
  """crop x crop pixels of one image [H,W,C] from anywhere in it."""
  room = jnp.array([image.shape[0] - crop, image.shape[1] - crop])
  top, left = jax.random.randint(key, (2,), 0, room + 1)
  return jax.lax.dynamic_slice(image, (top, left, 0), (crop, crop, image.shape[2]))


def bernoulli(key: jax.Array, probability: jax.Array) -> jax.Array:
  """0. or 1. with the given probabilities of 1, which 0 and 1 hit exactly."""
  return jax.random.bernoulli(key, probability).astype(jnp.float32)


def inside_unit(key: jax.Array, shape: Sequence[int]) -> jax.Array:
  """Uniform on the open interval (0, 1), in steps of 2^-15.

  With the bits that jax.random.uniform draws, 255 + u may round to 256, which leaves the bin and has an
  infinite logit; these values plus 255 are exact in float32.
  """
  return ((jax.random.bits(key, shape, jnp.uint16) >> 1).astype(jnp.float32) + .5) / 2**15
