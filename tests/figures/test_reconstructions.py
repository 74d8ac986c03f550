"""Reconstructions and completions stand below the test images that they are of."""

import numpy as np
import pytest
from pictures import axes_image, cell, outputs

from gen_jax.errors import UserError
from gen_jax.figures.inputs import test_batch as first_test_batch
from gen_jax.figures.inputs import to_pixels
from gen_jax.figures.reconstructions import complete, reconstruct
from gen_jax.figures.write import check_needs

MEAN_AND_SAMPLE = {'from the mean code': 'reconstruct', 'from a sampled z': 'reconstruct_sampled'}
RECONSTRUCTIONS = {  # the names of the rows, and the methods that make those below the first
  'vae': {'original': None} | MEAN_AND_SAMPLE,
  'categorical vae': {'original': None} | MEAN_AND_SAMPLE,
  'conditional vae': {'original': None} | MEAN_AND_SAMPLE,
  'gm vae': {'original, binarized': None} | MEAN_AND_SAMPLE,
  'autoencoder': {'original': None, 'reconstruction': 'reconstruct'},  # whose code is no mean
  'sprites': {'original': None} | MEAN_AND_SAMPLE,  # binary as they are stored
}


@pytest.mark.parametrize('name', RECONSTRUCTIONS)
def test_reconstructions_stand_below_their_originals(name, run_of):
  run, methods = run_of(name), RECONSTRUCTIONS[name]
  picture, batch = outputs(reconstruct, run)['reconstructions'], first_test_batch(run)
  grid, rows, size = axes_image(picture), len(methods), batch['image'].shape[1]
  assert [text.get_text() for text in picture.content.texts][1 : 1 + 2 * rows] == list(methods) * 2
  assert ('z ~ q(z|x)' in picture.caption) == ('from a sampled z' in methods)
  shown = [batch['image'] if method is None else getattr(run.model, method)(batch) for method in methods.values()]
  for row, images in enumerate(to_pixels(run, images) for images in shown):
    for column in (0, 9):
      for part in (0, 1):
        image = cell(grid, rows * part + row, column, size, block=rows)[..., :1]
        np.testing.assert_array_equal(image, images[10 * part + column])
  assert len({images.tobytes() for images in map(np.asarray, shown)}) == rows


def test_completions_keep_the_upper_half(run_of):
  run = run_of('pixelcnn')
  picture, batch = outputs(complete, run)['completions'], first_test_batch(run)
  grid = axes_image(picture)
  assert picture.content.texts[1].get_text() == 'original, binarized'
  originals = to_pixels(run, batch['image'])
  lower = []
  for column in range(12):
    np.testing.assert_array_equal(cell(grid, 0, column)[..., :1], originals[column])
    assert (cell(grid, 1, column)[4:] == 128).all()
    for row in range(1, 6):
      np.testing.assert_array_equal(cell(grid, row, column)[:4, :, :1], originals[column, :4])
    lower.append([cell(grid, row, column)[4:] for row in range(2, 6)])
  lower = np.array(lower)
  assert set(np.unique(lower)) == {0, 255} and (lower[:, 0] != lower[:, 1]).any()  # sampled anew in each row


@pytest.mark.parametrize(
  ('figure', 'name', 'message'),
  [
    (complete, 'autoencoder', '--mode=complete needs a model that has complete; Autoencoder has not'),
    (reconstruct, 'gan', '--mode=reconstruct needs a model that has reconstruct; GAN has not'),
  ],
)
def test_models_that_cannot_are_named(figure, name, message, run_of):
  with pytest.raises(UserError, match=message):
    check_needs(figure, run_of(name))
