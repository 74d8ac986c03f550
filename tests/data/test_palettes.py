import numpy as np

from gen_jax.data.palettes import colored, one_hot, resize_labels

PALETTE = ((0, 0, 0), (255, 0, 0), (0, 0, 255))


def test_colors_of_classes_are_restored():
  classes = np.random.default_rng(0).integers(0, 3, (4, 5, 6))
  maps = colored(classes, PALETTE)
  assert maps.dtype == np.uint8 and maps.shape == (4, 5, 6, 3)
  np.testing.assert_array_equal(one_hot(maps, PALETTE), np.eye(3)[classes])
  noisy = np.clip(maps.astype(int) + np.random.default_rng(1).integers(-60, 60, maps.shape), 0, 255).astype(np.uint8)
  np.testing.assert_array_equal(one_hot(noisy, PALETTE), np.eye(3)[classes])


def test_of_equally_near_colors_it_is_the_first():
  np.testing.assert_array_equal(one_hot(np.array([5, 5, 5], np.uint8), ((0, 0, 0), (10, 10, 10))), [1, 0])


def test_resized_maps_have_the_class_of_the_largest_area():
  classes = np.random.default_rng(0).integers(0, 3, (12, 6))
  labels = np.eye(3, dtype=np.uint8)[classes]
  counts = labels.reshape(4, 3, 2, 3, 3).sum((1, 3))  # of 3x3 pixels
  resized = resize_labels(labels, (4, 2))
  np.testing.assert_array_equal(resized, np.eye(3)[counts.argmax(-1)])
  np.testing.assert_array_equal(resize_labels(resized, (8, 4)), resized.repeat(2, 0).repeat(2, 1))
  assert resize_labels(labels, (12, 6)) is labels
