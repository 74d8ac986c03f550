import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gen_jax import randomness
from gen_jax.errors import UserError
from gen_jax.evaluation import mixture

WEIGHTS, MEANS = np.array([0.25, 0.75]), np.array([[-4.0, 0.0], [4.0, 1.0]])
COVARIANCES = np.array([[[1.0, 0.8], [0.8, 1.0]], [[0.25, 0.0], [0.0, 4.0]]])


def known_codes(number=8000):
  noise = np.random.default_rng(0)
  of = (noise.random(number) < WEIGHTS[1]).astype(int)
  factors = np.linalg.cholesky(COVARIANCES)
  return MEANS[of] + np.einsum('nij,nj->ni', factors[of], noise.normal(size=(number, 2)))


def draw(given, rows):
  return np.asarray(jax.jit(given.sample)(randomness.key(0), jnp.asarray(rows)))


def test_a_known_mixture_is_found_again():
  results = mixture.fit(known_codes(), components=2)
  order = np.argsort(results.means[:, 0])
  np.testing.assert_allclose(results.weights[order], WEIGHTS, atol=0.02)
  np.testing.assert_allclose(results.means[order], MEANS, atol=0.1)
  factors = results.factors[order]
  np.testing.assert_allclose(factors @ factors.transpose(0, 2, 1), COVARIANCES, atol=0.2)


def test_samples_have_the_distribution_of_the_mixture():
  given = mixture.Mixture(*(x.astype(np.float32) for x in (WEIGHTS, MEANS, np.linalg.cholesky(COVARIANCES))))
  z = draw(given, range(4000))
  assert z.shape == (4000, 2)
  for d in range(2):  # each margin is a mixture of normals

    def cdf(x, d=d):
      return sum(WEIGHTS[k] * scipy.stats.norm.cdf(x, MEANS[k, d], COVARIANCES[k, d, d] ** 0.5) for k in range(2))

    assert scipy.stats.kstest(z[:, d], cdf).pvalue > 1e-3
  first = z[z[:, 0] < 0]
  np.testing.assert_allclose(np.cov(first.T), COVARIANCES[0], atol=0.12)  # the margins do not show the correlation


def test_a_sample_depends_on_its_row_alone():
  given = mixture.fit(known_codes(300), components=3)
  z = draw(given, range(20))
  np.testing.assert_allclose(draw(given, range(5, 9)), z[5:9], rtol=1e-6)
  assert len(np.unique(z[:, 0])) == 20


def test_codes_with_a_dead_dimension_and_codes_that_coincide():
  codes = np.concatenate([known_codes(200), np.zeros((200, 1))], axis=1)
  z = draw(mixture.fit(codes, components=2), range(50))
  assert np.abs(z[:, 2]).max() < 0.01 and z[:, 0].std() > 1
  same = mixture.fit(np.ones((5, 2)), components=3)  # components of no weight
  np.testing.assert_allclose(draw(same, range(20)), 1.0, atol=0.01)


def test_the_seed_decides():
  codes = known_codes(500)
  means = lambda seed: mixture.fit(codes, 8, seed).means
  np.testing.assert_array_equal(means(1), means(1))
  assert not np.allclose(means(1), means(2))


@pytest.mark.parametrize('components', [0, -1, 6])
def test_components_that_cannot_be(components):
  with pytest.raises(UserError, match=f'--gmm_components={components}: must lie between 1 and the number of codes, 5'):
    mixture.fit(np.zeros((5, 2)), components)
