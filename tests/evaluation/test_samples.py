import types

import numpy as np
import pytest
from sources import KnownSource, Repeats, padded_batches

from gen_jax.errors import UserError
from gen_jax.evaluation.samples import (
  draw_images,
  draw_samples,
  is_binary,
  like_samples,
  random_subset,
  sampling_batch,
  to_unit_range,
  unit_images,
)

IMAGES = np.random.default_rng(0).random((400, 3, 2, 1), np.float32)


def test_each_class_is_asked_for_in_turn_where_there_are_classes():
  rows = np.arange(4, 9)
  assert set(sampling_batch(rows)) == {'row'} and sampling_batch(rows, 3)['row'] is rows
  np.testing.assert_array_equal(sampling_batch(rows, 3)['label'], [1, 2, 0, 1, 2])


def test_samples_are_drawn_in_batches_of_one_size():
  model = Repeats(IMAGES)
  np.testing.assert_array_equal(draw_samples(model, 1203), IMAGES[np.arange(1203) % 400])
  assert [len(batch['row']) for batch in model.batches] == [500] * 3 and 'label' not in model.batches[0]
  model = Repeats(IMAGES)
  np.testing.assert_array_equal(draw_samples(model, 10, 4), IMAGES[:10])
  assert [batch['row'].tolist() for batch in model.batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_a_conditional_model_is_asked_for_each_class_in_turn():
  model = Repeats(IMAGES, classes=7)
  assert draw_images(model, 30).shape == (30, 3, 2, 1)
  (batch,) = model.batches  # no more than are wanted
  np.testing.assert_array_equal(batch['label'], np.arange(30) % 7)
  assert batch['label'].dtype == batch['row'].dtype == np.int32


def test_images_come_in_the_unit_range_and_must_be_finite():
  np.testing.assert_allclose(draw_images(Repeats(IMAGES, (-1.0, 1.0)), 400, (-1.0, 1.0)), IMAGES, atol=1e-6)
  np.testing.assert_array_equal(to_unit_range(np.array([-3, -1, 0, 1, 1.5]), (-1.0, 1.0)), [0, 0, 0.5, 1, 1])
  broken = IMAGES.copy()
  broken[:3, 0], broken[3, 0, 0] = np.nan, np.inf
  with pytest.raises(UserError, match='4 of 400 samples are not finite'):
    draw_images(Repeats(broken), 400)


def test_images_of_a_split_are_those_that_are_no_padding():
  parts = list(unit_images(padded_batches(150, image=2 * IMAGES - 1)(), (-1.0, 1.0)))
  assert [len(part) for part in parts] == [150, 150, 100]
  np.testing.assert_allclose(np.concatenate(parts), IMAGES, atol=1e-6)


def test_a_random_subset_is_always_the_same_one():
  parts = [np.arange(10), np.arange(10, 30)]
  chosen = random_subset(parts, 12)
  assert len(set(chosen.tolist())) == 12 and chosen.tolist() == random_subset(parts, 30)[:12].tolist()
  assert sorted(random_subset(parts, 100)) == list(range(30)) and chosen.tolist() != sorted(chosen)


def test_what_samples_stand_beside():
  gray = types.SimpleNamespace()
  source = KnownSource(unbinarized=gray)
  binary = (IMAGES > 0.5).astype(np.float32)
  assert is_binary(binary) and not is_binary(IMAGES)
  assert like_samples(binary, source) is source and like_samples(IMAGES, source) is gray
