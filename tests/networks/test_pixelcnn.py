import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import random_variables

from gen_jax import networks

KEY = jax.random.key(0)


def small(**fields):
  return networks.GatedPixelCNN(**{'features': 4, 'layers': 2, 'kernel': 3, 'hidden': 8} | fields)


@pytest.mark.parametrize(
  ('fields', 'channels', 'reach'),
  [
    ({'layers': 2, 'kernel': 3}, 1, 2),
    ({'layers': 1, 'kernel': 5}, 2, 2),
    ({'layers': 3, 'kernel': 3, 'dilations': (1, 2)}, 1, 4),
  ],
)
def test_every_pixel_sees_all_that_is_before_it_and_nothing_else(fields, channels, reach):
  height, width, network = 7, 8, small(**fields)
  x = jax.random.normal(KEY, (1, height, width, channels))
  variables = random_variables(lambda key: network.init(key, x, 3))
  jacobian = jax.jit(jax.jacrev(lambda x: network.apply(variables, x, 3)[0]))(x)[..., 0, :, :, :]
  results = np.abs(jacobian).sum((2, 5)) > 0  # [H,W] of the output, [H,W] of x
  expected = np.zeros_like(results)
  for i, j, m, n in np.ndindex(results.shape):
    up, left = i - m, j - n
    expected[i, j, m, n] = (0 < up <= reach and abs(left) <= reach) or (up == 0 and 0 < left <= reach)
  np.testing.assert_array_equal(results, expected)
  assert network.rows_above() == reach


def test_every_parameter_has_a_gradient():
  network, x = small(num_classes=3), jax.random.normal(KEY, (2, 4, 4, 1))
  label = jnp.array([0, 2])
  params = random_variables(lambda key: network.init(key, x, 2, label))
  gradients = jax.jit(jax.grad(lambda params: (network.apply(params, x, 2, label) ** 2).sum()))(params)
  assert all(jax.tree.leaves(jax.tree.map(lambda g: bool((g != 0).any()), gradients)))


def test_the_label_enters_the_gates_of_its_own_image():
  network, x = small(num_classes=3), jax.random.normal(KEY, (2, 5, 5, 1))
  variables = random_variables(lambda key: network.init(key, x, 2, jnp.array([0, 1])))
  apply = jax.jit(lambda label: network.apply(variables, x, 2, label))
  first, second = apply(jnp.array([0, 1])), apply(jnp.array([0, 2]))
  np.testing.assert_array_equal(first[0], second[0])
  assert (np.abs(first[1] - second[1]) > 1e-6).mean() > 0.9


def test_a_window_of_the_rows_that_are_seen_is_enough():
  network, x = small(), jax.random.normal(KEY, (2, 7, 5, 1))
  variables = random_variables(lambda key: network.init(key, x, 1))
  vertical = jax.jit(lambda x: network.apply(variables, x, None, method=lambda network, *a: network.vertical(*a)))
  whole, rows = vertical(x), network.rows_above() + 1
  for i in range(rows - 1, 7):
    for all_rows, part in zip(whole, vertical(x[:, i + 1 - rows : i + 1]), strict=True):
      np.testing.assert_allclose(part[:, -1], all_rows[:, i], atol=1e-6)


def test_bfloat16_computes_in_half_and_keeps_parameters_in_full_precision():
  x = jax.random.normal(KEY, (2, 6, 6, 1))
  full, half = small(features=16), small(features=16, dtype=jnp.bfloat16)
  variables = random_variables(lambda key: full.init(key, x, 2))
  exact, rounded = (jax.jit(lambda v, m=m: m.apply(v, x, 2))(variables) for m in (full, half))
  assert rounded.dtype == jnp.float32 and not np.array_equal(exact, rounded)
  np.testing.assert_allclose(rounded, exact, atol=0.05 * float(jnp.abs(exact).max()))
