"""Samples stand above the training images nearest to them."""

import numpy as np
import pytest
from pictures import axes_image, cell, outputs

from gen_jax.errors import UserError
from gen_jax.evaluation.source import collect
from gen_jax.figures.inputs import to_pixels
from gen_jax.figures.neighbors import neighbors
from gen_jax.figures.write import check_needs


@pytest.mark.parametrize('name', ['gan', 'pixelcnn'])
def test_below_each_sample_stand_the_nearest_training_images(name, run_of):
  run = run_of(name)
  picture = outputs(neighbors, run)['neighbors']
  rows = np.arange(12, dtype=np.int32)
  samples = to_pixels(run, run.model.sample({'row': rows, 'label': rows % 10}))
  training = np.concatenate([to_pixels(run, b['image'])[np.asarray(b['mask']) > 0] for b in run.source.train()])
  distances = ((samples[:, None].astype(float) - training) ** 2).sum((2, 3, 4))
  grid = axes_image(picture)
  for column in range(12):
    np.testing.assert_array_equal(cell(grid, 0, column)[..., :1], samples[column])
    for k in range(3):
      shown = cell(grid, k + 1, column)[..., :1].astype(float)
      assert ((shown - samples[column]) ** 2).sum() == np.sort(distances[column])[k]
  labels = [text.get_text() for text in picture.content.texts]
  assert labels[1:5] == ['sample', 'neighbor 1', 'neighbor 2', 'neighbor 3']
  assert ('binarized training images' in picture.caption) == (name == 'pixelcnn')


def test_of_two_training_images_both_are_shown(run_of, monkeypatch):
  run = run_of('gan')
  training = collect(run.source.train(2), images='image')
  monkeypatch.setitem(neighbors.__globals__, 'collect', lambda *_, **__: training)
  labels = [text.get_text() for text in outputs(neighbors, run)['neighbors'].content.texts]
  assert labels[1:4] == ['sample', 'neighbor 1', 'neighbor 2'] and 'neighbor 3' not in labels


def test_gray_samples_of_a_model_of_binary_images_stand_beside_gray_images(run_of):
  run = run_of('binary vae')
  picture = outputs(neighbors, run)['neighbors']
  assert len(np.unique(cell(axes_image(picture), 1, 0))) > 2 and 'binarized' not in picture.caption


def test_it_is_made_by_itself_for_models_with_a_discriminator_alone(run_of):
  assert neighbors.automatic(run_of('gan')) and not neighbors.automatic(run_of('vae'))
  with pytest.raises(UserError, match='--mode=neighbors needs images; ring holds points'):
    check_needs(neighbors, run_of('plane'))
