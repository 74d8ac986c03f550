"""Samples from the prior, and from a mixture fitted to the codes."""

import dataclasses

import numpy as np
import pytest
from pictures import axes_image, cell, outputs

from gen_jax.errors import UserError
from gen_jax.figures import samples
from gen_jax.figures.inputs import decode_pixels, rows_to_sample, to_pixels
from gen_jax.figures.samples import sample


def test_samples_are_those_of_the_model_and_stand_in_a_square(run_of):
  run = run_of('vae')
  made = outputs(sample, run, number=5, seed=3)
  arrays, picture = made['samples', 'npz'], made['samples']
  rows = {'row': np.arange(64)}
  expected = to_pixels(run, run.bound(3).sample(rows))[:5]
  np.testing.assert_array_equal(arrays['images'], expected)
  np.testing.assert_array_equal(arrays['latents'], np.asarray(run.bound(3).latents(rows))[:5])
  assert picture.content.shape == (20, 30, 1) and picture.caption == 'Samples from the prior'
  for i in range(5):
    np.testing.assert_array_equal(cell(picture.content, i // 3, i % 3), expected[i])


@pytest.mark.parametrize('name', ['vae', 'pixelcnn', 'gan'])
def test_the_first_samples_are_the_same_however_many_there_are(name, run_of):
  few, many = (outputs(sample, run_of(name), number=n)['samples', 'npz'] for n in (3, 70))
  assert len(many['images']) == 70
  for key, values in many.items():
    np.testing.assert_array_equal(values[:3], few[key])
  varied = many.get('latents', many['images'])  # images of a GAN that has hardly learned are all alike
  assert (varied[64:] != varied[:6]).any()


def test_a_generator_that_normalizes_by_its_batch_sees_the_same_batch():
  batches = [list(rows_to_sample(number, classes=0)) for number in (3, 100)]
  assert [len(part) for part in batches] == [1, 2]
  np.testing.assert_array_equal(batches[0][0]['row'], batches[1][0]['row'])
  assert [batch['mask'].sum() for batch in batches[1]] == [64, 36]


def test_classes_come_in_turn_or_as_asked(run_of):
  run = run_of('pixelcnn')
  made = outputs(sample, run, number=12)
  np.testing.assert_array_equal(made['samples', 'npz']['labels'], np.arange(12) % 10)
  assert made['samples'].content.shape[1] == 10 * 10  # a column a class
  arrays = outputs(sample, run, number=5, label=3)['samples', 'npz']
  np.testing.assert_array_equal(arrays['labels'], np.full(5, 3))
  assert set(np.unique(arrays['images'])) == {0, 255}
  rows = {'row': np.arange(64), 'label': np.full(64, 3)}
  np.testing.assert_array_equal(arrays['images'], to_pixels(run, run.model.sample(rows))[:5])


@pytest.mark.parametrize('codes', ['prior', 'mixture'])
def test_a_picture_of_many_samples_holds_the_first_and_says_so(codes, run_of, monkeypatch):
  monkeypatch.setattr(samples, 'SHOWN', 9)
  made = outputs(sample, run_of('vae'), number=1_234, codes=codes)
  name = 'samples' if codes == 'prior' else 'samples_mixture'
  arrays, picture = made[name, 'npz']['images'], made[name]
  assert arrays.shape == (1_234, 8, 8, 1) and picture.content.shape == (30, 30, 1)
  np.testing.assert_array_equal(cell(picture.content, 2, 2), arrays[8])
  said = f'the first 9 of 1,234; all are in {name}.npz'
  assert picture.caption.endswith(said) and [said in line for line in made['text']] == [True]
  few = outputs(sample, run_of('vae'), number=9, codes=codes)
  assert 'first' not in few[name].caption and few['text'] == []


def test_below_the_names_of_classes_stand_no_more_than_the_caption_says(monkeypatch):
  monkeypatch.setattr(samples, 'SHOWN', 7)
  many = np.broadcast_to(np.uint8(0), (100, 8, 8, 1))
  *_, picture = samples.arrays_and_grid('samples', {'images': many}, 'Samples', 3, ('a', 'b', 'c'))
  grid = axes_image(picture)  # of three columns
  assert 'the first 7 of 100' in picture.caption and not cell(grid, 2, 0).any() and (cell(grid, 2, 1) == 255).all()


def test_of_large_images_a_picture_shows_fewer():
  many = np.broadcast_to(np.uint8(0), (100, 512, 512, 1))
  *_, picture = samples.arrays_and_grid('samples', {'images': many}, 'Samples')
  assert picture.content.shape == (4 * 514, 4 * 514, 1) and 'the first 16 of 100' in picture.caption


@pytest.mark.parametrize(
  ('number', 'in_turn', 'columns'), [(64, 0, 8), (64, 10, 10), (64, 3, 9), (400, 10, 20), (5, 3, 3), (64, 100, 8)]
)
def test_a_column_is_of_one_class_in_about_a_square(number, in_turn, columns):
  assert samples.columns_of(number, in_turn) == columns
def with_class_names(run, names):
  data = run.source.data._replace(class_names=tuple(names))
  return dataclasses.replace(run, source=dataclasses.replace(run.source, data=data))


def test_named_classes_stand_over_their_columns_and_are_asked_for_by_name(run_of):
  names = ['cat', 'dog', 'a class of a long name', *'defghij']
  run = with_class_names(run_of('conditional vae'), names)
  made = outputs(sample, run, number=20)
  shown = ['cat', 'dog', 'a class of a …', *'defghij']
  assert [text.get_text() for text in made['samples'].content.texts if text.get_text() in shown] == shown
  grid, images = axes_image(made['samples']), made['samples', 'npz']['images']
  np.testing.assert_array_equal(cell(grid, 1, 1)[..., :1], images[11])  # the second of class 1
  one = outputs(sample, run, number=5, label='dog')
  assert one['samples'].caption == 'Samples of class dog' and (one['samples', 'npz']['labels'] == 1).all()
  with pytest.raises(UserError, match='--label=dgo: VAE has no such class; did you mean dog'):
    outputs(sample, run, label='dgo')


def test_few_classes_have_several_columns_each(run_of):
  made = outputs(sample, run_of('gm vae'), number=36)  # of three clusters
  assert made['samples'].content.shape[:2] == (6 * 10, 6 * 10)
  images = made['samples', 'npz']['images']
  np.testing.assert_array_equal(cell(made['samples'].content, 1, 2), images[8])


def test_samples_of_points_are_arrays_alone(run_of):
  made = outputs(sample, run_of('plane'), number=70)
  assert set(made) == {('samples', 'npz'), 'text'}
  assert set(made['samples', 'npz']) == {'points'} and made['samples', 'npz']['points'].shape == (70, 2)


@pytest.mark.parametrize('name', ['vae', 'autoencoder'])
def test_samples_from_a_mixture_of_the_codes(name, run_of):
  run = run_of(name)
  made = outputs(sample, run, number=400, codes='mixture', gmm_components=3)
  images, latents = (made['samples_mixture', 'npz'][key] for key in ('images', 'latents'))
  np.testing.assert_array_equal(images, decode_pixels(run, latents))
  codes = np.concatenate([np.asarray(run.model.encode(batch)) for batch in run.source.train()])
  np.testing.assert_allclose(latents.mean(0), codes.mean(0), atol=0.25 * codes.std(0).max())
  np.testing.assert_allclose(latents.std(0), codes.std(0), rtol=0.25)
  beside = axes_image(made['samplers'])
  np.testing.assert_array_equal(cell(beside, 4, 2, block=4)[..., :1], images[2])  # below four rows of N(0, I)
  np.testing.assert_array_equal(cell(beside, 5, 0, block=4)[..., :1], images[12])
  assert 'fitted to the codes' in made['samples_mixture'].caption


def test_fewer_samples_of_a_mixture_than_stand_beside_the_prior(run_of):
  made = outputs(sample, run_of('vae'), number=5, codes='mixture')
  assert made['samples_mixture', 'npz']['images'].shape == (5, 8, 8, 1)


@pytest.mark.parametrize(
  ('name', 'options', 'message'),
  [
    ('vae', {'codes': 'mixtur'}, '--codes=mixtur is unknown; did you mean mixture?'),
    ('vae', {'codes': 'mixture', 'gmm_components': 2000}, '--gmm_components=2000: must lie between 1 and the number'),
    ('vae', {'codes': 'mixture', 'label': 3}, '--label=3: --codes=mixture knows no classes'),
    ('vae', {'label': 3}, '--label=3: VAE is not conditional'),
    ('pixelcnn', {'label': 10}, '--label=10: PixelCNN has classes 0 to 9'),
    ('autoencoder', {}, '--mode=sample needs a model that has sample; Autoencoder has not'),
    ('conditional vae', {'codes': 'mixture'}, 'VAE is conditional: a code is of one class'),
    ('categorical vae', {'codes': 'mixture'}, 'CategoricalVAE is of categories'),
    ('plane', {'codes': 'mixture'}, 'needs images'),
    ('gan', {'codes': 'mixture'}, 'needs a model that has encode; GAN has not'),
  ],
)
def test_what_cannot_be_sampled_is_said(name, options, message, run_of):
  with pytest.raises(UserError) as error:
    outputs(sample, run_of(name), **options)
  assert message in str(error.value)
