"""What resampling has drawn most and least, and whether that is what is rare."""

from collections.abc import Iterator

import numpy as np
import scipy.stats

from gen_jax import build
from gen_jax.data.preprocess import to_uint8
from gen_jax.data.resampling import positives_of
from gen_jax.evaluation.source import collect
from gen_jax.figures.figure import Arrays, Output, Picture, Text, figure
from gen_jax.plots import grids, histograms
from gen_jax.runs import Run

SHOWN = 32


def is_resampled(run: Run) -> bool:
  """Whether the run drew its examples by weights."""
  return 'name' in run.config.resampling


@figure(
  'which training images resampling drew most and least, and the weights of each group: figures/resampling_*.png',
  place=114,
  automatic=is_resampled,
)
def resampled(run: Run) -> Iterator[Output]:
  """The positives of the training split by their weights: the first and the last of them, histograms, rank correlation.

  Prints the effective share of the examples, (sum w)^2 / (P sum w^2), and where groups are known, what each weighs on
  average, as a multiple of the mean, and Spearman's correlation of the weight with how rare the example's group is.
  """
  if not is_resampled(run):
    yield Text('config.resampling is not set: nothing was resampled')
    return
  train = run.source.open('train')
  positives = positives_of(train, build.resampling_rule(run.config, train))
  weights = np.asarray(run.state.data['weights'], np.float64) * len(positives)
  order = np.argsort(-weights, kind='stable')
  effective = weights.sum() ** 2 / (len(weights) * (weights**2).sum())
  yield Text(f'effective share of {len(weights)} positives: {effective:.3f}')

  groups = {'all': np.ones(len(positives), bool)}
  for name, values in list(train.attributes.items())[:1]:
    of_positive = train.arrays[name][positives]
    groups = {value: of_positive == i for i, value in enumerate(values) if (of_positive == i).any()}
    rarity = 1 / np.bincount(of_positive)[of_positive]
    correlation = scipy.stats.spearmanr(weights, rarity).statistic if np.ptp(weights) > 0 else 0.0
    yield Text(f"Spearman's correlation of weight and rarity of {name}: {correlation:.3f}")
    for value, members in groups.items():
      yield Text(f'{value}: {members.sum()} images of weight {weights[members].mean():.2f}, the mean of all being 1')
    numbers = {'effective': effective, 'spearman': correlation}
    yield Arrays('resampling', {'weights': weights, 'group': of_positive, **numbers})
  by_group = {name: np.log10(np.maximum(weights[members], 1e-6)) for name, members in groups.items()}
  caption = 'How often the positives of training are drawn, by group: log10 of the weight, 0 for the mean'
  yield Picture('resampling_weights', histograms.overlaid_histograms({'log10 weight': by_group}, caption), caption)
  of = lambda chosen: np.asarray(to_uint8(images_at(run, positives[chosen]), run.source.value_range))
  rows = {'drawn most': of(order[:SHOWN]), 'drawn least': of(order[::-1][:SHOWN])}
  caption = 'The training images that resampling drew most, and least'
  yield Picture('resampling_images', grids.wrapped_rows(rows, caption, columns=16), caption)


def images_at(run: Run, index: np.ndarray) -> np.ndarray:
  """Training images, as the model sees them."""
  every = collect(run.source.train(), images='image', index='index')
  place = np.empty(len(every['index']), int)
  place[every['index']] = np.arange(len(place))
  return every['images'][place[index]]
