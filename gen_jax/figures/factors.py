"""Latents beside the factors that made the data: what each tells of each, and how it responds."""

from collections.abc import Iterator

import numpy as np

from gen_jax.data.dataset import Dataset
from gen_jax.errors import UserError
from gen_jax.figures.figure import Output, Picture, figure
from gen_jax.plots import response_maps
from gen_jax.runs import Run


def factor_names(data: Dataset) -> list[str]:
  """The names of the factors of variation, 'factor k' where they have none."""
  return list(data.factor_names or [f'factor {k}' for k in range(len(data.factor_sizes))])


def entry_names(data: Dataset) -> dict[str, list[str]]:
  """How the data call what a metric is of, for `explain`: {'factor': ['shape', 'scale', ...]}."""
  return {'factor': factor_names(data)}


@figure(
  'latents beside the factors of the data, after --mode=evaluate with disentanglement: figures/factors.png',
  place=70,
  after_evaluation='factor_information',
)
def factors(run: Run) -> Iterator[Output]:
  """Heat maps of the information and the importances, and response curves, of an evaluation of this checkpoint."""
  arrays, names = run.arrays(), factor_names(run.source.data)
  if 'factor_information' not in arrays:
    raise UserError(
      f'{run.workdir}: --mode=factors needs an evaluation of this checkpoint with disentanglement; '
      'run --mode=evaluate --config.evals=disentanglement'
    )
  maps = {
    'mutual information / entropy of the factor': arrays['factor_information'],
    'importances, each factor of 1': arrays['factor_importances'],
  }
  yield Picture('factors', response_maps.heat_maps(maps, names), 'How much each latent tells of each factor')
  means, stds = ([arrays[f'response_{what}_{k}'] for k in range(len(names))] for what in ('mean', 'std'))
  spread = np.hypot(means[0].std(0), np.sqrt((stds[0] ** 2).mean(0)))  # of the codes: between values, and within
  latents = np.argsort(-spread, kind='stable')[: max(1, int((spread >= response_maps.MOVES).sum()))]
  canvas = response_maps.response_curves(means, stds, names, latents)
  yield Picture('responses', canvas, 'How each latent responds to each factor')
