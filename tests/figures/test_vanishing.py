"""The generator's gradient against the discriminator's steps."""

import numpy as np
import pytest
from pictures import outputs
from small import small_config

from gen_jax.errors import UserError
from gen_jax.figures import vanishing
from gen_jax.figures.vanishing import generator_gradients, vanish
from gen_jax.figures.write import check_needs

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


def test_the_figure_shows_the_norms_and_says_them(run_of, monkeypatch):
  monkeypatch.setattr(vanishing, 'DISCRIMINATOR_STEPS', (0, 2))
  run = run_of('plane')
  made = outputs(vanish, run)
  norms = generator_gradients(run.config, (0, 2))
  lines = made['vanishing'].content.axes[0].lines
  for line, loss in zip(lines, ('minimax', 'non_saturating'), strict=True):
    np.testing.assert_allclose(line.get_ydata(), norms[loss])
  assert made['text'] == [f'{loss}: 0: {norms[loss][0]:.3g}, 2: {norms[loss][1]:.3g}' for loss in norms]


@pytest.mark.parametrize('name', ['vae', 'pixelcnn'])
def test_models_without_these_losses_are_refused(name, run_of):
  with pytest.raises(UserError, match='--mode=vanish needs a GAN of loss minimax or non_saturating'):
    check_needs(vanish, run_of(name))
