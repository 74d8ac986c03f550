"""Evaluators of translations on tiny runs: each number beside one that is computed here."""

import dataclasses

import numpy as np
import pytest
from ml_collections import ConfigDict
from pictures import axes_image, cell, outputs
from tiny_runs import run_of as run_of

from gen_jax.data.dataset import Feature
from gen_jax.data.sets.digit_pairs import PALETTE
from gen_jax.data.side_format import SideFormat, palette_of
from gen_jax.evaluation.source import collect
from gen_jax.evaluation.translation import suite
from gen_jax.evaluation.translation.errors import l1
from gen_jax.evaluation.translation.sides import Sides, is_map, is_own, sides_of
from gen_jax.figures.translations import paths
from gen_jax.figures.translations import translations as figure_of_translations


def test_pairs_stand_beside_the_truth(run_of):
  run = run_of('pix2pix')
  values = dict(suite.translation_errors(run.model, run.source))
  sides = sides_of(run.source)
  assert sides.a.shape == sides.b.shape == (32, 16, 16, 1)  # config.test_examples
  made = run.translate(sides.a)
  # noise is keyed by the row of the data set there, by the place among the images here
  assert values['l1_b'] == pytest.approx(np.abs(made - sides.b.astype(float)).mean() * 2 / 255, abs=0.02)
  assert values['l1_b_of_identity'] == pytest.approx(np.abs(sides.a - sides.b.astype(float)).mean() * 2 / 255)
  training = sides_of(run.source, 'train')
  assert len(training.a) > 1000
  mean = np.round(training.b.mean(0, dtype=np.float64))
  assert values['l1_b_of_mean-of-B'] == pytest.approx(np.abs(mean - sides.b).mean() * 2 / 255)
  assert values['l1_b_of_translation-of-nearest'] < values['l1_b_of_mean-of-B']
  assert {'psnr_b', 'ssim_b', 'l1_b_interval'} <= set(values)


def test_unpaired_sides_stand_beside_their_true_map(run_of):
  run = run_of('cyclegan')
  values, sides = dict(suite.true_map_errors(run.model, run.source)), sides_of(run.source)
  truth = run.source.data.true_maps['b'](sides.a)
  assert values['true_error_b'] == pytest.approx(l1(np.stack(run.translate(sides.a)), truth).mean())
  assert values['true_error_b_of_identity'] == pytest.approx(l1(sides.a, truth).mean())
  assert not any(name.startswith('true_error_a') for name in values)  # which digits cannot be taken back
  assert suite.true_maps(run.module, run_of('pix2pix').source).startswith('needs sides')


def test_rows_that_only_fill_up_the_smaller_side_are_left_out(run_of):
  run = run_of('cyclegan')
  training = sides_of(run.source, 'train')
  numbers = run.source.split('train').own_order
  assert (len(training.a), len(training.b)) == (numbers['image_a'], numbers['image_b'])
  assert len(training.a) != len(training.b)
  source = dataclasses.replace(run.source.of_split('train'), examples=300)  # in a random order
  own = sides_of(source)
  index = collect(source.batches(), index='index')['index']
  assert (len(own.a), len(own.b)) == tuple(is_own(source, side, index).sum() for side in 'ab')
  assert len(np.unique(own.b.reshape(len(own.b), -1), axis=0)) == len(own.b)  # none twice


def test_distances_are_nothing_for_the_images_themselves(run_of, monkeypatch):
  run = run_of('pix2pix')
  few = lambda source, split='': Sides(*(images[:400] for images in sides_of(source, split)))
  monkeypatch.setattr(suite, 'sides_of', few)
  monkeypatch.setattr(suite.extractors, 'of_source', lambda kind, source: suite.extractors.load(kind, 'mnist'))
  values = dict(suite.translation_distances(run.model, run.source))
  unseen, made = values['frechet_over_trace_cnn_b_unseen'], values['frechet_over_trace_cnn_b']
  assert 0 < unseen < made
  monkeypatch.setattr(suite, 'translations', lambda model, source, to: getattr(sides_of(source), to))
  values = dict(suite.translation_distances(run.model, run.source))
  assert values['frechet_over_trace_cnn_b'] == pytest.approx(unseen)


def test_what_the_evaluators_need(run_of):
  vae, cyclegan = run_of('vae'), run_of('cyclegan')
  assert suite.pairs(vae.module, vae.source) == 'needs pairs of images; digits holds single ones'
  assert suite.pairs(cyclegan.module, cyclegan.source) == 'needs pairs of images; digit_twins holds unpaired ones'
  assert 'set config.data.palette_a' in suite.photos_of_labels(None, run_of('pix2pix').source)


