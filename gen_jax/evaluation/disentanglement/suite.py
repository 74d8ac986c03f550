"""All metrics of a trained model, by codes of the whole grid of factors, which are computed once."""

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
from gen_jax.evaluation.disentanglement.dependence import unsupervised
from gen_jax.evaluation.disentanglement.explicitness import modularity_explicitness
from gen_jax.evaluation.disentanglement.importances import by_forests, dci, scores
from gen_jax.evaluation.disentanglement.information import information_matrix
from gen_jax.evaluation.disentanglement.information_gap import mig, mig_density
from gen_jax.evaluation.disentanglement.interventions import beta_vae_score, factor_vae_score, irs
from gen_jax.evaluation.disentanglement.predictability import sap
from gen_jax.evaluation.disentanglement.subsets import TEST, TRAIN, checked, drawn
from gen_jax.evaluation.means import Batches
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


def encoded_grid(verbs, all_batches: Batches) -> Grid:
  """The mean codes of all images, in one pass; of several images of a combination, the first.

  UserError where a combination of the factors has none.
  """
  codes, log_sigma, factors = [], [], []
  for batch in all_batches():
    there = np.asarray(batch['mask']) > 0
    code, spread = verbs.compute(code_and_log_sigma, batch)
    codes.append(np.asarray(code)[there])
    log_sigma += [] if spread is None else [np.asarray(spread)[there]]
    factors.append(np.asarray(batch['factors'])[there])
  factors = np.concatenate(factors)
  sizes = tuple(int(n) + 1 for n in factors.max(0))
  place, first = np.unique(np.ravel_multi_index(tuple(factors.T), sizes), return_index=True)
  if missing := math.prod(sizes) - len(place):
    raise UserError(
      f'disentanglement needs an image of each of the {math.prod(sizes)} combinations of the factors in one of the '
      f'splits; {missing} have none'
    )
  return Grid(np.concatenate(codes)[first], np.concatenate(log_sigma)[first] if log_sigma else None, sizes)


def measured(grid: Grid) -> tuple[dict[str, float], np.ndarray]:
  """(every metric but boosted trees and `mig_density`, the importances of latents for factors [D,K])."""
  codes, factors = grid.codes, grid.factors
  found = {}
  for metric in (mig, sap, modularity_explicitness, irs, unsupervised):
    found |= metric(codes, factors)
  importances, accuracies = by_forests(*drawn(checked(codes, factors), (None, None), (TRAIN, TEST), 0), 0)
  found |= {f'dci_fast_{name}': score for name, score in scores(importances, accuracies).items()}
  for metric in (beta_vae_score, factor_vae_score):
    found |= metric(grid.encode, grid.sizes)
  return found, importances


def responses(grid: Grid) -> dict[str, np.ndarray]:
  """`response_mean_k` and `response_std_k` [V_k,D]: of the codes of all images with one value of factor k."""
  found, codes = {}, grid.codes.reshape(*grid.sizes, -1)
  for k in range(len(grid.sizes)):
    others = tuple(axis for axis in range(len(grid.sizes)) if axis != k)
    found |= {f'response_mean_{k}': codes.mean(others), f'response_std_{k}': codes.std(others)}
  return found


def perfect_and_noise(sizes: tuple[int, ...], latents: int) -> tuple[Grid, Grid]:
  """A latent for each factor, standardised, and dead ones for the rest; and N(0, I).

  The first factors alone have a latent where there are fewer latents.
  """
  rng, factors = np.random.default_rng(0), every_combination(sizes)
  dead = DEAD * rng.standard_normal((len(factors), max(0, latents - len(sizes))))
  perfect = np.concatenate([(factors - factors.mean(0)) / factors.std(0), dead], axis=1)[:, :latents]
  return Grid(perfect, None, sizes), Grid(rng.standard_normal((len(factors), latents)), None, sizes)


@functools.cache
def bounds(sizes: tuple[int, ...], latents: int) -> tuple[dict[str, float], dict[str, float]]:
  """What a perfect code and what noise would score."""
  perfect, noise = perfect_and_noise(sizes, latents)
  return measured(perfect)[0], measured(noise)[0]


def evaluator(verbs, batches: Batches, *, all_batches: Batches) -> Iterator[tuple[str, float | np.ndarray]]:
  """Every metric but boosted trees, by the mean codes of all images, with `perfect_` and `noise_` beside each.

  Those are the scores of a perfect code and of noise, for the same factors, sizes and number of latents; none beside
  `mig_density`, which reads the posterior's variances. `all_batches`: of all splits. Arrays for the figures:
  `factor_information`, I(z_j; v_k) / H(v_k) and `factor_importances`, both [D,K]; and `responses`.
  """
  del batches
  grid = encoded_grid(verbs, all_batches)
  yield 'disentanglement_images', f'all {len(grid.codes)}, of all splits'
  (found, importances), (perfect, noise) = measured(grid), bounds(grid.sizes, grid.codes.shape[1])
  if grid.log_sigma is not None:
    found |= mig_density(grid.codes, 2 * grid.log_sigma, grid.factors, samples=DRAWS)
  for name, score in found.items():
    yield name, score
    if name in perfect and not name[-1].isdigit():  # not of each factor
      yield f'perfect_{name}', perfect[name]
      yield f'noise_{name}', noise[name]
  information, entropies = information_matrix(grid.codes, grid.factors)
  yield 'factor_information', information / entropies
  yield 'factor_importances', importances
  yield from responses(grid).items()


def boosted_dci(verbs, batches: Batches, *, all_batches: Batches) -> Iterator[tuple[str, float]]:
  """`dci_` disentanglement, completeness and informativeness by boosted trees, as published: minutes."""
  del batches
  grid = encoded_grid(verbs, all_batches)
  yield from ((f'dci_{name}', score) for name, score in dci(grid.codes, grid.factors).items())
