"""How well a model translates images: beside the truth, beside what needs no model, and by the features of networks.

Metrics end in the side that images are translated to, `_b` or `_a`, and in `_of_BASELINE` for what needs no model.
"""

from collections.abc import Callable, Iterator, Mapping

import flax.linen as nn
import numpy as np

from gen_jax.data.image_files import conform
from gen_jax.data.side_format import OTHER
from gen_jax.errors import UserError
from gen_jax.evaluation import extractors
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.distances import frechet_from_moments, moments
from gen_jax.evaluation.extractors import NETWORKS, Extractor
from gen_jax.evaluation.needs import examples, images, methods, needs
from gen_jax.evaluation.reference import extractor_outputs
from gen_jax.evaluation.source import Source
from gen_jax.evaluation.translation import errors
from gen_jax.evaluation.translation.baselines import fit_baselines
from gen_jax.evaluation.translation.segmentation import confusions, score_intervals
from gen_jax.evaluation.translation.segmenter import WIDTHS, train_segmenter
from gen_jax.evaluation.translation.sides import Sides, is_map, pairs, sides_of, translations
from gen_jax.evaluation.translation.statistics import mean_interval
from gen_jax.metrics import Metric, measures

Values = Iterator[tuple[str, float]]
FIXED = 12  # images that are translated again and again
EPOCHS_OF_SIDES = 8  # of the images of both sides, to tell them apart
INTERVAL = {'{metric}_interval': Metric('half of the 95 % interval over images')}


def with_baselines(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
  """The metrics, and those of what needs no model, 'NAME_of_{baseline}'."""
  of_baseline = lambda metric: metric._replace(
    meaning=f'{metric.meaning}; of a translation that needs no model', headline=False
  )
  return {**metrics, **{f'{name}_of_{{baseline}}': of_baseline(metric) for name, metric in metrics.items()}}


def candidates(model: BoundModel, source: Source, to: str, paired: bool) -> Iterator[tuple[str, np.ndarray]]:
  """('', the translations to a side), and those that need no model, ('_of_nearest-in-B', ...), of the split."""
  yield '', translations(model, source, to)
  train, images = sides_of(source, 'train'), sides_of(source)
  given, wanted = getattr(train, OTHER[to]), getattr(train, to)
  maps = (is_map(source, OTHER[to]), is_map(source, to))
  for name, translate in fit_baselines(given, wanted, paired, maps).items():
    yield f'_of_{name.replace(" ", "-")}', translate(getattr(images, OTHER[to]))


# Beside the truth


def windows_fit(model: nn.Module, source: Source) -> str | None:
  """Images as large as the window of SSIM."""
  del model
  height, width = source.shapes['image_b'][:2]
  least = 2 * errors.RADIUS + 1
  return None if min(height, width) >= least else f'needs images of at least {least}x{least}, not {height}x{width}'

MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
  'l1': errors.l1,
  'psnr': errors.psnr,
  'ssim': errors.ssim,
}


@measures(
  with_baselines({
    'l1_b': Metric('the mean absolute difference of a translation from the truth, in [-1, 1]', '', 'lower', True),
    'psnr_b': Metric('the peak signal-to-noise ratio of a translation', 'dB', 'higher'),
    'ssim_b': Metric('the structural similarity of a translation and the truth, 1 where they are equal', '', 'higher'),
  }),
  INTERVAL,
)
@needs(methods('translate_to_b'), pairs, windows_fit, examples(2, 'test'))
def translation_errors(model: BoundModel, source: Source) -> Values:
  """L1, PSNR and SSIM of the translations to B of the pairs of the split, and of those that need no model."""
  truth = sides_of(source).b
  for suffix, made in candidates(model, source, 'b', paired=True):
    for name, measure in MEASURES.items():
      value = mean_interval(measure(made, truth))
      yield f'{name}_b{suffix}', value.value
      if not suffix:
        yield f'{name}_b_interval', value.high - value.value


def true_maps(model: nn.Module, source: Source) -> str | None:
  """The data know what a translation should be."""
  del model
  if source.data.true_maps:
    return None
  return f'needs sides of which one is known to be a map of the other; of {source.name} none is'


