"""Samples on their way out of noise, and images that are completed."""

import io

import numpy as np
import pytest
from matplotlib.text import Text
from pictures import axes_image, cell, outputs
from PIL import Image

from gen_jax.errors import UserError
from gen_jax.figures import denoise, diffusion, trajectories
from gen_jax.figures.diffusion import FRAMES, SAMPLES
from gen_jax.figures.inputs import to_pixels
from gen_jax.figures.write import check_needs


def test_a_strip_begins_in_noise_and_ends_in_the_sample(run_of):
  run = run_of('diffusion')
  picture = outputs(denoise, run)['denoising']
  pixels = axes_image(picture)
  batch = {'row': np.arange(64, dtype=np.int32), 'label': np.arange(64, dtype=np.int32) % 10}
  samples = to_pixels(run, run.model.sample(batch))
  gray = lambda image: np.repeat(image, 3, axis=-1)
  for i in range(SAMPLES):
    for row in (2 * i, 2 * i + 1):
      np.testing.assert_allclose(cell(pixels, row, FRAMES, block=2).astype(int), gray(samples[i]), atol=1)
    first = cell(pixels, 2 * i, 0, block=2)
    assert first.std() > 60  # of noise as wide as the data
  labels = [text.get_text() for text in picture.content.findobj(Text)]
  assert '80' in labels and '0' in labels


def test_a_completion_keeps_the_upper_half(run_of):
  run = run_of('diffusion')
  batch = next(run.source.batches(8))
  completed = np.asarray(run.bound(1).complete(batch))
  np.testing.assert_allclose(completed[:, :4], batch['image'][:, :4], atol=1e-5)
  assert np.abs(completed[:, 4:] - batch['image'][:, 4:]).max() > 0.1
  other = np.asarray(run.bound(2).complete(batch))
  assert np.abs(other - completed)[:, 4:].max() > 0.1


def test_points_move_from_noise_to_their_samples(run_of):
  run = run_of('diffusion in the plane')
  made = outputs(trajectories, run)
  samples = np.asarray(run.model.sample({'row': np.arange(diffusion.MOVING, dtype=np.int32)})).reshape(-1, 2)
  axes = made['trajectories'].content.axes
  assert len(axes) == len(diffusion.SHOWN)
  ends = np.asarray(axes[0].collections[2].get_offsets())
  np.testing.assert_allclose(ends, samples[: diffusion.WAYS], atol=1e-4)
  with Image.open(io.BytesIO(made['moving'].content)) as animation:
    assert 1 < animation.n_frames <= diffusion.MOMENTS + 1  # equal ones are one


def test_points_have_no_strip(run_of):
  with pytest.raises(UserError, match='--mode=denoise needs images'):
    check_needs(denoise, run_of('diffusion in the plane'))
