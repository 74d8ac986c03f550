"""Networks that grow: what a level more leaves as it was, the deviation of a minibatch, equalized rates."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from facts import problems
from small import random_variables

from gen_jax.networks import ProgressiveDiscriminator, ProgressiveGenerator
from gen_jax.networks.equalized import EqualizedConv, EqualizedDense
from gen_jax.networks.growing import blend, fade_at, pool_to, repeat_to, see_at
from gen_jax.networks.progressive import minibatch_deviation, pixel_norm
from gen_jax.training.carry_over import lay_over

G, D = ProgressiveGenerator((8, 6, 4)), ProgressiveDiscriminator((8, 6, 4), group=2)
Z, LATENTS = 5, np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


def images(side, rows=4, channels=2):
  return np.random.default_rng(1).uniform(-1, 1, (rows, side, side, channels)).astype(np.float32)


def generator_at(side, fade=None):
  """(variables, function of them) of the generator of a stage, all parameters random."""
  call = lambda variables, fade=fade: G.apply(variables, LATENTS, None, (side, side, 2), True, fade)
  return random_variables(lambda key: G.init(key, LATENTS, None, (side, side, 2), True, fade)), jax.jit(call)


def discriminator_at(side, fade=None):
  x = images(side)
  return random_variables(lambda key: D.init(key, x, True, fade)), jax.jit(
    lambda variables, x, fade=fade: D.apply(variables, x, True, fade)
  )


@pytest.mark.parametrize('side', [8, 16])
def test_at_first_a_grown_generator_makes_the_smaller_images_enlarged(side):
  small, make_small = generator_at(side // 2, None if side == 8 else 1.0)
  fresh, make = generator_at(side, 0.0)
  variables = {'params': lay_over(fresh['params'], small['params'])}
  expected = make_small(small)
  chex.assert_shape(expected, (4, side // 2, side // 2, 2))
  np.testing.assert_allclose(make(variables, 0.0), repeat_to(expected, side), atol=1e-5)
  assert np.abs(make(variables, 0.5) - repeat_to(expected, side)).max() > 1e-2


@pytest.mark.parametrize('side', [8, 16])
def test_at_first_a_grown_discriminator_judges_smaller_images(side):
  small, judge_small = discriminator_at(side // 2, None if side == 8 else 1.0)
  fresh, judge = discriminator_at(side, 0.0)
  variables, x = {'params': lay_over(fresh['params'], small['params'])}, images(side)
  np.testing.assert_allclose(judge(variables, x, 0.0), judge_small(small, pool_to(x, side // 2)), atol=1e-5)
  assert np.abs(judge(variables, x, 0.5) - judge(variables, x, 0.0)).max() > 1e-2


def with_moved(variables, name):
  """The variables with those of one layer elsewhere."""
  params = variables['params']
  return {'params': {**params, name: jax.tree.map(lambda x: x + 9, params[name])}}


def test_in_the_end_the_old_path_has_no_weight():
  variables, make = generator_at(16, 1.0)
  moved = with_moved(variables, 'to_image_8')
  np.testing.assert_allclose(make(variables, 1.0), make(moved, 1.0), atol=1e-5)
  assert np.abs(make(variables, 0.9) - make(moved, 0.9)).max() > 0.1
  variables, judge = discriminator_at(16, 1.0)
  moved = with_moved(variables, 'from_image_8')
  np.testing.assert_allclose(judge(variables, images(16), 1.0), judge(moved, images(16), 1.0), atol=1e-5)
  assert np.abs(judge(variables, images(16), 0.9) - judge(moved, images(16), 0.9)).max() > 1e-2


def test_whole_networks_are_grown_ones_without_the_old_path():
  variables, make = generator_at(16, 1.0)
  whole = {'params': {name: tree for name, tree in variables['params'].items() if name != 'to_image_8'}}
  expected, _ = generator_at(16)
  chex.assert_trees_all_equal_shapes(whole, expected)
  np.testing.assert_allclose(generator_at(16)[1](whole), make(variables, 1.0), atol=1e-5)


def test_with_skip_every_level_adds_its_image():
  """Without any level's `to_image` but one, its image is all that is left, enlarged."""
  network = ProgressiveGenerator((8, 6, 4), skip=True)
  make = lambda variables: network.apply(variables, LATENTS, None, (16, 16, 2), True)
  variables = random_variables(lambda key: network.init(key, LATENTS, None, (16, 16, 2), True))
  parts = []
  for level in (4, 8, 16):
    others = [f'to_image_{other}' for other in (4, 8, 16) if other != level]
    alone = {name: jax.tree.map(np.zeros_like, x) if name in others else x for name, x in variables['params'].items()}
    parts.append(np.asarray(make({'params': alone})))
    np.testing.assert_allclose(parts[-1], repeat_to(pool_to(parts[-1], level), 16), atol=1e-5)
  np.testing.assert_allclose(sum(parts), make(variables), atol=1e-4)
  seen = ProgressiveDiscriminator((8, 6, 4), group=2, skip=True)
  params = jax.eval_shape(lambda: seen.init(jax.random.key(0), images(16), True))['params']
  assert {'from_image_4', 'from_image_8', 'from_image_16'} <= set(params)
  assert not network.grows and not seen.grows and G.grows and D.grows


def test_images_leave_their_range_in_training_alone():
  variables = random_variables(lambda key: G.init(key, LATENTS, None, (8, 8, 2), True), scale=3.0)
  free, cut = (np.asarray(G.apply(variables, LATENTS, None, (8, 8, 2), train)) for train in (True, False))
  assert np.abs(free).max() > 1
  np.testing.assert_array_equal(cut, np.clip(free, -1, 1))


