"""Batch and spectral normalization against Flax and numpy."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax.networks.normalization import BatchNorm, SpectralConv, SpectralDense

KEY = jax.random.key(0)
X = jnp.array(np.random.default_rng(0).normal(2.0, 3.0, (8, 4, 5, 3)), jnp.float32)


def in_axis(function, devices=1):
  """`function(x)` with the rows of x split over an axis named 'batch'."""
  run = jax.vmap(function, axis_name='batch')
  return lambda x: run(x.reshape(devices, -1, *x.shape[1:]))


def test_batch_norm_is_flaxs():
  ours, theirs = BatchNorm(), nn.BatchNorm(momentum=0.9, epsilon=1e-5)
  state = ours.init(KEY, X, False)
  for train in (True, False):
    y, changed = ours.apply(state, X, train, mutable=['batch_stats'])
    their_state = {'params': state['params'], 'batch_stats': {
      'mean': state['batch_stats']['mean'], 'var': state['batch_stats']['variance']}}  # fmt: skip
    expected, their_change = theirs.apply(their_state, X, use_running_average=not train, mutable=['batch_stats'])
    np.testing.assert_allclose(y, expected, atol=1e-5)
    for name, their_name in (('mean', 'mean'), ('variance', 'var')):
      results = changed['batch_stats'][name] if train else state['batch_stats'][name]
      np.testing.assert_allclose(results, their_change['batch_stats'][their_name], rtol=1e-5)


@pytest.mark.parametrize('running', [True, False])
def test_the_moments_are_those_of_the_global_batch(running):
  layer = BatchNorm(running=running)
  state = layer.init(KEY, X, True)
  apply = lambda x: layer.apply(state, x, True)
  whole = apply(X)  # also outside of any axis
  for devices in (1, 2, 4):
    np.testing.assert_allclose(in_axis(apply, devices)(X).reshape(X.shape), whole, atol=1e-5)
  np.testing.assert_allclose(whole.mean((0, 1, 2)), np.zeros(3), atol=1e-5)
  np.testing.assert_allclose(whole.std((0, 1, 2)), np.ones(3), atol=1e-4)


def test_one_without_running_means_takes_the_batch_in_evaluation_too():
  layer = BatchNorm(running=False)
  state = layer.init(KEY, X, True)
  assert set(state) == {'params'}
  np.testing.assert_array_equal(layer.apply(state, X, False), layer.apply(state, X, True))


def test_scale_and_offset_of_each_class():
  layer, labels = BatchNorm(), jnp.array([0, 1, 2, 0, 1, 2, 2, 2])
  state = layer.init(KEY, X, True, labels, 3)
  assert state['params']['scale'].shape == (3, 3)
  scale, bias = (jnp.arange(9.0).reshape(3, 3) + i for i in (1, 5))
  y = layer.apply({**state, 'params': {'scale': scale, 'bias': bias}}, X, True, labels, 3)
  plain = (X - X.mean((0, 1, 2), keepdims=True)) / jnp.sqrt(X.var((0, 1, 2), keepdims=True) + 1e-5)
  expected = scale[labels][:, None, None] * plain + bias[labels][:, None, None]
  np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


LAYERS = {'dense': (SpectralDense(6), X.reshape(8, -1)), 'conv': (SpectralConv(6, 3), X)}


@pytest.mark.parametrize('name', LAYERS)
def test_the_spectral_norm_is_the_largest_singular_value(name):
  layer, x = LAYERS[name]
  state = layer.init(KEY, x, True)
  iterate = jax.jit(lambda state: {**state, **layer.apply(state, x, True, mutable=['spectral'])[1]})
  for _ in range(200):
    state = iterate(state)
  kernel = np.asarray(state['params']['kernel'])
  largest = np.linalg.svd(kernel.reshape(-1, 6), compute_uv=False)[0]
  plain = nn.Dense(6) if name == 'dense' else nn.Conv(6, (3, 3))
  expected = plain.apply({'params': {'kernel': kernel / largest, 'bias': jnp.zeros(6)}}, x)
  np.testing.assert_allclose(layer.apply(state, x, False), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('name', LAYERS)
def test_only_training_moves_the_vector(name):
  layer, x = LAYERS[name]
  state = layer.init(KEY, x, True)
  _, still = layer.apply(state, x, False, mutable=['spectral'])
  _, moved = layer.apply(state, x, True, mutable=['spectral'])
  np.testing.assert_array_equal(still['spectral']['u'], state['spectral']['u'])
  assert np.abs(moved['spectral']['u'] - state['spectral']['u']).max() > 1e-3
  np.testing.assert_allclose(np.linalg.norm(moved['spectral']['u']), 1, rtol=1e-5)


def test_the_vectors_of_a_spectral_norm_are_constants():
  # d (W / v'Wu) / dW with u and v held (Miyato et al., 2018, eq. 12), against numpy
  layer, x = LAYERS['dense']
  state = layer.init(KEY, x, False)
  w, u = (np.asarray(state[c][n], np.float64) for c, n in (('params', 'kernel'), ('spectral', 'u')))
  v = w @ u / np.linalg.norm(w @ u)
  u = w.T @ v / np.linalg.norm(w.T @ v)
  sigma = v @ w @ u
  ct = np.asarray(x, np.float64).T @ np.ones((8, 6))  # of sum(x W / sigma) in W / sigma
  expected = ct / sigma - (ct * w).sum() / sigma**2 * np.outer(v, u)
  gradient = jax.grad(lambda p: layer.apply({**state, 'params': p}, x, False).sum())(state['params'])
  np.testing.assert_allclose(gradient['kernel'], expected, rtol=1e-3, atol=1e-3)
