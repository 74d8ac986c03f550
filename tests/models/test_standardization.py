"""The mean and the deviation of the training data, which models keep beside their parameters."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from gen_jax.models import standardization


@pytest.mark.parametrize('count', [7, standardization.PART, 2 * standardization.PART + 3])
def test_what_is_measured_is_of_all_examples(count):
  x = np.random.default_rng(0).normal([300.0, -1.0], [0.5, 2.0], size=(count, 2, 3, 2)).astype(np.float32)
  measured = standardization.measure(x)['statistics']
  exact = x.astype(np.float64)
  np.testing.assert_allclose(measured['mean'], exact.mean((0, 1, 2)), rtol=1e-6)
  np.testing.assert_allclose(measured['deviation'], np.sqrt(exact.var((0, 1, 2)).mean()), rtol=1e-5)
  given = standardization.measure(x, 0.25)['statistics']
  assert given['deviation'] == 0.25 and np.array_equal(given['mean'], measured['mean'])


def test_the_places_have_the_shapes_of_what_is_measured():
  class Model(nn.Module):
    def setup(self):
      self.places = standardization.declare(self, 3)

    def __call__(self):
      return [place.value for place in self.places]

  at_first = Model().init(jax.random.key(0))
  measured = standardization.measure(np.random.default_rng(0).uniform(size=(9, 4, 4, 3)).astype(np.float32))
  assert jax.tree.map(lambda x: (x.shape, x.dtype), at_first) == jax.tree.map(lambda x: (x.shape, x.dtype), measured)
  for found, value in zip(Model().apply(measured), measured['statistics'].values(), strict=True):
    np.testing.assert_array_equal(found, value)
