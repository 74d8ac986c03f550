"""Generators and discriminators of any size, and their heads against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax import networks

KEY = jax.random.key(0)
SHAPES = [(8, 8, 1), (28, 28, 1), (33, 20, 3)]
LABELS = np.array([0, 3], np.int32)
GENERATORS = {
  'mlp': networks.MLPGenerator((8,), num_classes=4),
  'conv': networks.ConvGenerator((8, 8), num_classes=4),
  'conv by norm': networks.ConvGenerator((8, 8), condition='batch_norm', num_classes=4),
  'resnet': networks.ResNetGenerator((8, 8), num_classes=4),
  'resnet by norm': networks.ResNetGenerator((8, 8), condition='batch_norm', num_classes=4),
}
DISCRIMINATORS = {
  'mlp': networks.MLPDiscriminator((8,)),
  'conv': networks.ConvDiscriminator((8, 8)),
  'conv, spectral': networks.ConvDiscriminator((8, 8), norm='spectral'),
  'resnet': networks.ResNetDiscriminator((8, 8, 8)),
  'resnet, plain': networks.ResNetDiscriminator((8, 8, 8), norm='none'),
}


def normal(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def initialize(network, *arguments):
  """The variables of a network in training; what is no array is static."""
  return jax.jit(lambda: network.init(KEY, *arguments, True))()


def evaluate(network, variables, *arguments):
  return jax.jit(lambda variables: network.apply(variables, *arguments, False))(variables)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('labels', [None, LABELS], ids=['plain', 'conditional'])
@pytest.mark.parametrize('name', GENERATORS)
def test_generators_make_any_size(name, labels, shape):
  z, generator = np.zeros((2, 7), np.float32), GENERATORS[name]
  variables = jax.eval_shape(lambda: generator.init(KEY, z, labels, shape, True))
  out = jax.eval_shape(lambda v: generator.apply(v, z, labels, shape, False), variables)
  assert (out.shape, out.dtype) == ((2, *shape), jnp.float32)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('name', DISCRIMINATORS)
def test_discriminators_take_any_size(name, shape):
  x, discriminator = np.zeros((2, *shape), np.float32), DISCRIMINATORS[name]
  variables = jax.eval_shape(lambda: discriminator.init(KEY, x, True))
  out = jax.eval_shape(lambda v: discriminator.apply(v, x, False), variables)
  assert out.shape[0] == 2 and len(out.shape) == 2 and out.dtype == jnp.float32
  assert ('spectral' in variables) == ('spectral' in name or name == 'resnet')
  assert 'batch_stats' not in variables


@pytest.mark.parametrize('name', [name for name in GENERATORS if 'norm' in name or name in ('mlp', 'conv')])
def test_labels_change_what_is_made(name):
  generator, z = GENERATORS[name], normal(4, 7)
  variables = initialize(generator, z, np.zeros(4, np.int32), (8, 8, 1))
  noise = np.random.default_rng(0)
  drawn = jax.tree.map(lambda x: noise.normal(0, 0.3, x.shape).astype(x.dtype), variables['params'])
  variables = {**variables, 'params': drawn}
  made = [evaluate(generator, variables, z, np.full(4, label), (8, 8, 1)) for label in (0, 1)]
  assert np.abs(made[0] - made[1]).max() > 1e-3
  assert np.ptp(made[0], axis=0).max() > 1e-3  # so does z


def test_a_projection_is_the_formula():
  head, h = networks.ProjectionHead(4), normal(5, 6)
  labels = np.array([3, 0, 1, 2, 3])
  variables = initialize(head, h, labels)
  embedded, weight = (np.asarray(variables['params'][f'Dense_{i}']['kernel']) for i in (0, 1))
  results = evaluate(head, variables, h, labels)
  expected = np.asarray(h) @ weight[:, 0] + (embedded.T[np.asarray(labels)] * np.asarray(h)).sum(1)
  np.testing.assert_allclose(results.logits, expected, rtol=1e-4, atol=1e-6)
  assert results.class_logits is None


def test_an_auxiliary_classifier_works_without_the_label():
  head, h = networks.ClassifierHead(4, spectral=True), normal(5, 6)
  variables = initialize(head, h, None)
  results = evaluate(head, variables, h, None)
  assert results.logits.shape == (5,) and results.class_logits.shape == (5, 4)
  assert set(variables) == {'params', 'spectral'}


def test_a_discriminator_normalizes_examples_together_only_with_batch_norm():
  x = normal(4, 8, 8, 1)
  for name, discriminator in DISCRIMINATORS.items():
    variables = initialize(discriminator, x)
    evaluate = jax.jit(lambda x, variables=variables, network=discriminator: network.apply(variables, x, False))
    alone, together = np.concatenate([evaluate(x[:2]), evaluate(x[2:])]), np.asarray(evaluate(x))
    assert np.ptp(together, axis=0).max() > 1e-3  # it sees the examples
    assert np.allclose(alone, together, atol=1e-5) == (name != 'conv')
