"""MIG, SAP, DCI, IRS, FactorVAE score and the rest of a model, by codes of the whole grid of factors, computed once."""

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np

from gen_jax.data.sets.grid_of_factors import every_combination
from gen_jax.distributions import Normal
from gen_jax.errors import UserError
from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.disentanglement.dependence import unsupervised
from gen_jax.evaluation.disentanglement.explicitness import modularity_explicitness
from gen_jax.evaluation.disentanglement.importances import dci, dci_scores, forest_importances
from gen_jax.evaluation.disentanglement.information import information_matrix
from gen_jax.evaluation.disentanglement.information_gap import mig, mig_density
from gen_jax.evaluation.disentanglement.interventions import beta_vae_score, factor_vae_score, irs
from gen_jax.evaluation.disentanglement.predictability import sap
from gen_jax.evaluation.disentanglement.subsets import TEST, TRAIN, draw_subsets, points_of
from gen_jax.evaluation.needs import factors, methods, needs, unconditional
from gen_jax.evaluation.source import Source, collect
from gen_jax.metrics import Metric, measures
from gen_jax.types import Batch

DEAD = 1e-3  # standard deviation of the latents that a perfect code has no use for
DRAWS = 2_000  # of each entropy of `mig_density`, from the mixture of all posteriors


class Grid(NamedTuple):
  """The codes of every combination of the factors, the last factor fastest."""

  codes: np.ndarray  # [product of sizes, D]
  log_sigma: np.ndarray | None  # of q(z|x), the same shape, where it is a diagonal Normal
  sizes: tuple[int, ...]  # the number of values of each factor

  @property
  def factors(self) -> np.ndarray:
    """[product of sizes, K]."""
    return every_combination(self.sizes)

  def encode(self, factors: np.ndarray) -> np.ndarray:
    """Codes [n,D] of factors [n,K], looked up."""
    return self.codes[np.ravel_multi_index(tuple(factors.T), self.sizes)]


def code_and_log_sigma(model: nn.Module, batch: Batch) -> tuple[jax.Array, jax.Array | None]:
  """(code [B,D], log sigma of q(z|x) [B,D] or None where that is no diagonal Normal)."""
  q = model.posterior(batch) if hasattr(model, 'posterior') else None
  return (q.mu, q.log_sigma) if isinstance(q, Normal) else (model.encode(batch), None)


def image_of_each_combination(model: nn.Module, source: Source) -> str | None:
  """The splits have at least as many images as there are combinations of the factors."""
  del model
  splits = [source.split(name) for name in ('train', 'validation', 'test')]
  images, combinations = sum(data.size for data in splits), math.prod(splits[0].factor_sizes)
  if images >= combinations:
    return None
  return (
    f'needs an image of each of the {combinations} combinations of the factors; '
    f'the splits of {source.name} have {images} in all'
  )


def encode_grid(model: BoundModel, source: Source) -> Grid:
  """The mean codes of all images of all splits, in one pass; of several images of a combination, the first.

  UserError where a combination of the factors has none.
  """
  code = functools.partial(model.compute, code_and_log_sigma)
  rows = collect(source.everything(), code=code, factors='factors')
  (codes, log_sigma), values = rows['code'], rows['factors']
  sizes = tuple(int(n) + 1 for n in values.max(0))
  place, first = np.unique(np.ravel_multi_index(tuple(values.T), sizes), return_index=True)
  if missing := math.prod(sizes) - len(place):
    raise UserError(
      f'disentanglement needs an image of each of the {math.prod(sizes)} combinations of the factors in one of the '
      f'splits; {missing} have none'
    )
  return Grid(codes[first], None if log_sigma is None else log_sigma[first], sizes)


