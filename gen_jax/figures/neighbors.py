"""Samples beside the training images nearest to them, by which copies of training images are seen."""

from collections.abc import Iterator

from gen_jax.evaluation.memorization import nearest_neighbors
from gen_jax.evaluation.needs import images, methods
from gen_jax.evaluation.samples import draw_samples, like_samples
from gen_jax.evaluation.source import collect
from gen_jax.figures.figure import Output, Picture, figure
from gen_jax.figures.inputs import sees_binarized, to_pixels
from gen_jax.plots import grids
from gen_jax.runs import Run

SAMPLES, NEAREST = 12, 3  # samples, and training images below each


@figure(
  'samples beside the training images nearest to them: figures/neighbors.png',
  needs=(methods('sample'), images),
  place=100,
  automatic=lambda run: 'logits' in run.model,  # of a discriminator, by which a generator may learn to copy
  formerly=('neighbours',),
)
def neighbors(run: Run) -> Iterator[Output]:
  """Samples, and below each the training images nearest to it in pixels."""
  samples = to_pixels(run, draw_samples(run.model, SAMPLES, SAMPLES))
  source = like_samples(samples / 255, run.source)  # binary images beside binary ones alone
  training = to_pixels(run, collect(source.train(), images='image')['images'])
  number = min(NEAREST, len(training))
  nearest, _ = nearest_neighbors(samples, training, number)
  rows = {'sample': samples} | {f'neighbor {i + 1}': training[nearest[:, i]] for i in range(number)}
  binarized = 'binarized ' if source is run.source and sees_binarized(run) else ''
  caption = f'Samples, and the {binarized}training images nearest to each'
  yield Picture('neighbors', grids.labeled_rows(rows, caption), caption)
