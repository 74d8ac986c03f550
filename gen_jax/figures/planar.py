"""Points of the plane: samples over their target, the discriminator's surface, the generator's map of the noise."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gen_jax.evaluation.needs import methods
from gen_jax.evaluation.samples import draw_samples
from gen_jax.evaluation.source import Source, collect
from gen_jax.figures.figure import Output, Picture, figure
from gen_jax.figures.inputs import test_batches
from gen_jax.plots import planar
from gen_jax.runs import Run

POINTS, BATCH = 4_000, 1_000  # in a picture, and samples made at a time
SURFACE_REAL = 1_000  # real points in the picture of the surface
SIDE = 120  # places along a side of the surface
LOG_ODDS = ('minimax', 'non_saturating')  # losses of which the discriminator's logit is log p(real) / p(fake)


def planar_data(model: Any, source: Source) -> str | None:
  """Points of the plane, not images."""
  if source.data.kind == 'points':
    return None
  return f'needs points of the plane; {source.name} is of images, not of points'


def real_points(run: Run) -> np.ndarray:
  """Points of the test split, [N,2]."""
  return collect(test_batches(run, POINTS), points='image')['points'].reshape(-1, 2)


@figure(
  'samples of points over their target, and the map of the noise: figures/points.png, surface.png, transform.png',
  needs=(methods('sample'), planar_data),
  place=80,
  automatic=True,
)
def points(run: Run) -> Iterator[Output]:
  """Samples over their target; what a discriminator says of every place; where the plane of the noise is sent."""
  model, real = run.model, real_points(run)
  extent = planar.extent_of(real)
  fake = draw_samples(model, POINTS, BATCH).reshape(-1, 2)
  yield Picture('points', planar.samples_over_target(real, fake, extent=extent), 'Samples over their target')
  if 'logits' in model:
    places = planar.lattice(extent, SIDE).reshape(-1, 1, 1, 2)
    logits = np.asarray(model.logits({'image': places})).reshape(SIDE, SIDE)
    title, critic = 'What the discriminator takes for real', run.module.loss not in LOG_ODDS
    canvas = planar.surface(logits, extent, real[:SURFACE_REAL], fake[:SURFACE_REAL], critic=critic, title=title)
    caption = 'What the discriminator says of every place, under real and generated points'
    yield Picture('surface', canvas, caption)
  if 'decode' in model and 'latents' in model:
    rows = {'row': np.arange(POINTS, dtype=np.int32)}
    z = np.asarray(model.latents(rows))
    if z.shape[1] == 2:
      lines = planar.noise_lines()
      mapped = np.asarray(model.decode(lines.reshape(-1, 2), rows)).reshape(lines.shape)
      samples = np.asarray(model.decode(z, rows)).reshape(-1, 2)
      canvas = planar.transform(lines, mapped, z, samples, extent=extent)
      yield Picture('transform', canvas, 'The plane of the noise, and where the generator sends it')
