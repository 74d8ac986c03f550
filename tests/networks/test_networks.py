import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import random_variables

from gen_jax import networks

KEY = jax.random.key(0)
SHAPES = [(8, 8, 1), (28, 28, 1), (33, 20, 3), (64, 64, 1), (128, 128, 3)]


def shape_of(module, *arguments, static=()):
  variables = jax.eval_shape(lambda: module.init(KEY, *arguments, *static))
  return jax.eval_shape(lambda v: module.apply(v, *arguments, *static), variables)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('encoder', [networks.MLPEncoder(), networks.ConvEncoder(), networks.ConvEncoder(blocks=1)])
def test_encoders_take_any_size(encoder, shape):
  out = shape_of(encoder, jnp.zeros((2, *shape)), static=(7,))
  assert (out.shape, out.dtype) == ((2, 7), jnp.float32)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(
  'decoder',
  [networks.MLPDecoder(), networks.ConvDecoder(), networks.ConvDecoder(blocks=1), networks.BroadcastDecoder()],
)
def test_decoders_make_any_size(decoder, shape):
  out = shape_of(decoder, jnp.zeros((2, 7)), static=(shape,))
  assert (out.shape, out.dtype) == ((2, *shape), jnp.float32)


SMALL = {'features': (3, 3), 'hidden': (8,), 'activation': 'elu'}  # no unit is dead
ENCODERS = [networks.MLPEncoder((8,), 'elu'), networks.ConvEncoder(kernels=(4, 4), blocks=1, **SMALL)]
DECODERS = [
  networks.MLPDecoder((8,), 'elu'), networks.ConvDecoder(blocks=1, **SMALL), networks.BroadcastDecoder(**SMALL)
]  # fmt: skip


@pytest.mark.parametrize('encoder', ENCODERS)
def test_every_number_of_a_code_tells_images_apart_and_every_pixel_counts(encoder):
  x = jax.random.normal(KEY, (2, 9, 6, 3))
  variables = random_variables(lambda key: encoder.init(key, x, 7))

  def summed(x):
    codes = encoder.apply(variables, x, 7)
    return jnp.sin(codes).sum(), codes

  gradient, codes = jax.jit(jax.grad(summed, has_aux=True))(x)
  assert (np.ptp(codes, axis=0) > 1e-3).all()
  assert (gradient != 0).all()


@pytest.mark.parametrize('decoder', DECODERS)
def test_every_pixel_tells_codes_apart_and_every_number_of_a_code_counts(decoder):
  z = jax.random.normal(KEY, (2, 7))
  variables = random_variables(lambda key: decoder.init(key, z, (9, 6, 3)))

  def summed(z):
    images = decoder.apply(variables, z, (9, 6, 3))
    return jnp.sin(images).sum(), images

  gradient, images = jax.jit(jax.grad(summed, has_aux=True))(z)
  assert (np.ptp(images, axis=0) > 1e-6).all()
  assert (gradient != 0).all()


def test_the_architecture_of_higgins_has_the_published_parameters():
  init = lambda *arguments: jax.eval_shape(lambda: arguments[0].init(KEY, *arguments[1:]))['params']
  encoder = init(networks.ConvEncoder(), jnp.zeros((1, 64, 64, 1)), 20)
  sizes = {name: layer['kernel'].shape for name, layer in encoder.items() if 'kernel' in layer}
  assert list(sizes.values()) == [(4, 4, 1, 32), (4, 4, 32, 32), (4, 4, 32, 64), (4, 4, 64, 64)]
  assert encoder['MLPEncoder_0']['Dense_0']['kernel'].shape == (4 * 4 * 64, 256)
  assert encoder['MLPEncoder_0']['Dense_1']['kernel'].shape == (256, 20)
  decoder = init(networks.ConvDecoder(), jnp.zeros((1, 10)), (64, 64, 1))
  kernels = [layer['kernel'].shape for layer in decoder.values()]
  assert sorted(kernels) == sorted(
    [(10, 256), (256, 1024), (4, 4, 64, 64), (4, 4, 64, 32), (4, 4, 32, 32), (4, 4, 32, 1)]
  )


