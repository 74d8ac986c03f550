import jax
import jax.numpy as jnp
import numpy as np
import pytest
from facts import problems
from small import random_variables

from gen_jax.networks import NoisyEncoder

ROWS = jnp.arange(3)


@pytest.mark.parametrize('attention', [(), (1,)])
def test_it_sees_the_noise_level_and_each_image_alone(attention):
  network = NoisyEncoder(features=(4, 8), attention=attention, patch=2, group=4)
  x, noise = jax.random.normal(jax.random.key(0), (3, 7 * 2, 7 * 2, 1)), jnp.array([-1.0, 0.0, 1.0])
  variables = random_variables(network.init, x, noise, 5, ROWS, False)
  apply = jax.jit(lambda x, noise, rows: network.apply(variables, x, noise, 5, rows, False))
  y = apply(x, noise, ROWS)
  assert y.shape == (3, 5) and y.dtype == jnp.float32
  np.testing.assert_allclose(apply(x[::-1], noise[::-1], ROWS), y[::-1], rtol=1e-4, atol=1e-5)
  assert np.abs(apply(x, noise + 1, ROWS) - y).min() > 1e-4
  moved = apply(jnp.asarray(x).at[1].add(1.0), noise, ROWS)
  np.testing.assert_allclose(moved[::2], y[::2], rtol=1e-5)


def test_at_first_all_classes_are_alike():
  network = NoisyEncoder(features=(4,), group=4)
  x = jnp.ones((3, 4, 4, 1))
  y, _ = network.init_with_output(jax.random.key(0), x, jnp.zeros(3), 5, ROWS, False)
  np.testing.assert_array_equal(y, np.zeros((3, 5)))


def test_what_it_refuses():
  assert problems(NoisyEncoder(()))[0] == 'features=(): name at least one layer'
  assert problems(NoisyEncoder((3, 4))) == ['features=(3, 4): must be even']
  assert problems(NoisyEncoder(patch=3)) == [
    'patch=3: does not divide images of 8x8; set config.data.size, or patch=1'
  ]
  assert problems(NoisyEncoder(), kind='points') == ['name=NoisyEncoder: sees images, no points of the plane']
