"""Unpaired points of the plane: two of the distributions of `planar` as sides A and B."""

import numpy as np
from ml_collections import ConfigDict

from gen_jax.data.dataset import About, Dataset, Feature, from_sides
from gen_jax.data.sets.planar import SPLITS, TARGETS
from gen_jax.errors import UserError

TAKES = ('sides', 'swap')  # the keys of config.data


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` names these points."""
  return data.name == 'unpaired_planes'


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split of the sides that the section names."""
  return load(split, data.sides)


def load(split: str, sides: tuple[str, str]) -> Dataset:
  """'image_a' points of the first of two names of `planar.TARGETS`, 'image_b' of the second: float32 [N,1,1,2].

  Each side of each split is drawn with a seed of its own. UserError for other names.
  """
  if len(sides) != 2 or not set(sides) <= set(TARGETS):
    raise UserError(f'config.data.sides={tuple(sides)}: name two of {", ".join(TARGETS)}')
  seed = list(SPLITS).index(split)
  points = [TARGETS[name].sample(np.random.default_rng([seed, i]), SPLITS[split]) for i, name in enumerate(sides)]
  arrays = {name: drawn.reshape(-1, 1, 1, 2) for name, drawn in zip(('image_a', 'image_b'), points, strict=True)}
  about = About(f'the built-in points {sides[0]} and {sides[1]}', 'drawn anew for each split')
  return from_sides(arrays, dict.fromkeys(arrays, Feature((1, 1, 2), 0, 'points')))._replace(about=about)