@measures(
  mig,
  sap,
  modularity_explicitness,
  irs,
  unsupervised,
  {f'dci_fast_{name}': metric for name, metric in dci_scores.metrics.items()},
  beta_vae_score,
  factor_vae_score,
)
def score(grid: Grid) -> tuple[dict[str, float], np.ndarray]:
  """(every metric but boosted trees and `mig_density`, the importances of latents for factors [D,K])."""
  results = {}
  for metric in (mig, sap, modularity_explicitness, irs, unsupervised):
    results |= metric(grid.codes, grid.factors)
  parts = draw_subsets(points_of(grid.codes, grid.factors), (None, None), (TRAIN, TEST), 0)
  importances, accuracies = forest_importances(*parts, 0)
  results |= {f'dci_fast_{name}': value for name, value in dci_scores(importances, accuracies).items()}
  for metric in (beta_vae_score, factor_vae_score):
    results |= metric(grid.encode, grid.sizes)
  return results, importances


def factor_responses(grid: Grid) -> dict[str, np.ndarray]:
  """`response_mean_k` and `response_std_k` [V_k,D]: of the codes of all images with one value of factor k."""
  responses, codes = {}, grid.codes.reshape(*grid.sizes, -1)
  for k in range(len(grid.sizes)):
    others = tuple(axis for axis in range(len(grid.sizes)) if axis != k)
    responses |= {f'response_mean_{k}': codes.mean(others), f'response_std_{k}': codes.std(others)}
  return responses


def perfect_and_noise_codes(sizes: tuple[int, ...], latents: int) -> tuple[Grid, Grid]:
  """A latent for each factor, standardized, and dead ones for the rest; and N(0, I).

  The first factors alone have a latent where there are fewer latents.
  """
  rng, values = np.random.default_rng(0), every_combination(sizes)
  dead = DEAD * rng.standard_normal((len(values), max(0, latents - len(sizes))))
  perfect = np.concatenate([(values - values.mean(0)) / values.std(0), dead], axis=1)[:, :latents]
  return Grid(perfect, None, sizes), Grid(rng.standard_normal((len(values), latents)), None, sizes)


@functools.cache
def perfect_and_noise_scores(sizes: tuple[int, ...], latents: int) -> tuple[dict[str, float], dict[str, float]]:
  """What a perfect code and what noise would score."""
  perfect, noise = perfect_and_noise_codes(sizes, latents)
  return score(perfect)[0], score(noise)[0]


@measures(
  score,
  mig_density,
  {
    'disentanglement_images': Metric('the images whose codes were scored'),
    'perfect_{metric}': Metric('a perfect code'),
    'noise_{metric}': Metric('noise'),
  },
)
@needs(factors, image_of_each_combination, methods('encode'), unconditional)
def disentanglement(model: BoundModel, source: Source) -> Iterator[tuple[str, float | str | np.ndarray]]:
  """Every metric but boosted trees, by the mean codes of all images, with `perfect_` and `noise_` beside each.

  Those are the scores of a perfect code and of noise, for the same factors, sizes and number of latents; none beside
  `mig_density`, which reads the posterior's variances. Arrays for the figures: `factor_information`,
  I(z_j; v_k) / H(v_k), and `factor_importances`, both [D,K]; and those of `factor_responses`.
  """
  grid = encode_grid(model, source)
  yield 'disentanglement_images', f'all {len(grid.codes)}, of all splits'
  (results, importances), (perfect, noise) = score(grid), perfect_and_noise_scores(grid.sizes, grid.codes.shape[1])
  if grid.log_sigma is not None:
    results |= mig_density(grid.codes, 2 * grid.log_sigma, grid.factors, samples=DRAWS)
  for name, value in results.items():
    yield name, value
    if name in perfect and not name[-1].isdigit():  # not of each factor
      yield f'perfect_{name}', perfect[name]
      yield f'noise_{name}', noise[name]
  information, entropies = information_matrix(grid.codes, grid.factors)
  yield 'factor_information', information / entropies
  yield 'factor_importances', importances
  yield from factor_responses(grid).items()


@measures({f'dci_{name}': metric for name, metric in dci_scores.metrics.items()})
@needs(factors, image_of_each_combination, methods('encode'), unconditional)
def boosted_dci(model: BoundModel, source: Source) -> Iterator[tuple[str, float]]:
  """`dci_` disentanglement, completeness and informativeness by boosted trees, as published: minutes."""
  grid = encode_grid(model, source)
  yield from ((f'dci_{name}', value) for name, value in dci(grid.codes, grid.factors).items())
