"""Hearts that are rare on the right: how many there are of each kind, and what an image shows."""

import jax.numpy as jnp
import numpy as np
import pytest
from small import small_config

from gen_jax import build
from gen_jax.data.sets import rare_hearts, sprites
from gen_jax.errors import UserError


def opened(split):
  return build.dataset(small_config('rare_hearts'), split)


@pytest.mark.parametrize('split', ['train', 'validation', 'test'])
def test_each_kind_is_as_frequent_as_is_said(split):
  data = opened(split)
  shape, scale, _, x, _ = data.arrays['factors_of_image'].T
  heart, right = shape == rare_hearts.HEART, x >= 22
  np.testing.assert_array_equal(data.arrays['label'], heart)
  np.testing.assert_array_equal(data.arrays['place'], np.where(heart, right, -1))
  counts = rare_hearts.COUNTS[split]
  kinds = [heart & ~right, heart & right, ~heart & ~right, ~heart & right]
  assert [kind.sum() for kind in kinds] == list(counts.values()) and data.size == sum(counts.values())
  share = (heart & right).sum() / heart.sum()
  assert share == (0.5 if split == 'test' else 0.02) and scale.min() == rare_hearts.LEAST_SCALE
  assert (np.diff(np.flatnonzero(heart)) > 1).mean() > 0.4  # in no order


def test_no_image_is_in_two_splits():
  rows = [set(rare_hearts.draw_examples(split).tolist()) for split in rare_hearts.COUNTS]
  assert all(len(rows[i] & rows[j]) == 0 for i, j in ((0, 1), (0, 2), (1, 2)))
  assert len(set.union(*rows)) == sum(sum(counts.values()) for counts in rare_hearts.COUNTS.values())


def test_an_image_is_a_sprite_at_half_the_resolution_in_two_gray_values():
  data = opened('test')
  rows = {name: jnp.asarray(values[:8]) for name, values in data.arrays.items()}
  image = np.asarray(data.finish(rows)['image'])
  rendered = np.asarray(sprites.render(rows['factors_of_image'].astype(jnp.int32)))
  np.testing.assert_array_equal(image, np.where(rendered[:, ::2, ::2] == 1, *rare_hearts.GRAY[::-1]))
  assert image.shape == (8, 32, 32, 1) and image.dtype == np.uint8


def test_a_split_that_there_is_not_is_named():
  with pytest.raises(UserError, match="no split 'training': use one of train, validation, test"):
    rare_hearts.load('training')
