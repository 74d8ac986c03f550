"""The beta-VAE score, the FactorVAE score and IRS: of codes in which one factor is held, or set."""

from collections.abc import Callable, Sequence

import numpy as np

from gen_jax.errors import UserError
from gen_jax.evaluation.disentanglement.information import POINTS
from gen_jax.evaluation.disentanglement.subsets import (
  BINS,
  TEST,
  TRAIN,
  bin_codes,
  draw_subsets,
  finite_codes,
  points_of,
)
from gen_jax.metrics import Metric, measures

Encode = Callable[[np.ndarray], np.ndarray]  # factors int [n,K] -> codes [n,D]
VOTES = 500  # encoded at a time
DEAD = 0.05  # latents of a smaller standard deviation take no part in a vote (Locatello et al., 2019)
QUANTILE = 0.99


def sample_factors(rng: np.random.Generator, factor_sizes: Sequence[int], *shape: int) -> np.ndarray:
  """Factors drawn uniformly, int [*shape, K]."""
  return rng.integers(np.asarray(factor_sizes), size=(*shape, len(factor_sizes)))


def encode_factors(encode: Encode, factors: np.ndarray) -> np.ndarray:
  """The codes [..., D] of factors [..., K]. UserError where they are not finite."""
  codes = finite_codes(encode(factors.reshape(-1, factors.shape[-1])))
  return codes.reshape(*factors.shape[:-1], -1)


def check_sizes(factor_sizes: Sequence[int]) -> None:
  """UserError where there is nothing to tell apart."""
  if len(factor_sizes) < 2 or min(factor_sizes) < 2:
    raise UserError(f'factor_sizes={tuple(factor_sizes)}: at least two factors, each of two or more values, are needed')


@measures({
  'beta_vae_score': Metric(
    'the accuracy with which a linear classifier names the factor that two batches of images share', better='higher'
  ),
  'beta_vae_score_train': Metric('the beta-VAE score on the points that its classifier learned from', better='higher'),
})
def beta_vae_score(
  encode: Encode,
  factor_sizes: Sequence[int],
  *,
  seed: int = 0,
  train: int = TRAIN,
  test: int = TEST,
  batch_size: int = 64,
) -> dict[str, float]:
  """The accuracy with which a linear classifier names the factor that two batches share (Higgins et al., 2017).

  A point is the mean over `batch_size` pairs of |z - z'|, factor k of both images of a pair the same, all else drawn
  anew; its label is k. `train` and `test` points; chance is 1 / K. `encode(factors int [n,K]) -> codes [n,D]`;
  `factor_sizes`, the number of values of each factor. Nearly invariant to rotations of the code.
  """
  from sklearn.linear_model import LogisticRegression  # slow to import

  check_sizes(factor_sizes)
  rng = np.random.default_rng(seed)
  known, new = (pair_differences(encode, factor_sizes, rng, count, batch_size) for count in (train, test))
  model = LogisticRegression(max_iter=1_000).fit(*known)
  return {'beta_vae_score': float(model.score(*new)), 'beta_vae_score_train': float(model.score(*known))}


