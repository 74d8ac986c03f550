"""Outliers: images that are unlike the data of a run, and how well its model, or none, tells them."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gen_jax.data.image_files import conform
from gen_jax.errors import UserError, nearest
from gen_jax.evaluation.needs import images, methods, unlabeled
from gen_jax.evaluation.outliers.images import ALTERED, images_of
from gen_jax.evaluation.outliers.model_free import MODEL_FREE, MOST_VALUES
from gen_jax.evaluation.outliers.suite import INSIDE, Judge, table_of_detection
from gen_jax.figures.figure import TRUST, Arrays, Flag, Output, Picture, Text, figure
from gen_jax.plots import grids, histograms
from gen_jax.runs import Run, load

SHOWN = 16  # most and least typical images
EXAMPLES = 10_000  # of each set, at most
LEFT_OUT = 'left_out'  # the classes of `config.data.without`


@figure(
  'which images are unlike the data, --against=NAME_OR_FOLDER,...: a table of scores, figures/outliers_*.png',
  needs=(methods('log_prob', 'log_weights', 'reconstruct', 'logits', 'outlier_statistics'), unlabeled, images),
  place=112,
  flags={
    'against': Flag(
      tuple(name for name in ALTERED if name != 'rotated'),  # which needs square images
      f'sets of outliers: data sets, folders, {LEFT_OUT} (the classes of config.data.without), and the test images '
      f'altered, {", ".join(ALTERED)}',
    ),
    'background': Flag('', 'the workdir of a model of the same data with noise, for the likelihood ratio'),
    'regret_examples': Flag(0, 'images of each set whose likelihood regret is computed; slow', lower_bound=0),
    'outlier_examples': Flag(EXAMPLES, 'images of each set, the first in a fixed random order', lower_bound=2),
    'trust_workdir': TRUST,
  },
)
def outliers(
  run: Run, against: Sequence[str], background: str, regret_examples: int, outlier_examples: int, trust_workdir: bool
) -> Iterator[Output]:
  """Scores of test images and of outliers, as many: a table, histograms, the most and the least typical images."""
  if not against:
    raise UserError('--mode=outliers needs --against=NAME_OR_FOLDER[,...]')
  sets = sets_of_images(run, against, outlier_examples)
  judge = Judge(run.model, run.source, load(background, trust=trust_workdir).model if background else None)
  free: dict[str, dict[str, np.ndarray]] = {}
  of_model: dict[str, dict[str, np.ndarray]] = {}
  for name, pixels in sets.items():
    regret = {'likelihood regret': judge.regret(pixels[:regret_examples])} if regret_examples else {}
    for scores, values in ((free, judge.model_free_scores(pixels)), (of_model, regret | judge.model_scores(pixels))):
      for score, each in values.items():
        scores.setdefault(score, {})[name] = each
  yield Text(detection_table(free | of_model))
  every = (free | of_model).items()
  yield Arrays('outliers', {f'{score}/{name}': x for score, by_set in every for name, x in by_set.items()})
  yield Picture(
    'outliers_scores',
    histograms.overlaid_histograms(of_model, 'Scores of test images, filled, and of outliers'),
    'What each score of the model says of test images and of outliers',
  )
  yield typical_images(sets, *list(of_model.items())[-1])


def sets_of_images(run: Run, against: Sequence[str], number: int) -> dict[str, np.ndarray]:
  """{name: images uint8 [N,H,W,C]}: the test images, first, and equally many of each set of outliers, or all it has."""
  source = run.source
  inside = images_of(source, min(number, source.data.size))
  sets = {INSIDE: inside}
  for name in against:
    if name in ALTERED:
      sets[name] = ALTERED[name](inside, np.random.default_rng(0))
      continue
    try:
      other = source.left_out() if name == LEFT_OUT else source.other(name)
    except UserError as error:
      raise UserError(f'--against={name}: {error}{nearest(name, ALTERED)}') from None
    if other.data.kind != 'image':
      raise UserError(f'--against={name}: these are {other.data.kind}, no images')
    sets[name] = conform(images_of(other, min(number, other.data.size)), inside.shape[1:])
  if source.data.levels == 2:  # as the model sees them
    sets = {name: np.where(images > 127, np.uint8(255), np.uint8(0)) for name, images in sets.items()}
  return sets


def typical_images(sets: Mapping[str, np.ndarray], name: str, scores: Mapping[str, np.ndarray]) -> Picture:
  """The images of each set that a score finds most and least like the data."""
  rows = {}
  for group, pixels in sets.items():
    order = np.argsort(scores[group], kind='stable')
    rows[f'{group}: most like'] = pixels[order[:SHOWN]]
    rows[f'{group}: least'] = pixels[order[::-1][:SHOWN]]
  caption = f'The images of each set that are most and least like the data, by {name}'
  return Picture('outliers_images', grids.labeled_grid(list(rows.values()), list(rows), caption, block=2), caption)


def detection_table(scores: Mapping[str, Mapping[str, np.ndarray]]) -> str:
  """AUROC, AUPR and FPR at 95 % TPR of each score, a line; the scores that need no model first."""
  found: dict[tuple[str, str], dict[str, float]] = {}
  for score, name, values in table_of_detection(scores):
    found[score, name] = values
  names = list(dict.fromkeys(name for _, name in found))
  width, column = max(map(len, scores)) + 3, max(map(len, names)) + 2
  lines = []
  for title, metric in (('AUROC', 'auroc'), ('AUPR', 'aupr'), ('FPR at 95 % TPR', 'fpr95')):
    lines.append(title.ljust(width) + ''.join(name.rjust(column) for name in names))
    for score in scores:
      label = f'{score} *' if score in MODEL_FREE else score
      values = ''.join(f'{found[score, name][metric]:.3f}'.rjust(column) for name in names)
      lines.append(label.ljust(width) + values)
  if absent := [name for name in MODEL_FREE if name not in scores]:
    lines.append(f'left out, as an image has more than {MOST_VALUES} values: {", ".join(absent)}')
  return '\n'.join([*lines, '* needs no model'])
