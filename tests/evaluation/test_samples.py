import types

import numpy as np
import pytest
from small import small_config
from sources import KnownSource, Repeats, padded_batches

from gen_jax import build
from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.samples import (
  draw_images,
  draw_samples,
  is_binary,
  like_samples,
  proportional_labels,
  random_subset,
  sampling_batch,
  to_unit_range,
  unit_images,
)
from gen_jax.evaluation.source import VALIDATION_ROWS, Source
from gen_jax.training import loop
from gen_jax.training.state import evaluated_variables

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


def test_a_conditional_model_is_asked_for_each_class_in_turn_or_for_those_named():
  model = Repeats(IMAGES, classes=7)
  draw_samples(model, 30, 30)
  draw_samples(model, 30, 30, 4)
  draw_samples(model, 30, 20, np.arange(30) // 5)
  in_turn, one, *named = (batch['label'] for batch in model.batches)
  np.testing.assert_array_equal(in_turn, np.arange(30) % 7)
  np.testing.assert_array_equal(one, np.full(30, 4))
  np.testing.assert_array_equal(np.concatenate(named)[:30], np.arange(30) // 5)
  assert {batch[name].dtype for batch in model.batches for name in batch} == {np.dtype(np.int32)}


def test_what_stands_beside_data_is_of_classes_as_frequent_as_theirs():
  counts = np.array([600, 0, 300, 99, 1])
  model, source = Repeats(IMAGES, classes=5), KnownSource(class_counts=lambda: counts)
  assert draw_images(model, source, 400).shape == (400, 3, 2, 1)
  (batch,) = model.batches  # no more than are wanted
  np.testing.assert_array_equal(np.bincount(batch['label'], minlength=5), [240, 0, 120, 40, 0])
  first = np.bincount(batch['label'][:100], minlength=5)
  assert abs(first - counts / 10).max() < 15  # mixed, as the first are kept where not all are
  draw_images(model, source, 30, np.full(30, 1))
  assert set(model.batches[1]['label']) == {1}


@pytest.mark.parametrize('number', [1, 7, 999])
def test_proportional_labels_are_of_the_number_asked_for(number):
  labels = proportional_labels(np.array([3, 3, 1]), number)
  assert len(labels) == number and (abs(np.bincount(labels, minlength=3) - number * np.array([3, 3, 1]) / 7) < 1).all()


def test_samples_that_choose_a_checkpoint_are_others_than_those_reported():
  config = small_config('gan')
  task = build.task(config)
  model = BoundModel(task.model, evaluated_variables(loop.initial_state(task)))
  reported, choosing = (Source.of(config, task.data, 0, row) for row in (0, VALIDATION_ROWS))
  a, b, again = (draw_images(model, source, 4) for source in (reported, choosing, reported))
  np.testing.assert_array_equal(a, again)
  assert all((x != y).any() for x in a for y in b)


def test_images_come_in_the_unit_range_and_must_be_finite():
  source = KnownSource(value_range=(-1.0, 1.0))
  np.testing.assert_allclose(draw_images(Repeats(IMAGES, (-1.0, 1.0)), source, 400), IMAGES, atol=1e-6)
  np.testing.assert_array_equal(to_unit_range(np.array([-3, -1, 0, 1, 1.5]), (-1.0, 1.0)), [0, 0, 0.5, 1, 1])
  broken = IMAGES.copy()
  broken[:3, 0], broken[3, 0, 0] = np.nan, np.inf
  with pytest.raises(UserError, match='4 of 400 samples are not finite'):
    draw_images(Repeats(broken), KnownSource(), 400)


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
