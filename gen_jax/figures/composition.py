"""A diffusion model without its labels, guided by the classifier of another run: p(x|y) by Bayes' rule."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.agreement import extractor_of_the_classes
from gen_jax.evaluation.composition import FARTHEST, Guided, Measured, choose, measure
from gen_jax.evaluation.needs import examples, extractors_of_data, images, labels, methods
from gen_jax.evaluation.source import VALIDATION_ROWS
from gen_jax.figures.figure import TRUST, Arrays, Flag, Output, Picture, Text, figure
from gen_jax.figures.inputs import to_pixels
from gen_jax.plots import grids, tradeoff
from gen_jax.runs import Run, load
from gen_jax.runs.labels import find_class

if TYPE_CHECKING:
  import matplotlib.figure

SHOWN = 12  # classes, at most
LEAST = 1e-6  # strength
BOTH = 64  # samples of two conditions


@figure(
  'classes for a diffusion model without its labels, by --classifier: figures/composition*.png, composition.npz',
  needs=(methods('sample_guided'), images, labels, extractors_of_data, extractor_of_the_classes, examples(2)),
  place=25,
  flags={
    'classifier': Flag('', 'the workdir of a NoisyClassifier of the same data'),
    'strengths': Flag(('0.5', '1', '2', '4', '8'), 'of the classifier; one is chosen on samples of other seeds'),
    'interval': Flag(('0', '1e6'), 'guided at noise levels above the first, up to the second'),
    'both': Flag((), 'two classes or more whose scores are added: a picture of what is drawn, and no numbers'),
    'trust_workdir': TRUST,
  },
)
def compose(
  run: Run,
  classifier: str,
  strengths: Sequence[str],
  interval: Sequence[str],
  both: Sequence[str],
  trust_workdir: bool,
) -> Iterator[Output]:
  """Samples of each class by guiding the model without labels: accuracy against distance over strengths, one chosen.

  config.sample_count samples of each strength; config.sampler says the steps. A strength is chosen on samples beside
  the validation split, the most accurate of those at most twice as far from the data as samples without guidance, and
  reported on fresh ones beside the test split.
  """
  if not classifier:
    raise UserError('--mode=compose needs --classifier=WORKDIR, a run of noisy_classifier on the same data')
  numbers = [number_of(text, 'strengths') for text in strengths]
  ends = [number_of(text, 'interval', 0.0) for text in interval]
  if len(ends) != 2 or ends[0] >= ends[1]:
    raise UserError(f'--interval={",".join(interval)}: must be two noise levels, low,high')
  other = load(classifier, trust=trust_workdir)
  check_classifier(run, other)
  guided = functools.partial(guided_model, run, other, interval=tuple(ends))
  if both:
    yield both_conditions(run, guided(max(numbers)), both)
    return
  beside_validation = dataclasses.replace(
    run.source.of_split('validation'), examples=run.config.validation_examples, first_row=VALIDATION_ROWS
  )
  curve, shown = [], {}
  for strength in (0.0, *numbers):
    measured, samples, wanted = measure(guided(strength), beside_validation)
    classes, firsts = np.unique(wanted, return_index=True)  # the same for all strengths
    curve.append(measured)
    shown[f'strength {strength:g}'] = pixels(samples[firsts[:SHOWN]])
    yield Text(line_of('chosen among', measured))
  chosen = choose(curve[1:], curve[0])
  reported = [measure(guided(x.strength), run.source)[0] for x in (curve[0], chosen)]
  yield from (Text(line_of('reported', x)) for x in reported)
  ratio = reported[1].distance / reported[0].distance
  yield Text(
    f'strength {chosen.strength:g}, chosen on other samples: accuracy {reported[1].accuracy:.4f} at {ratio:.2f} times '
    f'the distance of samples without guidance; {run.config.sample_count} samples each'
  )
  arrays = {name: np.array(values) for name, values in zip(Measured._fields, zip(*curve, strict=True), strict=True)}
  yield Arrays('composition', arrays | {'reported': np.array(reported)})  # [2,6]: without guidance, and the chosen one
  canvas = curve_of(curve[1:], curve.index(chosen) - 1, FARTHEST * curve[0].distance)
  yield Picture('composition', canvas, 'The accuracy of guided samples against their distance from the data')
  caption = 'Classes by a classifier that guides a model without labels, by its strength'
  names = [run.source.data.names_of_classes[number] for number in classes[:SHOWN]]
  yield Picture('composition_samples', grids.labeled_rows(shown, caption, names, 'class'), caption)


def number_of(text: str, flag: str, least: float = LEAST) -> float:
  """A number from `least` on. UserError, which names the flag, for any other text."""
  try:
    number = float(text)
  except ValueError:
    number = -1.0
  if not least <= number < float('inf'):
    raise UserError(f'--{flag}={text}: must be numbers {"above 0" if least else "from 0 on"}')
  return number


def check_classifier(run: Run, other: Run) -> None:
  """Raises UserError where the other run's classifier is none, or none of what the model makes of noise."""
  name, line = type(other.module).__name__, f'--classifier={other.workdir}: '
  if not hasattr(other.module, 'log_posterior'):
    raise UserError(f'{line}{name} is no classifier of noisy images; train experiments/noisy_classifier.py')
  own, theirs = ((x.source.own_key or x.source.name, x.source.shapes['image']) for x in (run, other))
  if own != theirs:
    raise UserError(f'{line}is of {theirs[0]} {list(theirs[1])}, and {run.workdir} of {own[0]} {list(own[1])}')
  if run.source.data.names_of_classes != other.source.data.names_of_classes:
    raise UserError(f'{line}knows other classes than {run.workdir}')
  # x is about the mean for both; their deviations are those of their own inputs, and may differ
  own, theirs = (x.variables['statistics']['mean'] for x in (run, other))
  if not np.allclose(own, theirs, rtol=1e-3, atol=1e-3):
    raise UserError(
      f'{line}its data have another mean, {theirs}, than {own} of {run.workdir}: train it with the same config.data'
    )