def pair_differences(
  encode: Encode, factor_sizes: Sequence[int], rng: np.random.Generator, count: int, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
  """`count` points of the beta-VAE score: (mean |z - z'| [count,D], the shared factor [count])."""
  points, labels = [], rng.integers(len(factor_sizes), size=count)
  for shared in np.split(labels, range(VOTES, count, VOTES)):
    pair = sample_factors(rng, factor_sizes, 2, len(shared), batch_size)
    rows = np.arange(len(shared))
    pair[1, rows, :, shared] = pair[0, rows, :, shared]
    z, other = encode_factors(encode, pair)
    points.append(np.abs(z - other).mean(1))
  return np.concatenate(points), labels


@measures({
  'factor_vae_score': Metric(
    'the accuracy with which the latent that varies least names the factor that is held', '', 'higher', headline=True
  ),
  'factor_vae_score_train': Metric('the FactorVAE score on the votes that it learned from', better='higher'),
  'active_latents': Metric('how many latents vary enough to vote'),
})
def factor_vae_score(
  encode: Encode,
  factor_sizes: Sequence[int],
  *,
  seed: int = 0,
  train: int = TRAIN,
  test: int = TEST,
  batch_size: int = 64,
) -> dict[str, float]:
  """The accuracy with which the latent that varies least names the factor that is held (Kim & Mnih, 2018).

  A vote is argmin_j Var(z_j) / Var_all(z_j) over `batch_size` images with one value of factor k; a latent stands for
  the factor that most of its `train` votes have; accuracy of `test` votes. Latents of a standard deviation below .05
  do not vote; 0 without others. `active_latents` is the number of those that do. Arguments as of `beta_vae_score`.
  """
  check_sizes(factor_sizes)
  rng = np.random.default_rng(seed)
  variance = encode_factors(encode, sample_factors(rng, factor_sizes, POINTS)).var(axis=0, ddof=1)
  active = np.flatnonzero(np.sqrt(variance) >= DEAD)
  if not len(active):
    return {'factor_vae_score': 0.0, 'factor_vae_score_train': 0.0, 'active_latents': 0.0}
  known, new = (count_votes(encode, factor_sizes, rng, count, batch_size, variance, active) for count in (train, test))
  factor = known.argmax(1)  # that each active latent stands for
  accuracy = lambda table: float(table[np.arange(len(active)), factor].sum() / table.sum())
  return {
    'factor_vae_score': accuracy(new),
    'factor_vae_score_train': accuracy(known),
    'active_latents': float(len(active)),
  }


def count_votes(
  encode: Encode,
  factor_sizes: Sequence[int],
  rng: np.random.Generator,
  count: int,
  batch_size: int,
  variance: np.ndarray,
  active: np.ndarray,
) -> np.ndarray:
  """How often each active latent varies least while each factor is held, [active,K]."""
  table = np.zeros((len(active), len(factor_sizes)))
  labels = rng.integers(len(factor_sizes), size=count)
  for held in np.split(labels, range(VOTES, count, VOTES)):
    factors = sample_factors(rng, factor_sizes, len(held), batch_size)
    rows = np.arange(len(held))
    factors[rows, :, held] = factors[rows, :1, held]
    spread = encode_factors(encode, factors).var(axis=1, ddof=1)[:, active] / variance[active]
    np.add.at(table, (spread.argmin(1), held), 1)
  return table


@measures({
  'irs': Metric('how little the latent of a factor moves when others do, 1 where not at all', better='higher'),
})
def irs(
  codes: np.ndarray, factors: np.ndarray, *, seed: int = 0, bins: int = BINS, points: int | None = None
) -> dict[str, float]:
  """The interventional robustness score of Suter et al. (2019), at most 1.

  For each latent max_k 1 - E_jk / M_j, weighted by M_j = max_n |z_nj - mean z_j|: E_jk is the .99 quantile of
  |z_j - E[z_j|v_k]| among the points of one value of v_k, averaged over its values (factors of more than `bins` values
  cut into `bins`). Constant latents take no part; 0 without others. Arguments as of `mig`.
  """
  (part,) = draw_subsets(points_of(codes, factors), (points,), (POINTS,), seed)
  z = part.codes[:, np.ptp(part.codes, axis=0) > 0]
  if not z.size:
    return {'irs': 0.0}
  coarse = bin_codes(part.factors, bins)
  values = np.where(part.factors.max(0) < bins, part.factors, coarse)
  most = np.abs(z - z.mean(0)).max(0)
  deviation = np.stack([mean_deviation(z, column) for column in values.T], axis=1)  # E [D,K]
  score = (1 - deviation / most[:, None]).max(1)
  return {'irs': float(np.average(score, weights=most))}


def mean_deviation(z: np.ndarray, values: np.ndarray) -> np.ndarray:
  """The quantile of |z_j - E[z_j|v]| within each value v, averaged over the values: [D]."""
  groups = [z[values == value] for value in np.unique(values)]
  return np.mean([np.quantile(np.abs(group - group.mean(0)), QUANTILE, axis=0) for group in groups], axis=0)
