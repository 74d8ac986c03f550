"""How samples come out of noise, step by step, images and points."""

import functools
from collections.abc import Iterator

import flax.linen as nn
import numpy as np

from gen_jax.diffusion.samplers import Path
from gen_jax.evaluation.needs import images, methods
from gen_jax.evaluation.samples import sampling_batch
from gen_jax.figures.figure import Output, Picture, figure
from gen_jax.figures.inputs import rows_to_sample, to_pixels
from gen_jax.figures.planar import planar_data, real_points
from gen_jax.plots import grids, planar
from gen_jax.plots.trajectories import trajectory_animation, vector_field
from gen_jax.runs import Run
from gen_jax.types import Batch

FRAMES, SAMPLES = 10, 4  # of a strip, after the first; and samples that have one
WAYS, MOVING, MOMENTS = 150, 1_500, 32  # points whose ways are drawn, that move, and pictures in which they do
SIDE, SHOWN = 22, (0.55, 0.7, 0.85)  # arrows along a side, and the share of the way at which they are shown


@figure(
  'how samples come out of noise: figures/denoising.png',
  needs=(methods('denoiser_of'), images),
  place=24,
  automatic=True,
)
def denoise(run: Run) -> Iterator[Output]:
  """Two rows a sample: what the network sees at evenly spaced steps, and what it takes the image to be."""
  batch = next(rows_to_sample(SAMPLES, run.model.classes))
  path = run.model.compute(functools.partial(trajectory, frames=FRAMES), batch)
  rows = [to_pixels(run, frames[:, i]) for i in range(SAMPLES) for frames in (path.states, path.estimates)]
  labels = [f'{level:.2g}' for level in np.asarray(path.levels)]
  title = 'Out of noise: what the network sees, and below it what it takes the image to be'
  names = ['seen', 'estimate'] * SAMPLES
  canvas = grids.labeled_grid(rows, names, title, column_labels=labels, column_title='sigma', block=2)
  yield Picture('denoising', canvas, title)


def trajectory(model: nn.Module, batch: Batch, frames: int) -> Path:
  """The way to samples, of a model that has one."""
  return model.trajectory(batch, frames)


@figure(
  'the ways of points out of noise: figures/trajectories.png, and as an animation, moving.png',
  needs=(methods('denoiser_of'), methods('velocity'), planar_data),
  place=82,
  automatic=True,
)
def trajectories(run: Run) -> Iterator[Output]:
  """Ways from noise to data over the velocities that move points; states of all moments have the size of the data."""
  model, real = run.model, real_points(run)
  batch = sampling_batch(np.arange(MOVING, dtype=np.int32), model.classes)
  path = model.compute(functools.partial(trajectory, frames=MOMENTS), batch)
  levels, states = np.asarray(path.levels), np.asarray(path.states).reshape(MOMENTS + 1, MOVING, 2)
  extent = planar.extent_of(np.concatenate([real, states[0]]))
  if not model.classes:  # the velocities of each class are others
    places = planar.lattice(extent, SIDE)
    rows = sampling_batch(np.arange(len(places), dtype=np.int32))
    moments = [round(share * MOMENTS) for share in SHOWN]
    at = lambda level: np.asarray(model.velocity(places.reshape(-1, 1, 1, 2), level, rows)).reshape(-1, 2)
    velocities = {f'sigma = {levels[i]:.2g}': at(levels[i]) for i in moments}
    title = 'The ways of points from noise to data, and the velocities that move them'
    yield Picture('trajectories', vector_field(places, velocities, states[:, :WAYS], extent, title=title), title)
  titles = [f'sigma = {level:.2g}' for level in levels]
  moving = trajectory_animation(states, extent, real, titles)
  yield Picture('moving', moving, 'Points on their way from noise to data')