@measures(
  with_baselines({
    f'true_error_{side}': Metric(
      f'the mean absolute difference of translations to {side.upper()} from the truth, in [-1, 1]', '', 'lower', True
    )
    for side in OTHER
  }),
  INTERVAL,
)
@needs(methods('translate_to_b'), true_maps, examples(2, 'test'))
def true_map_errors(model: BoundModel, source: Source) -> Values:
  """L1 of translations from the true ones, in each direction that is known, and of those that need no model."""
  test = sides_of(source)
  for to, true_map in source.data.true_maps.items():
    if f'translate_to_{to}' not in model:
      continue
    truth = true_map(getattr(test, OTHER[to]))
    for suffix, made in candidates(model, source, to, paired=False):
      value = mean_interval(errors.l1(made, truth))
      yield f'true_error_{to}{suffix}', value.value
      if not suffix:
        yield f'true_error_{to}_interval', value.high - value.value


@needs(methods('translate_to_b'), images)
def fixed_translations(model: BoundModel, source: Source) -> Iterator[tuple[str, np.ndarray]]:
  """`fixed_translations`: what the same images of A become, uint8 [12,H,W,C]."""
  batch = next(source.batches(FIXED))
  yield 'fixed_translations', source.side('b').from_model(np.asarray(model.translate_to_b(batch))[:FIXED])


# By the features of networks


def extractors_are_there(model: nn.Module, source: Source) -> str | None:
  """Both frozen networks."""
  del model
  try:
    for kind in NETWORKS:
      extractors.of_source(kind, source)
  except UserError as error:
    return str(error)
  return None


@measures(
  with_baselines({
    f'frechet_over_trace_{kind}_{side}': Metric(
      f'the Frechet distance of translations from images of {side.upper()}, by the trace of their covariance, by the '
      f'features of a network ({kind})', '', 'lower', kind == 'cnn',
    )
    for kind in NETWORKS for side in OTHER
  }),
  {'{metric}_unseen': Metric('unseen images of that side')},
)  # fmt: skip
@needs(methods('translate_to_b'), extractors_are_there)
def translation_distances(model: BoundModel, source: Source) -> Values:
  """Frechet distances of translations of the split from the training images of their side; of other images of it, too.

  By the features of two frozen networks, see `sample_distances`. Images are brought to the channels that these know.
  """
  train, test = sides_of(source, 'train'), sides_of(source)
  for to in OTHER:
    if f'translate_to_{to}' not in model or is_map(source, to) or getattr(train, to).shape[-1] not in (1, 3):
      continue
    rows = list(candidates(model, source, to, paired=not source.data.own_order))
    for kind in NETWORKS:
      extractor = extractors.of_source(kind, source)
      mean, covariance = moments(features_of(extractor, getattr(train, to)))
      distance = lambda made, e=extractor, m=mean, c=covariance: float(
        frechet_from_moments(*moments(features_of(e, made)), m, c) / np.trace(c)
      )
      for suffix, made in rows:
        yield f'frechet_over_trace_{kind}_{to}{suffix}', distance(made)
      yield f'frechet_over_trace_{kind}_{to}_unseen', distance(getattr(test, to))


def features_of(extractor: Extractor, images: np.ndarray) -> np.ndarray:
  """The features [N,d] of images uint8 [N,H,W,C]."""
  images = conform(images, (*images.shape[1:3], extractor.image_shape[-1]))
  return extractor_outputs(extractor, images.astype(np.float32) / 255)[1]


# By label maps


def photos_of_labels(model: nn.Module, source: Source) -> str | None:
  """Pairs, of which A is a map of labels."""
  if problem := pairs(model, source):
    return problem
  if not is_map(source, 'a'):
    return 'needs a side A that is a map of labels: set config.data.palette_a, or palette_b and swap'
  return can_be_segmented(source)


def can_be_segmented(source: Source) -> str | None:
  """Images that the segmenter can halve as often as it does."""
  height, width = source.shapes['image_b'][:2]
  multiple = 2 ** len(WIDTHS)
  if height % multiple or width % multiple:
    return f'needs images whose sides are multiples of {multiple}, and these are {height}x{width}'
  return None


