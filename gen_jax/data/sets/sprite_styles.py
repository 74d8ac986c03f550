"""Unpaired sprites in two styles: those of dSprites, filled, white on black; and other ones, as a colored outline."""

import jax
import numpy as np
from ml_collections import ConfigDict

from gen_jax.data.dataset import About, Dataset, Feature, from_sides
from gen_jax.data.palettes import colored
from gen_jax.data.regions import filled, outlines
from gen_jax.data.sets import sprites
from gen_jax.data.sets.grid_of_factors import split_rows
from gen_jax.errors import UserError

TAKES = ('swap',)  # the keys of config.data
NUMBERS = {'train': 3_000, 'validation': 500, 'test': 500}  # of each side
SIZE, LARGE = 32, 64  # of the images: every second pixel of dSprites, or every one
BLACK_WHITE = (0, 0, 0), (255, 255, 255)
GROUND_OUTLINE = (24, 92, 84), (255, 148, 60)
LEAST_SCALE = 2  # of 6: smaller ones lose their shape at half the resolution
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
  """'image_a' filled sprites, 'image_b' outlined ones of other factors, RGB uint8 [N,size,size,3], in their own orders.

  `true_maps` are `outlined` and, as an outline encloses its sprite, the inverse `refilled`.
  """
  a, b = draw_examples(split)
  arrays = {'image_a': colored(masks_of(a, size), BLACK_WHITE)}
  arrays['image_b'] = outlined(colored(masks_of(b, size), BLACK_WHITE))
  opened = from_sides(arrays, dict.fromkeys(arrays, Feature((size, size, 3))))
  rule = f'{NUMBERS["train"]:,} combinations of factors of each side train; 8 : 1 : 1 by a hash of their number'
  return opened._replace(true_maps={'b': outlined, 'a': refilled}, about=About(split_rule=rule))


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
  masks = np.concatenate([np.asarray(draw(part)) for part in factors])[..., 0]
  return filled(masks[:, :: LARGE // size, :: LARGE // size] > 0)


def outlined(images: np.ndarray) -> np.ndarray:
  """Images of side A uint8 [N,H,W,3] -> those of side B: the outlines of their sprites."""
  return colored(outlines(images[..., 0] > 127), GROUND_OUTLINE)


def refilled(images: np.ndarray) -> np.ndarray:
  """Images of side B uint8 [N,H,W,3] -> those of side A: what the outlines enclose."""
  middle = (GROUND_OUTLINE[0][0] + GROUND_OUTLINE[1][0]) / 2  # of red
  return colored(filled(images[..., 0] > middle), BLACK_WHITE)
