import dataclasses
import itertools

import numpy as np
import pytest
from sources import KnownSource, padded_batches

from gen_jax.data.sets.grid_of_factors import every_combination
from gen_jax.distributions import Normal
from gen_jax.errors import UserError
from gen_jax.evaluation.disentanglement import suite
from gen_jax.evaluation.disentanglement.suite import boosted_dci, disentanglement

SIZES = (3, 4, 5)
FACTORS = every_combination(SIZES)


@dataclasses.dataclass
class Codes:
  """A model whose codes are the factors, two of them exchanged, and noise; with a posterior or without."""

  normal: bool

  def compute(self, function, batch):
    return function(self if self.normal else Encoder(), batch)

  @staticmethod
  def encode(batch):
    v = np.asarray(batch['factors'], np.float32)
    return np.concatenate([v[:, [1, 0, 2]], 0.1 * np.sin(7 * v.sum(1, keepdims=True))], axis=1)

  def posterior(self, batch):
    return Normal(self.encode(batch), np.full((len(batch['factors']), 4), -2.0, np.float32))


class Encoder:
  """A model without a posterior."""

  encode = staticmethod(Codes.encode)


def source_of(rows):
  return KnownSource(everything=padded_batches(-(-len(rows) // 4), 2, fill=99, factors=FACTORS[rows]))


EVERY = source_of(np.random.default_rng(0).permutation(len(FACTORS)))


def test_factors_of_a_grid():
  np.testing.assert_array_equal(FACTORS, list(itertools.product(*map(range, SIZES))))


@pytest.mark.parametrize('normal', [False, True])
def test_codes_are_in_the_order_of_the_grid(normal):
  grid = suite.encode_grid(Codes(normal), EVERY)
  assert grid.sizes == SIZES and (grid.log_sigma is not None) == normal
  expected = Codes.encode({'factors': FACTORS})
  np.testing.assert_array_equal(grid.codes, expected)
  some = FACTORS[[7, 50, 7]]
  np.testing.assert_array_equal(grid.encode(some), Codes.encode({'factors': some}))


def test_a_combination_without_an_image_is_named():
  with pytest.raises(UserError, match='of the 60 combinations of the factors in one of the splits; 2 have none'):
    suite.encode_grid(Codes(False), source_of(np.arange(1, 59)))


def test_every_score_has_its_bounds():
  results = dict(disentanglement(Codes(True), EVERY))
  names = ('mig', 'sap', 'modularity', 'explicitness_test', 'irs', 'beta_vae_score', 'factor_vae_score')
  for name in (*names, 'dci_fast_disentanglement', 'dci_fast_completeness', 'dci_fast_informativeness_test'):
    assert results[f'noise_{name}'] <= results[f'perfect_{name}'] <= 1 + 1e-9
  # exchanged factors are a perfect code; noise seems to know much, of so few points
  assert results['mig'] > 0.8 and results['perfect_mig'] > results['noise_mig'] + 0.3
  assert results['beta_vae_score'] == results['perfect_beta_vae_score'] == 1.0
  assert 0 < results['mig_density'] < 1
  for name in ('factor_information', 'factor_importances'):
    assert results[name].argmax(0).tolist() == [1, 0, 2]
  np.testing.assert_allclose(results['response_mean_0'][:, 1], [0, 1, 2], atol=1e-5)  # the second latent is factor 0
  np.testing.assert_allclose(results['response_mean_0'][:, 0], 1.5, atol=1e-5)
  np.testing.assert_allclose(results['response_std_2'][:, 1], np.std([0, 1, 2]), atol=1e-5)


def test_boosted_trees_are_an_evaluator_of_their_own():
  results = dict(boosted_dci(Codes(False), EVERY))
  assert results['dci_disentanglement'] > 0.9 and set(results) == {
    f'dci_{name}' for name in ('disentanglement', 'completeness', 'informativeness_train', 'informativeness_test')
  }