def guided_model(run: Run, other: Run, strength: float, interval: tuple[float, float]) -> Guided:
  """The model of a run, guided by the classifier of another."""
  return Guided(run.bound(), other.module, other.variables, run.source.data.num_classes, strength, interval)


def pixels(images: np.ndarray) -> np.ndarray:
  """uint8 of images in [0, 1]."""
  return np.rint(255 * images).astype(np.uint8)


def line_of(what: str, x: Measured) -> str:
  """All that was measured, in one line."""
  return (
    f'{what}: strength {x.strength:g}, accuracy {x.accuracy:.4f}, distance by trace {x.distance:.5f} (lenet '
    f'{x.distance_lenet:.5f}), within classes precision {x.precision:.3f}, recall {x.recall:.3f}'
  )


def curve_of(curve: Sequence[Measured], chosen: int, limit: float) -> matplotlib.figure.Figure:
  """The picture of the curve."""
  names = [f'{x.strength:g}' for x in curve]
  labels = 'Frechet distance by trace, by the CNN', 'accuracy by the CNN', f'{FARTHEST:g} x that without guidance'
  return tradeoff.tradeoff([x.distance for x in curve], [x.accuracy for x in curve], names, chosen, limit, *labels)


def both_conditions(run: Run, model: Guided, classes: Sequence[str]) -> Picture:
  """Samples whose score is that of p(x) prod_k p(y_k|x)^strength, of all the classes at once."""
  numbers = [class_of(run, name) for name in classes]
  rows = np.arange(BOTH, dtype=np.int32)
  labels = np.broadcast_to(np.array(numbers, np.int32), (BOTH, len(numbers)))
  batch = {'row': rows, 'label': labels[:, 0], 'labels': labels}  # a conditional model asks for one, and hides it
  samples = to_pixels(run, model.sample(batch))
  names = ' and '.join(run.source.data.names_of_classes[number] for number in numbers)
  return Picture('composition_both', grids.grid(samples, 8), f'Samples guided to the classes {names} at once')


def class_of(run: Run, name: str) -> int:
  """The number of a class by its name or number. UserError where there is none."""
  try:
    return find_class(name, run.source.data.names_of_classes)
  except UserError as error:
    raise UserError(f'--both={name}: {run.source.name} {error}') from None
