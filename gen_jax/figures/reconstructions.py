"""Test images beside what a model makes of them: their reconstructions, or lower halves given the upper ones."""

from collections.abc import Iterator

import jax

from gen_jax.evaluation.needs import images, methods
from gen_jax.figures.figure import Output, Picture, figure
from gen_jax.figures.inputs import name_of_originals, test_batch, to_pixels
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
  """Test images, and below each its reconstruction; where there is a posterior, from its mean and from a sample."""
  batch, model, shown = test_batch(run), run.model, min(RECONSTRUCTED, run.source.data.size)
  rows, caption = {name_of_originals(run): batch['image']}, 'Test images and their reconstructions'
  if 'reconstruct_sampled' in model:
    rows |= {'from the mean code': model.reconstruct(batch), 'from a sampled z': model.reconstruct_sampled(batch)}
    caption += ', from the mean code and from z ~ q(z|x)'
  else:
    rows['reconstruction'] = model.reconstruct(batch)
  canvas = grids.wrapped_rows({name: to_pixels(run, images)[:shown] for name, images in rows.items()}, caption)
  yield Picture('reconstructions', canvas, caption)


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
  rows = {name_of_originals(run): originals, 'upper half': upper}
  for seed in range(COMPLETIONS):
    rows[f'completion {seed + 1}'] = to_pixels(run, run.bound(seed).complete(batch))
  canvas = grids.labeled_rows(rows, 'The lower halves of test images, sampled given the upper ones')
  yield Picture('completions', canvas, 'Test images completed from their upper halves')
