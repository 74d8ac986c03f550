import numpy as np
import pytest
from scipy import ndimage

from gen_jax.config import common
from gen_jax.data import sources
from gen_jax.data.dataset import Feature
from gen_jax.data.sets import sprite_styles, sprites
from gen_jax.errors import UserError


def opened(size=0, **changes):
  data = common().data
  data.update({'name': 'sprite_styles', 'size': size, **changes})
  return sources.open_split(data, 'test')


@pytest.mark.parametrize('size', [32, 64])
def test_the_true_maps_undo_each_other_exactly(size):
  split = opened(size)
  a, b = split.arrays['image_a'], split.arrays['image_b']
  assert split.features == dict.fromkeys(('image_a', 'image_b'), Feature((size, size, 3)))
  to_b, to_a = split.true_maps['b'], split.true_maps['a']
  assert to_b(a).dtype == to_a(b).dtype == np.uint8
  np.testing.assert_array_equal(to_a(to_b(a)), a)
  np.testing.assert_array_equal(to_b(to_a(b)), b)
  assert (to_b(a) != b).any()


def test_an_image_of_b_is_the_map_of_its_sprite():
  split = opened(64)
  _, index = sprite_styles.draw_examples('test')
  rendered = np.asarray(sprites.render(sprites.factors_of(index[:20])))[..., 0]
  whole = np.array([ndimage.binary_fill_holes(image) for image in rendered])[..., None]  # the tops of some hearts
  np.testing.assert_array_equal(split.true_maps['b'](255 * np.repeat(whole, 3, -1)), split.arrays['image_b'][:20])


def test_windows_hold_whole_sprites_in_different_places():
  index, _ = sprite_styles.draw_examples('test')
  whole, window = (sprite_styles.masks_of(index, size) for size in (64, 32))
  np.testing.assert_array_equal(window.sum((1, 2)), whole.sum((1, 2)))
  tops = window.any(2).argmax(1)
  assert len(np.unique(tops)) > 5


def test_factors_are_disjoint_on_both_sides_and_in_all_splits():
  rows = [part for split in sprite_styles.NUMBERS for part in sprite_styles.draw_examples(split)]
  assert len(np.unique(np.concatenate(rows))) == sum(map(len, rows)) == 2 * sum(sprite_styles.NUMBERS.values())
  assert sprites.factors_of(np.concatenate(rows))[:, 1].min() == sprite_styles.LEAST_SCALE


def test_exchanged_sides_exchange_their_maps():
  split, other = opened(), opened(swap=True)
  np.testing.assert_array_equal(other.arrays['image_a'], split.arrays['image_b'])
  np.testing.assert_array_equal(other.true_maps['a'](other.arrays['image_b'][:5]), split.true_maps['b'](
    split.arrays['image_a'][:5]
  ))  # fmt: skip


def test_other_sizes_are_refused():
  with pytest.raises(UserError, match=r'config.data.size=48: sprite_styles are drawn at 32 or 64'):
    opened(48)
