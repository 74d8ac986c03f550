"""Figures of points in the plane."""

import numpy as np
import pytest
from pictures import outputs

from gen_jax.errors import UserError
from gen_jax.figures import planar
from gen_jax.figures.planar import points, real_points
from gen_jax.figures.write import check_needs
from gen_jax.plots.planar import extent_of, lattice


def test_samples_surface_and_map_are_those_of_the_model(run_of):
  run = run_of('plane')
  made = outputs(points, run)
  assert set(made) == {'points', 'surface', 'transform', 'text'}
  real, rows = real_points(run), {'row': np.arange(4_000, dtype=np.int32)}
  assert real.shape == (4_000, 2)
  target, generated = made['points'].content.axes[0].collections
  samples = np.asarray(run.model.sample(rows)).reshape(-1, 2)
  np.testing.assert_array_equal(np.asarray(target.get_offsets()), real)
  np.testing.assert_allclose(np.asarray(generated.get_offsets()), samples, atol=1e-5)

  extent = extent_of(real)
  logits = np.asarray(run.model.logits({'image': lattice(extent, planar.SIDE).reshape(-1, 1, 1, 2)}))
  filled = made['surface'].content.axes[0].collections[0]
  assert filled.zmax == pytest.approx(1 / (1 + np.exp(-logits.max())), abs=1e-5)

  dots = made['transform'].content.axes[1].collections[0]
  np.testing.assert_allclose(np.asarray(dots.get_offsets()), samples, atol=1e-5)


def test_images_are_no_points(run_of):
  with pytest.raises(UserError, match='--mode=points needs points of the plane; digits is of images, not of points'):
    check_needs(points, run_of('gan'))
