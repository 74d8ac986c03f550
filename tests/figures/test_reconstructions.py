"""Reconstructions and completions stand below the test images that they are of."""

import numpy as np
import pytest
from pictures import axes_image, cell, outputs

from gen_jax.errors import UserError
from gen_jax.figures.inputs import test_batch as first_test_batch
from gen_jax.figures.inputs import to_pixels
from gen_jax.figures.reconstructions import complete, reconstruct
from gen_jax.figures.write import check_needs


@pytest.mark.parametrize('name', ['vae', 'autoencoder', 'categorical vae', 'conditional vae'])
def test_reconstructions_stand_below_their_originals(name, run_of):
  run = run_of(name)
  grid, batch = axes_image(outputs(reconstruct, run)['reconstructions']), first_test_batch(run)
  originals, reconstructed = to_pixels(run, batch['image']), to_pixels(run, run.model.reconstruct(batch))
  for column in (0, 9):
    for pair in (0, 1):
      np.testing.assert_array_equal(cell(grid, 2 * pair, column, block=2)[..., :1], originals[10 * pair + column])
      below = cell(grid, 2 * pair + 1, column, block=2)[..., :1]
      np.testing.assert_array_equal(below, reconstructed[10 * pair + column])


def test_completions_keep_the_upper_half(run_of):
  run = run_of('pixelcnn')
  grid, batch = axes_image(outputs(complete, run)['completions']), first_test_batch(run)
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