@measures(
  with_baselines({
    'pixel_accuracy': Metric('the share of pixels to which a segmenter gives their class', '', 'higher', True),
    'class_accuracy': Metric('the mean over classes of the share of their pixels that are found', '', 'higher'),
    'iou': Metric('the intersection of true and found pixels by their union, mean over classes', '', 'higher'),
  }),
  {
    '{metric}_low': Metric('the lower end of the 95 % interval over images'),
    '{metric}_high': Metric('the upper end of the 95 % interval over images'),
    '{metric}_real': Metric('real photos, the ceiling'),
  },
)
@needs(methods('translate_to_b'), photos_of_labels)
def label_consistency(model: BoundModel, source: Source) -> Values:
  """Whether a segmenter finds the label map A in the photo that was made of it, and in real photos.

  The segmenter is trained on real training photos alone, here, with a fixed seed.
  """
  train, validation, test = sides_of(source, 'train'), sides_of(source, 'validation'), sides_of(source)
  classes = train.a.shape[-1]
  labels = lambda sides: sides.a.argmax(-1)
  predict = train_segmenter(train.b, labels(train), validation.b, labels(validation), classes)
  rows = [*candidates(model, source, 'b', paired=True), ('_real', test.b)]
  for suffix, made in rows:
    for name, value in score_intervals(confusions(labels(test), predict(made), classes)).items():
      yield f'{name}{suffix}', value.value
      if not suffix:
        yield from ((f'{name}_low', value.low), (f'{name}_high', value.high))


# By what tells the sides apart


def photos_of_both_sides(model: nn.Module, source: Source) -> str | None:
  """Sides whose images one network can see."""
  del model
  if source.shapes['image_a'] != source.shapes['image_b'] or is_map(source, 'a') or is_map(source, 'b'):
    return 'needs two sides of images alike in shape, and no maps of labels'
  return can_be_segmented(source)


@measures(
  with_baselines({
    f'recognized_{side}': Metric(
      f'the share of translations to {side.upper()} that a network gives to that side, pixel by pixel', '', 'higher',
      True,
    )
    for side in OTHER
  } | {
    f'changed_{side}': Metric(f'the mean absolute difference of translations to {side.upper()} from their images')
    for side in OTHER
  }),
  {**INTERVAL, '{metric}_real': Metric('real images of that side, the ceiling')},
)  # fmt: skip
@needs(methods('translate_to_b'), images, photos_of_both_sides, examples(2, 'test'))
def side_recognition(model: BoundModel, source: Source) -> Values:
  """Whether a network takes translations for images of their side, and how far they are from what they were made of.

  The network is the segmenter: it learns here, with a fixed seed and from real training images alone, to give each
  pixel of an image the side of that image. A translation that only changes the colors may be recognized as well.
  """
  train, validation, test = sides_of(source, 'train'), sides_of(source, 'validation'), sides_of(source)
  predict = train_segmenter(*maps_of_sides(train), *maps_of_sides(validation), len(OTHER), epochs=EPOCHS_OF_SIDES)
  for place, to in enumerate(sorted(OTHER)):
    if f'translate_to_{to}' not in model:
      continue
    share = lambda made, place=place: mean_interval((predict(made) == place).mean((1, 2)))
    images_from = getattr(test, OTHER[to])
    for suffix, made in candidates(model, source, to, paired=not source.data.own_order):
      recognized = share(made)
      yield f'recognized_{to}{suffix}', recognized.value
      yield f'changed_{to}{suffix}', float(errors.l1(made, images_from).mean())
      if not suffix:
        yield f'recognized_{to}_interval', recognized.high - recognized.value
    yield f'recognized_{to}_real', share(getattr(test, to)).value


def maps_of_sides(sides: Sides) -> tuple[np.ndarray, np.ndarray]:
  """Images of both sides [N,H,W,C], and at each pixel the side, 0 for A and 1 for B, [N,H,W]."""
  photos = np.concatenate([sides.a, sides.b])
  place = np.repeat([0, 1], [len(sides.a), len(sides.b)])
  return photos, np.broadcast_to(place[:, None, None], photos.shape[:3])
