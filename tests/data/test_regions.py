import numpy as np

from gen_jax.data.regions import filled, outlines


def mask(*rows):
  return np.array([[c == '#' for c in row] for row in rows])


RING = mask('.....', '.###.', '.#.#.', '.###.', '.....')
DISK = mask('.....', '.###.', '.###.', '.###.', '.....')
CORNER = mask('###..', '###..', '###..', '.....', '.....')


def test_outlines_are_the_pixels_with_a_neighbor_outside():
  expected = np.stack([RING, RING, mask('###..', '#.#..', '###..', '.....', '.....')])
  np.testing.assert_array_equal(outlines(np.stack([DISK, RING, CORNER])), expected)


def test_what_is_enclosed_is_filled_in_each_image_alone():
  open_ring = RING.copy()
  open_ring[1, 2] = False
  masks = np.stack([DISK, RING, open_ring, np.zeros_like(RING)])
  np.testing.assert_array_equal(filled(masks), np.stack([DISK, DISK, open_ring, np.zeros_like(RING)]))


def test_an_outline_encloses_its_mask():
  noise = np.random.default_rng(0).random((20, 12, 12)) < 0.7
  whole = filled(noise)
  np.testing.assert_array_equal(filled(outlines(whole)), whole)