def test_images_and_their_translations_in_rows(run_of):
  run = run_of('cyclegan')
  made = outputs(figure_of_translations, run)
  sides = sides_of(run.source)
  grid = axes_image(made['translations_to_b'])
  batch = next(run.source.batches(256))
  first = run.source.gray_values(batch['image_a'])[0]
  np.testing.assert_array_equal(cell(grid, 0, 0, size=16), first)
  np.testing.assert_array_equal(cell(grid, 1, 0, size=16), run.translate([first])[0])
  np.testing.assert_array_equal(cell(grid, 3, 0, size=16), run.source.data.true_maps['b'](first[None])[0])
  assert 'translations_to_a' in made and len(sides.a) == 32


def test_paths_of_points(run_of):
  run = run_of('two planes')
  made = outputs(paths, run)
  _, right = made['paths_to_b'].content.axes
  sent = np.asarray(right.collections[-1].get_offsets())
  found = collect(run.source.batches(2_000), made=run.model.translate_to_b)['made']
  np.testing.assert_allclose(sent, found.reshape(-1, 2), rtol=1e-6)


def test_maps_of_labels_are_shown_in_their_colors(run_of):
  run = run_of('labels')
  assert (is_map(run.source, 'a'), is_map(run.source, 'b')) == (True, False)
  batch = next(run.source.batches(4))
  run.model.translate_to_b(batch)  # a map of 0 and 1 beside a photo that is not
  made = outputs(figure_of_translations, run)
  shown = cell(axes_image(made['translations_to_b']), 0, 0, size=16)
  assert {tuple(color) for color in shown.reshape(-1, 3)} <= set(PALETTE)
  photo = run.source.gray_values(batch['image_b'])[0]
  (translated,) = run.translate([shown])
  assert translated.shape == photo.shape
  values = dict(suite.translation_errors(run.model, run.source))
  assert 'l1_b_of_color-of-class' in values and 'l1_b_of_identity' not in values


def test_a_palette_follows_its_side_when_the_sides_are_exchanged():
  data = {'swap': False, 'palette_a': PALETTE, 'palette_b': (), 'value_range': (-1.0, 1.0)}
  data = ConfigDict(data)
  assert (palette_of(data, 'a'), palette_of(data, 'b')) == (PALETTE, ())
  data.swap = True
  assert (palette_of(data, 'a'), palette_of(data, 'b')) == ((), PALETTE)
  side = SideFormat(data, 'b', Feature((4, 5, 3), levels=2))
  image = np.array(PALETTE, np.uint8)[np.random.default_rng(0).integers(0, 3, (4, 5))]
  seen = side.to_model(image)
  assert side.channels == 3 and seen.shape == (4, 5, 3) and set(np.unique(seen)) == {-1, 1}
  np.testing.assert_array_equal(side.from_model(0.3 * seen), image)


def learn_colors(photos, maps, validation_photos, validation_maps, classes, **named):
  """In the place of the segmenter: the class whose mean color in training is nearest, for each pixel."""
  assert photos.shape[:3] == maps.shape and validation_photos.shape[:3] == validation_maps.shape
  means = np.stack([photos[maps == k].mean(0) for k in range(classes)])
  return lambda images: ((images[..., None, :] - means) ** 2).sum(-1).argmin(-1)


def test_label_maps_are_found_in_real_photos(run_of, monkeypatch):
  monkeypatch.setattr(suite, 'train_segmenter', learn_colors)
  run = run_of('labels')
  values = dict(suite.label_consistency(run.model, run.source))
  assert values['pixel_accuracy_real'] > 0.85 > values['pixel_accuracy']
  assert values['pixel_accuracy_low'] <= values['pixel_accuracy'] <= values['pixel_accuracy_high']


def test_true_twins_are_recognized_and_untranslated_digits_are_not(run_of, monkeypatch):
  monkeypatch.setattr(suite, 'train_segmenter', learn_colors)
  run = run_of('cyclegan')
  test = sides_of(run.source)
  truth = run.source.data.true_maps['b'](test.a)
  monkeypatch.setattr(suite, 'translations', lambda model, source, to: truth if to == 'b' else test.b)
  values = dict(suite.side_recognition(run.model, run.source))
  assert values['recognized_b'] == pytest.approx(values['recognized_b_real'], abs=0.05)  # others, of one kind
  # nothing is made of the images of B, and the sides share many colors
  assert values['recognized_a'] == pytest.approx(1 - values['recognized_b_real']) and values['changed_a'] == 0
  assert values['recognized_b_of_identity'] == pytest.approx(1 - values['recognized_a_real'])
  assert values['recognized_b_of_identity'] < values['recognized_b'] - 0.1
  assert values['changed_b_of_identity'] == 0
  assert values['changed_b'] == pytest.approx(l1(truth, test.a).mean())
  assert suite.photos_of_both_sides(None, run_of('labels').source).startswith('needs two sides of images alike')
