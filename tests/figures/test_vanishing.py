"""The generator's gradient against the discriminator's steps."""

import numpy as np
from small import small_config

from gen_jax.figures.vanishing import generator_gradients

MODEL = {
  'name': 'GAN',
  'generator': {'name': 'MLPGenerator', 'hidden': (16,), 'bounded': True},
  'discriminator': {'name': 'MLPDiscriminator', 'hidden': (32,)},
  'latent_dim': 4,
}


def test_the_gradient_of_the_minimax_loss_vanishes_and_the_other_does_not():
  config = small_config(
    'digits', model=MODEL, batch_size=32, ema_decay=0.0, best='', data={'value_range': (-1.0, 1.0)},
    optimizer={'learning_rate': 3e-3, 'schedule': 'constant', 'b1': 0.5},
  )  # fmt: skip
  norms = generator_gradients(config, (0, 5, 60))
  ratio = norms['minimax'] / norms['non_saturating']
  np.testing.assert_allclose(ratio[0], 1, atol=0.3)  # the logits of a fresh discriminator are near 0
  assert ratio[2] < ratio[1] < ratio[0] and ratio[2] < 0.05
  assert norms['non_saturating'][2] > 0.1 * norms['non_saturating'][0]


def test_a_discriminator_without_parameters_of_its_own_learns_by_its_head():
  linear = MODEL | {'discriminator': {'name': 'MLPDiscriminator', 'hidden': ()}}
  config = small_config('digits', model=linear, batch_size=8, ema_decay=0.0, best='', data={'value_range': (-1.0, 1.0)})
  norms = generator_gradients(config, (0, 3))
  assert np.isfinite(norms['minimax']).all() and norms['minimax'][1] != norms['minimax'][0]
