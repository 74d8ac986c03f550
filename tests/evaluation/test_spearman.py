import numpy as np
import pytest
import scipy.stats
from sources import KnownSource, padded_batches

from gen_jax.evaluation.spearman import rank_correlations, spearman


class Codes:
  """A model whose codes are given."""

  @staticmethod
  def encode(batch):
    return batch['codes']


def test_the_latent_that_follows_a_factor_is_found_whatever_its_sign_and_shape():
  noise = np.random.default_rng(0)
  factors = np.stack([noise.integers(0, 5, 60), noise.integers(0, 30, 60)], axis=1)
  noisy = factors[:, 0] + 0.5 * noise.normal(size=60)
  codes = np.stack([np.zeros(60), -np.exp(factors[:, 1] / 5), noise.normal(size=60), noisy], axis=1)
  source = KnownSource(padded_batches(30, 3, fill=99, codes=codes[:57], factors=factors[:57]))
  results = dict(spearman(Codes, source))
  assert (results['spearman_latent_0'], results['spearman_latent_1']) == (3.0, 1.0)
  np.testing.assert_allclose(results['spearman_1'], 1.0)
  expected = abs(scipy.stats.spearmanr(codes[:57, 3], factors[:57, 0]).statistic)
  np.testing.assert_allclose(results['spearman_0'], expected, rtol=1e-6)


@pytest.mark.parametrize(('latents', 'columns'), [(1, 1), (2, 1), (1, 3), (3, 2)])
def test_rank_correlations_are_those_of_each_pair_however_few_there_are(latents, columns):
  noise = np.random.default_rng(latents)
  a, b = noise.normal(size=(50, latents)), noise.integers(0, 6, (50, columns))  # b with ties
  b = b + 3 * np.exp(a[:, :1]).round()
  expected = [[scipy.stats.spearmanr(x, y).statistic for y in b.T] for x in a.T]
  np.testing.assert_allclose(rank_correlations(a, b), expected, atol=1e-12)
  assert np.abs(expected).max() > 0.3


def test_a_constant_column_correlates_with_nothing():
  x = np.arange(9.0)[:, None]
  np.testing.assert_allclose(rank_correlations(x, np.concatenate([-x, 0 * x], axis=1)), [[-1, 0]], atol=1e-12)
  source = KnownSource(padded_batches(9, 3, fill=99, codes=0 * x, factors=x.astype(int)))  # one latent, and dead
  assert dict(spearman(Codes, source)) == {'spearman_0': 0, 'spearman_latent_0': 0}
