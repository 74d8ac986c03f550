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
  """Points of the test split as the model sees them, [N,2]."""
  return collect(test_batches(run, POINTS), points='image')['points'].reshape(-1, 2)


def axis_names(run: Run) -> tuple[str, ...]:
  """The names of the axes, where the points have units of their user; () where they have none."""
  units = run.source.data.units
  return units.names if units else ()


def extent_in_units(run: Run, extent: planar.Extent) -> planar.Extent:
  """A frame of the model's plane, in the units of the user."""
  left, right, bottom, top = extent
  (left, bottom), (right, top) = run.source.data.in_units(np.array([[left, bottom], [right, top]])).tolist()
  return left, right, bottom, top


@figure(
  'samples of points over their target, and the map of the noise: figures/points.png, surface.png, transform.png',
  needs=(methods('sample'), planar_data),
  place=80,
  automatic=True,
)
def points(run: Run) -> Iterator[Output]:
  """Samples over their target; what a discriminator says of every place; where the plane of the noise is sent.

  All in the units of the user, where the points have such; the latter two of models without classes.
  """
  model, real, in_units = run.model, real_points(run), run.source.data.in_units
  seen = planar.extent_of(real)  # by the model
  extent, names = extent_in_units(run, seen), axis_names(run)
  real, fake = in_units(real), in_units(draw_samples(model, POINTS, BATCH).reshape(-1, 2))
  canvas = planar.samples_over_target(real, fake, extent=extent, names=names)
  yield Picture('points', canvas, 'Samples over their target')
  if model.classes:
    return
  if 'logits' in model:
    places = planar.lattice(seen, SIDE).reshape(-1, 1, 1, 2)
    logits = np.asarray(model.logits({'image': places})).reshape(SIDE, SIDE)
    title, critic = 'What the discriminator takes for real', run.module.loss not in LOG_ODDS
    shown = real[:SURFACE_REAL], fake[:SURFACE_REAL]
    canvas = planar.surface(logits, extent, *shown, critic=critic, title=title, names=names)
    caption = 'What the discriminator says of every place, under real and generated points'
    yield Picture('surface', canvas, caption)
  if 'decode' in model and 'latents' in model:
    rows = {'row': np.arange(POINTS, dtype=np.int32)}
    z = np.asarray(model.latents(rows))
    if z.shape[1] == 2:
      lines = planar.noise_lines()
      places = lines.reshape(-1, 2)
      mapped = np.asarray(model.decode(places, {'row': np.arange(len(places), dtype=np.int32)})).reshape(lines.shape)
      samples = np.asarray(model.decode(z, rows)).reshape(-1, 2)
      canvas = planar.transform(lines, in_units(mapped), z, in_units(samples), extent=extent, names=names)
      yield Picture('transform', canvas, 'The plane of the noise, and where the model sends it')
