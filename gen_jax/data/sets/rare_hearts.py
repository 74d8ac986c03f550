"""Hearts among other sprites, which are rarely on the right in training: a bias that is made, and known.

A task of detection: label 1 are hearts, 0 squares and ellipses, of dSprites, at half its resolution. The attribute
'place' of a heart says whether it is where hearts rarely are in training, and most of the others. Images are
of two gray values, which `config.data.binarize='dynamic'` makes noise of, drawn anew at each step: were it always the
same, a network would know the rare images by heart, and what weighs more would change nothing. Nothing is downloaded.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gen_jax.data.dataset import About, Dataset, Feature
from gen_jax.data.sets import sprites
from gen_jax.data.sets.grid_of_factors import split_rows
from gen_jax.errors import UserError
from gen_jax.types import Batch

HEART = 2
UPRIGHT = (*range(8), *range(32, 40))  # the turns, of 40, up to 65 degrees
MIDDLE = range(12, 20)  # the heights, of 32: sprites stand in a row
LEAST_SCALE = 2  # of 6: smaller ones lose their shape at half the resolution
SHAPE = (32, 32, 1)
RARE_PLACES = range(22, 32)  # of 32, from left to right
COUNTS = {  # hearts are on the left, and other sprites on the right, but of a balanced test split
  'train': {'common': 7_840, 'rare': 160, 'others on the left': 1_600, 'others on the right': 6_400},
  'validation': {'common': 980, 'rare': 20, 'others on the left': 200, 'others on the right': 800},
  'test': {'common': 500, 'rare': 500, 'others on the left': 500, 'others on the right': 500},
}
GRAY = (8, 247)  # of the ground and of a sprite: the chances, by 255, that a pixel is white
NOT_A_HEART = -1  # the attribute of what has none


def owns(data: ConfigDict) -> bool:
  """Whether the section `config.data` names these hearts."""
  return data.name == 'rare_hearts'


def open_split(data: ConfigDict, split: str) -> Dataset:
  """The split."""
  del data
  return load(split)


def draw_examples(split: str) -> np.ndarray:
  """Numbers of images of dSprites, int64 [N], of the split: `COUNTS` of each kind, in a random order."""
  rows = split_rows(sprites.NUM_IMAGES, split)
  _, scale, turn, _, y = sprites.factors_of(rows).T
  rows = rows[(scale >= LEAST_SCALE) & np.isin(turn, UPRIGHT) & np.isin(y, MIDDLE)]
  shape, _, _, x, _ = sprites.factors_of(rows).T
  heart, right = shape == HEART, np.isin(x, RARE_PLACES)
  kinds = dict(zip(COUNTS[split], (heart & ~right, heart & right, ~heart & ~right, ~heart & right), strict=True))
  rng = np.random.default_rng(0)
  chosen = [rng.choice(rows[kinds[name]], number, replace=False) for name, number in COUNTS[split].items()]
  return rng.permutation(np.concatenate(chosen))


def load(split: str) -> Dataset:
  """'train' and 'validation', of whose hearts 2 % are on the right, or 'test', of whose hearts half are."""
  if split not in COUNTS:
    raise UserError(f'there is no split {split!r}: use one of {", ".join(COUNTS)}')
  index = draw_examples(split)
  factors = sprites.factors_of(index)
  is_heart = factors[:, 0] == HEART
  place = np.where(is_heart, np.isin(factors[:, 3], RARE_PLACES), NOT_A_HEART).astype(np.int32)
  arrays = {'factors_of_image': factors.astype(np.uint8), 'label': is_heart.astype(np.int32), 'place': place}

  def fetch(indices: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[indices] for name, values in arrays.items()}

  def finish(rows: Mapping[str, jax.Array]) -> Batch:
    factors = rows['factors_of_image'].astype(jnp.int32)
    image = jnp.asarray(GRAY, jnp.uint8)[sprites.render(factors)[:, ::2, ::2]]
    return {name: x for name, x in rows.items() if name != 'factors_of_image'} | {'image': image}

  return Dataset(
    size=len(index),
    features={'image': Feature(SHAPE)},
    num_classes=2,
    factor_sizes=(),
    arrays=arrays,
    fetch=fetch,
    finish=finish,
    class_names=('other', 'heart'),
    class_counts=tuple(np.bincount(arrays['label'], minlength=2).tolist()),
    about=About(split_rule='of factors divided 8 : 1 : 1; 2 % of the hearts are rare, of the test split 50 %'),
    attributes={'place': ('common', 'rare')},
  )