def test_each_place_of_a_broadcast_code_sees_the_code_and_its_coordinates_and_makes_its_patch():
  z = jax.random.normal(KEY, (2, 5))
  decoder = networks.BroadcastDecoder(hidden=(6, 4), features=(3,), patch=2, activation='elu')
  variables = random_variables(lambda key: decoder.init(key, z, (9, 13, 2)))
  params = variables['params']
  # written out: a vector (z, y, x) at each of 3x4 places through two dense layers, and Flax's transposed convolution
  places = [[np.concatenate([code, (y, x)]) for x in np.linspace(-1, 1, 4)] for code in z for y in (-1, 0, 1)]
  places = np.reshape(places, (2, 3, 4, 7))
  kernel = np.concatenate([params[f'Dense_{i}']['kernel'] for i in (0, 1)])
  hidden = jax.nn.elu(places @ kernel + np.reshape(params['Dense_0']['bias'], (1, 1, 1, -1)))
  hidden = hidden @ params['Dense_2']['kernel'] + params['Dense_2']['bias'].reshape(1, 1, 1, -1)
  doubled = nn.ConvTranspose(3, (4, 4), strides=(2, 2))
  doubled = jax.jit(doubled.apply)({'params': params['ConvTranspose_0']}, jax.nn.elu(hidden))
  # then, at each of 5x7 places, a dense layer to the 2x2 pixels of 2 channels that it stands for; of either map, a row
  # or a column is cropped
  expected = np.zeros((2, 10, 14, 2))
  for i, j in np.ndindex(5, 7):
    patch = jax.nn.elu(doubled[:, i, j]) @ params['Dense_3']['kernel'] + params['Dense_3']['bias'][None]
    expected[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = patch.reshape(2, 2, 2, 2)
  images = jax.jit(lambda v: decoder.apply(v, z, (9, 13, 2)))(variables)
  np.testing.assert_allclose(images, expected[:, :9, :13], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('network', ['encoder', 'decoder'])
def test_residual_blocks_begin_as_the_identity_and_learn(network):
  module = {'encoder': networks.ConvEncoder, 'decoder': networks.ConvDecoder}[network]
  x, size = {'encoder': (jnp.ones((2, 8, 8, 1)), 5), 'decoder': (jnp.ones((2, 5)), (8, 8, 1))}[network]
  plain, residual = (module((4, 4, 6, 6), hidden=(), activation='elu', blocks=n) for n in (0, 2))
  variables = jax.jit(lambda: residual.init(KEY, x, size))()
  blocks = {name for name in variables['params'] if name.startswith('ResidualBlock')}
  assert len(blocks) == 8
  without = {'params': {name: p for name, p in variables['params'].items() if name not in blocks}}
  of = lambda module: jax.jit(lambda v: module.apply(v, x, size))
  np.testing.assert_allclose(of(residual)(variables), of(plain)(without), rtol=1e-6)
  gradient = jax.jit(jax.grad(lambda v: (residual.apply(v, x, size) ** 2).sum()))(variables)['params']
  assert all(jnp.abs(gradient[name]['Conv_1']['kernel']).max() > 0 for name in blocks)


def test_bfloat16_computes_in_half_and_keeps_parameters_in_full_precision():
  x = jax.random.normal(KEY, (4, 16, 16, 1))
  full, half = networks.ConvEncoder(), networks.ConvEncoder(dtype=jnp.bfloat16)
  variables, again = (jax.jit(lambda module=module: module.init(KEY, x, 5))() for module in (full, half))
  chex.assert_trees_all_equal_shapes_and_dtypes(variables, again)
  exact, rounded = (jax.jit(lambda v, module=module: module.apply(v, x, 5))(variables) for module in (full, half))
  assert rounded.dtype == jnp.float32
  assert not np.array_equal(exact, rounded)
  np.testing.assert_allclose(rounded, exact, atol=0.05 * float(jnp.abs(exact).max()))
