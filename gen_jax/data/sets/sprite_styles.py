"""Unpaired sprites in two styles: those of dSprites, white on black; and other ones, tinted, with an outline."""

import jax
import numpy as np
from ml_collections import ConfigDict

from gen_jax.data.dataset import About, Dataset, Feature, from_sides
from gen_jax.data.palettes import colored, one_hot
from gen_jax.data.regions import filled, outlines
from gen_jax.data.sets import sprites
from gen_jax.data.sets.grid_of_factors import split_rows
from gen_jax.errors import UserError

TAKES = ('swap',)  # the keys of config.data
NUMBERS = {'train': 3_000, 'validation': 500, 'test': 500}  # of each side
SIZE, LARGE = 32, 64  # of the images: a window around each sprite, or the whole image of dSprites
ROAM = 0.15  # of what a sprite is off the center of the whole image, it is off the center of its window
BLACK_WHITE = (0, 0, 0), (255, 255, 255)
GROUND_INSIDE_OUTLINE = (24, 92, 84), (122, 44, 108), (255, 190, 80)
LEAST_SCALE = 2  # of 6: smaller ones are mostly outline
CHUNK = 500  # images that are drawn at a time


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` names these sprites."""
  return data.name == 'sprite_styles'


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split, at the size of the section."""
  if data.size not in (0, SIZE, LARGE):
    raise UserError(f'config.data.size={data.size}: sprite_styles are drawn at {SIZE} or {LARGE}')
  return load(split, data.size or SIZE)


def load(split: str, size: int = SIZE) -> Dataset:
  """'image_a' white sprites, 'image_b' outlined ones of other factors, RGB uint8 [N,size,size,3], in their own orders.

  `true_maps` are `outlined` and, as nothing of a sprite has the color of the ground, the inverse `whitened`.
  """
  a, b = draw_examples(split)
  arrays = {'image_a': colored(masks_of(a, size), BLACK_WHITE)}
  arrays['image_b'] = outlined(colored(masks_of(b, size), BLACK_WHITE))
  opened = from_sides(arrays, dict.fromkeys(arrays, Feature((size, size, 3))))
  rule = f'{NUMBERS["train"]:,} combinations of factors of each side train; 8 : 1 : 1 by a hash of their number'
  return opened._replace(true_maps={'b': outlined, 'a': whitened}, about=About(split_rule=rule))


def draw_examples(split: str) -> tuple[np.ndarray, np.ndarray]:
  """Numbers of images of dSprites, int64 [N] of side A and [N] of side B, in a random order; none is in both."""
  rows = split_rows(sprites.NUM_IMAGES, split)
  rows = rows[sprites.factors_of(rows)[:, 1] >= LEAST_SCALE]
  a, b = np.random.default_rng(0).choice(rows, (2, NUMBERS[split]), replace=False)
  return a, b


def masks_of(index: np.ndarray, size: int) -> np.ndarray:
  """The sprites of these numbers, bool [N,size,size]; a pixel that a few leave open at the top of a heart is filled."""
  draw = jax.jit(sprites.render)
  factors = np.array_split(sprites.factors_of(index), -(-len(index) // CHUNK))
  masks = filled(np.concatenate([np.asarray(draw(part)) for part in factors])[..., 0] > 0)
  return masks if size == LARGE else np.stack([window_of(mask, size) for mask in masks])


def window_of(mask: np.ndarray, size: int) -> np.ndarray:
  """The window [size,size] of a sprite [LARGE,LARGE], not quite around its center, so that sprites keep places."""
  centers = [(where.min() + where.max() + 1) / 2 for where in np.nonzero(mask)]
  top, left = (round(c - size / 2 - ROAM * (c - LARGE / 2)) for c in centers)
  return mask[top : top + size, left : left + size]


def outlined(images: np.ndarray) -> np.ndarray:
  """Images of side A uint8 [N,H,W,3] -> those of side B: sprites in other colors, and their outlines."""
  masks = images[..., 0] > 127
  return colored(masks.astype(int) + outlines(masks), GROUND_INSIDE_OUTLINE)


def whitened(images: np.ndarray) -> np.ndarray:
  """Images of side B uint8 [N,H,W,3] -> those of side A: white where a color is nearer to others than the ground."""
  return colored(one_hot(images, GROUND_INSIDE_OUTLINE)[..., 0] == 0, BLACK_WHITE)
