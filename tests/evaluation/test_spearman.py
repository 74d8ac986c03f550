import numpy as np
import scipy.stats
from sources import KnownSource, padded_batches

from gen_jax.evaluation.spearman import spearman


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

