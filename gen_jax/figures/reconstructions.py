"""Test images beside what a model makes of them: their reconstructions, or lower halves given the upper ones."""

from collections.abc import Iterator

import jax

from gen_jax.evaluation.needs import images, methods
from gen_jax.figures.figure import Output, Picture, figure
from gen_jax.figures.inputs import test_batch, to_pixels
from gen_jax.plots import grids
from gen_jax.runs import Run

RECONSTRUCTED, COMPLETED = 20, 12  # test images
COMPLETIONS = 4  # of each of them
GRAY = 128  # in place of a lower half


@figure(
  'test images and their reconstructions: figures/reconstructions.png',
  needs=(methods('reconstruct'), images),
  place=10,
  automatic=True,
)
def reconstruct(run: Run) -> Iterator[Output]:
  """Test images, and below each its reconstruction."""
  batch, shown = test_batch(run), min(RECONSTRUCTED, run.source.data.size)
  originals, reconstructed = to_pixels(run, batch['image']), to_pixels(run, run.model.reconstruct(batch))
  canvas = grids.reconstructions(originals[:shown], reconstructed[:shown])
  yield Picture('reconstructions', canvas, 'Test images and their reconstructions')


@figure(
  'the lower halves of test images, sampled given the upper ones: figures/completions.png',
  needs=(methods('complete'), images),
  place=30,
  automatic=True,
)
def complete(run: Run) -> Iterator[Output]:
  """Test images, their upper halves, and below these several lower halves that the model samples."""
  shown = min(COMPLETED, run.source.data.size)
  batch = jax.tree.map(lambda x: x[:shown], test_batch(run))
  originals = to_pixels(run, batch['image'])
  upper = originals.copy()
  upper[:, originals.shape[1] // 2 :] = GRAY
  rows = {'original': originals, 'upper half': upper}
  for seed in range(COMPLETIONS):
    rows[f'completion {seed + 1}'] = to_pixels(run, run.bound(seed).complete(batch))
  canvas = grids.labeled_rows(rows, 'The lower halves of test images, sampled given the upper ones')
  yield Picture('completions', canvas, 'Test images completed from their upper halves')