def test_the_deviation_of_a_minibatch():
  x = images(4, rows=6, channels=3)
  deviation = np.sqrt(x.reshape(2, 3, 4, 4, 3).var(1) + 1e-8).mean((1, 2, 3))  # of the rows 0 to 2, and 3 to 5
  results = minibatch_deviation(x, 3)
  np.testing.assert_array_equal(results[..., :3], x)
  np.testing.assert_allclose(results[..., 3], np.broadcast_to(deviation.repeat(3)[:, None, None], (6, 4, 4)), rtol=1e-4)
  np.testing.assert_allclose(minibatch_deviation(np.ones((4, 4, 4, 3), np.float32), 4)[..., 3], 1e-4, rtol=1e-3)
  # in evaluation batches may be of any size
  np.testing.assert_allclose(minibatch_deviation(x, 4)[..., 3], minibatch_deviation(x, 2)[..., 3])


@pytest.mark.parametrize('group', [0, 2])
def test_devices_do_not_change_the_deviation_nor_its_gradient(group):
  x, weights = images(4, rows=8, channels=3), images(4, rows=8, channels=4)

  def weighted(x, weights):
    return (minibatch_deviation(x, group) * weights).sum()

  results = jax.vmap(jax.grad(weighted), axis_name='batch')(x[None], weights[None])[0]
  split = lambda x: x.reshape(4, 2, *x.shape[1:])
  parts = jax.pmap(jax.grad(weighted), 'batch')(split(x), split(weights))
  # what an example does to the others' statistics goes through all devices
  np.testing.assert_allclose(np.asarray(parts).reshape(x.shape), results, atol=1e-5)


def test_pixel_norm():
  x = images(4)
  results = np.asarray(pixel_norm(x))
  np.testing.assert_allclose((results**2).mean(-1), 1, rtol=1e-4)
  np.testing.assert_allclose(results, x / np.sqrt((x**2).mean(-1, keepdims=True)), rtol=1e-4)


def test_an_equalized_layer_keeps_the_scale_and_has_the_gain_in_its_gradient():
  x = np.random.default_rng(0).normal(size=(2_000, 400)).astype(np.float32)
  layer = EqualizedDense(300, gain=1.0)
  variables = layer.init(jax.random.key(0), x)
  assert np.std(variables['params']['kernel']) == pytest.approx(1, abs=0.01)
  assert np.std(layer.apply(variables, x)) == pytest.approx(1, abs=0.02)
  image = x.reshape(-1, 10, 10, 8)
  conv = EqualizedConv(64)
  of_conv = conv.init(jax.random.key(1), image[:10])
  inside = np.asarray(conv.apply(of_conv, image[:100]))[:, 1:-1, 1:-1]
  assert np.std(of_conv['params']['kernel']) == pytest.approx(1, abs=0.02)
  assert np.std(inside) == pytest.approx(2**0.5, abs=0.05)
  # d y / d w is the input times gain / sqrt(fan_in)
  gradient = jax.grad(lambda params: layer.apply({'params': params}, x[:1])[0, 7])(variables['params'])['kernel']
  np.testing.assert_allclose(gradient[:, 7], x[0] / 20, rtol=1e-5)


def test_an_equalized_convolution_of_an_enlarged_image_is_that_of_repeated_pixels():
  x, large, plain = images(4), EqualizedConv(3, scale=2), EqualizedConv(3)
  variables = random_variables(lambda key: plain.init(key, x))
  np.testing.assert_allclose(large.apply(variables, x), plain.apply(variables, repeat_to(x, 8)), atol=1e-5)


def test_real_images_while_a_stage_is_faded_in():
  x = images(16)
  np.testing.assert_allclose(see_at(x, 8), x.reshape(4, 8, 2, 8, 2, 2).mean((2, 4)), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(see_at(x, 8, 0.0), repeat_to(pool_to(x, 4), 8), atol=1e-6)
  np.testing.assert_allclose(see_at(x, 8, 1.0), pool_to(x, 8), atol=1e-6)
  np.testing.assert_allclose(see_at(x, 8, 0.25), 0.75 * see_at(x, 8, 0.0) + 0.25 * see_at(x, 8, 1.0), atol=1e-6)
  np.testing.assert_allclose(pool_to(repeat_to(x, 32), 16), x, atol=1e-6)
  np.testing.assert_allclose(blend(jnp.float32(2), jnp.float32(4), 0.25), 2.5)


def test_the_share_of_what_is_new_rises_from_0_to_1():
  shares = [float(fade_at(jnp.int32(step), 100, 20)) for step in (100, 105, 119, 120, 500)]
  np.testing.assert_allclose(shares, [0, 0.25, 0.95, 1, 1], rtol=1e-6)


@pytest.mark.parametrize(
  ('network', 'facts', 'line'),
  [
    (ProgressiveGenerator((8, 8)), {'image_shape': (16, 16, 1)}, 'features: has 2 widths, and images of 16x16 have 3 '),
    (ProgressiveGenerator((8, 8)), {'image_shape': (28, 28, 1)}, 'features: levels double, and images are 28x28; set '),
    (ProgressiveDiscriminator((8, 8)), {'image_shape': (8, 16, 1)}, 'features: levels double, and images are 8x16'),
    (ProgressiveDiscriminator((8,), group=-1), {'image_shape': (4, 4, 1)}, 'group=-1: must not be negative'),
    (
      ProgressiveDiscriminator((8,), group=4), {'image_shape': (4, 4, 1), 'batch_size': 8},
      'group=4: does not divide a batch of 8 on each of 4 devices; 0 is all of the batch',
    ),
  ],
)  # fmt: skip
def test_problems(network, facts, line):
  assert problems(network, **facts)[0].startswith(line)
