"""Test images beside what a model translates them to, with the truth, or there and back; and the paths of points."""

from collections.abc import Iterator

import numpy as np

from gen_jax.data.side_format import OTHER
from gen_jax.evaluation.needs import images, methods
from gen_jax.evaluation.source import collect
from gen_jax.evaluation.translation.sides import is_own
from gen_jax.figures.figure import Output, Picture, figure
from gen_jax.figures.inputs import test_batch, test_batches
from gen_jax.figures.planar import planar_data
from gen_jax.plots import grids, planar
from gen_jax.runs import Run

SHOWN, POINTS = 12, 2_000


@figure(
  'test images, and what they are translated to: figures/translations_to_b.png, and to_a',
  needs=(methods('translate_to_b'), images),
  place=12,
  automatic=True,
)
def translations(run: Run) -> Iterator[Output]:
  """Test images of A, their translations, and the truth of pairs; or each side, there, and back."""
  batch, model = test_batch(run), run.model
  pairs = not run.source.data.own_order
  for to in ('b', 'a'):
    if f'translate_to_{to}' not in model:
      continue
    given = OTHER[to]
    show = {side: lambda x, side=side: run.side(side).from_model(np.asarray(x)[:SHOWN]) for side in OTHER}
    made = getattr(model, f'translate_to_{to}')(batch)
    rows = {given.upper(): show[given](batch[f'image_{given}']), f'to {to.upper()}': show[to](made)}
    if pairs:
      rows[f'true {to.upper()}'] = show[to](batch[f'image_{to}'])
    elif f'translate_to_{given}' in model:
      back = getattr(model, f'translate_to_{given}')({**batch, f'image_{to}': made})
      rows['and back'] = show[given](back)
    for true_side, true_map in run.source.data.true_maps.items():
      if true_side == to:
        rows[f'true {to.upper()}'] = true_map(rows[given.upper()])
    title = f'Test images of {given.upper()}, translated'
    yield Picture(f'translations_to_{to}', grids.labeled_rows(rows, title), title)


@figure(
  'points of one side, and the way that each is sent: figures/paths_to_b.png, figures/paths_to_a.png',
  needs=(methods('translate_to_b'), planar_data),
  place=13,
  automatic=True,
)
def paths(run: Run) -> Iterator[Output]:
  """Where points of a side are sent, over those of the other side, with lines from where they were."""
  found = collect(test_batches(run, POINTS), a='image_a', b='image_b', index='index')
  own = {side: is_own(run.source, side, found['index']) for side in OTHER}
  points = {side: found[side][own[side]].reshape(-1, 2) for side in OTHER}
  for to in ('b', 'a'):
    if f'translate_to_{to}' in run.model:
      made = collect(test_batches(run, POINTS), made=getattr(run.model, f'translate_to_{to}'))['made']
      title = f'Points of {OTHER[to].upper()}, sent to {to.upper()}'
      sent = made[own[OTHER[to]]].reshape(-1, 2)
      yield Picture(f'paths_to_{to}', planar.paths(points[OTHER[to]], sent, points[to], title), title)
