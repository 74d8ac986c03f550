"""What fixed noise becomes over training, read from what evaluations left."""

import dataclasses
import io
import types

import numpy as np
import pytest
from pictures import axes_image, cell, outputs
from PIL import Image

from gen_jax.data.dataset import Units
from gen_jax.errors import UserError
from gen_jax.figures.progress import (
  arrays_by_step,
  evenly_spaced,
  last_of_stages,
  progress,
  resolutions,
  what_stood_fixed,
)
from gen_jax.figures.write import check_needs
from gen_jax.files import save_arrays
from gen_jax.plots import grids
from gen_jax.stages import Stage


def images(seed):
  return np.random.default_rng(seed).integers(0, 256, (100, 8, 8, 1), dtype=np.uint8)


@pytest.fixture
def workdir(tmp_path):
  """Of a run that was begun by an older version: step 5 from then, 10 from both, 100 and 1000 new."""
  (tmp_path / 'fixed_noise').mkdir()
  for step in (5, 10):
    np.save(tmp_path / f'fixed_noise/{step:09d}.npy', images(step))
  for step in (10, 100, 1000):
    save_arrays(tmp_path / f'evaluations/{step:09d}.npz', {'fixed_noise': images(-step % 99), 'other': np.eye(2)})
  save_arrays(tmp_path / 'evaluations/000000050.npz', {'other': np.eye(2)})
  save_arrays(tmp_path / 'evaluations/notes.npz', {'fixed_noise': images(0)})
  return tmp_path


def test_both_kinds_of_files_are_read_in_the_order_of_steps(workdir):
  by_step = arrays_by_step(workdir, 'fixed_noise')
  assert list(by_step) == [5, 10, 100, 1000]
  np.testing.assert_array_equal(by_step[5], images(5))
  for step in (10, 100, 1000):  # the newer file where there are two
    np.testing.assert_array_equal(by_step[step], images(-step % 99))


def test_a_strip_and_an_animation_of_images(workdir, run_of):
  run = run_of('gan')
  made = outputs(progress, types.SimpleNamespace(workdir=workdir, source=run.source))
  grid, by_step = axes_image(made['progress']), arrays_by_step(workdir, 'fixed_noise')
  for row, stored in enumerate(by_step.values()):
    for column in (0, 11):
      np.testing.assert_array_equal(cell(grid, row, column)[..., :1], stored[column])
  labels = [text.get_text() for text in made['progress'].content.texts]
  assert labels[1:5] == ['step 5', 'step 10', 'step 100', 'step 1,000']
  with Image.open(io.BytesIO(made['animation'].content)) as moving:
    assert moving.n_frames == 5  # the first is shown by what knows no animations
    moving.seek(2)
    frame = np.asarray(moving.convert('L'))
  np.testing.assert_array_equal(frame[::2, ::2], grids.grid(by_step[10], 10)[..., 0])


@pytest.mark.parametrize('name', ['gan', 'plane'])
def test_training_leaves_what_it_shows(name, run_of):
  run = run_of(name)
  assert what_stood_fixed(run) == 'fixed_noise' and progress.automatic(run)
  assert list(arrays_by_step(run.workdir, 'fixed_noise')) == [2, 4]
  made = outputs(progress, run)
  with Image.open(io.BytesIO(made['animation'].content)) as moving:
    frames = []
    for i in (1, 2):
      moving.seek(i)
      frames.append(np.asarray(moving.convert('L')))
  assert (frames[0] != frames[1]).any() and all(np.ptp(frame) > 50 for frame in frames)


def test_points_are_shown_in_the_units_of_their_user(run_of):
  run = run_of('plane')
  units = Units((5000.0, -3.0), (100.0, 0.01), ('km', 'kg'))
  run = dataclasses.replace(run, source=dataclasses.replace(run.source, data=run.source.data._replace(units=units)))
  first, last = outputs(progress, run)['progress'].content.axes
  for axes, points in ((first, 2), (last, 4)):
    real, fake = (np.asarray(drawn.get_offsets()) for drawn in axes.collections)
    np.testing.assert_allclose(fake, units.restore(arrays_by_step(run.workdir, 'fixed_noise')[points]))
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert ((real > (left, bottom)) & (real < (right, top))).all()


def test_a_run_without_fixed_noise(run_of):
  run = run_of('vae')
  assert not what_stood_fixed(run)
  with pytest.raises(UserError, match=r'train with fixed_noise or fixed_translations among config.evals'):
    outputs(progress, run)


@pytest.mark.parametrize('name', ['fixed_noise/000000005.npy', 'evaluations/000000010.npz'])
def test_damaged_files_are_named(name, workdir):
  (workdir / name).write_bytes((workdir / name).read_bytes()[:100])
  with pytest.raises(UserError, match=f'{name} is damaged'):
    arrays_by_step(workdir, 'fixed_noise')


def test_every_stage_has_its_last_step():
  stages = (Stage(0, 10, 4, 0), Stage(10, 30, 8, 5), Stage(30, 50, 16, 5), Stage(50, 70, 32, 5))
  steps = [5, 10, 12, 20, 51, 60]  # at step 10 the images are still of 4x4; of 16x16 there are none
  assert last_of_stages(stages, steps) == {stages[0]: 10, stages[1]: 20, stages[3]: 60}


def test_a_strip_has_a_row_for_each_stage(run_of):
  run = run_of('growing gan')
  picture = outputs(resolutions, run)['resolutions']
  assert [text.get_text() for text in picture.content.texts][1:] == ['4x4, step 1', '8x8, step 4', '']
  grid, by_step = axes_image(picture), arrays_by_step(run.workdir, 'fixed_noise')
  assert grid.shape[:2] == (2 * 10, 12 * 10)
  for row, step in enumerate((1, 4)):
    for column in (0, 11):
      np.testing.assert_array_equal(cell(grid, row, column)[..., :1], by_step[step][column])
  patches = cell(grid, 0, 0)[..., 0].reshape(4, 2, 4, 2)
  assert (np.ptp(patches, axis=(1, 3)) == 0).all() and np.ptp(patches) > 0


def test_a_run_without_stages_has_no_resolutions(run_of):
  with pytest.raises(UserError, match=r'resolutions needs networks that grow; config.stages.resolutions is \(\)'):
    check_needs(resolutions, run_of('gan'))


def test_a_run_that_has_grown_unseen_has_no_strip(run_of, tmp_path):
  with pytest.raises(UserError, match=r'train with fixed_noise among config.evals'):
    outputs(resolutions, dataclasses.replace(run_of('growing gan'), workdir=tmp_path))


def test_steps_are_evenly_spaced():
  assert evenly_spaced(list(range(0, 1000, 10)), 4) == [0, 330, 660, 990]
  assert evenly_spaced([3, 5], 40) == [3, 5]
  assert evenly_spaced([], 40) == []
