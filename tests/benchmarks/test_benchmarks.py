import itertools

import numpy as np
import pytest

from benchmarks import ours


def dense(*sizes):
  return sum(i * o + o for i, o in itertools.pairwise(sizes))


def convs(*channels):
  """4x4 kernels with biases."""
  return sum(16 * i * o + o for i, o in itertools.pairwise(channels))


BETA_VAE = convs(1, 32, 32, 64, 64) + dense(1024, 256, 20) + dense(10, 256, 1024) + convs(64, 64, 32, 32, 1)
# without biases before batch normalization, which has two numbers a channel
DCGAN_G = 100 * 4096 + 2 * 256 + 16 * 256 * 128 + 2 * 128 + 16 * 128 * 64 + 2 * 64 + convs(64, 3)
DCGAN_D = convs(3, 64) + 16 * 64 * 128 + 2 * 128 + 16 * 128 * 256 + 2 * 256 + dense(4096, 1)
WIDE = 9 * 64 * 64  # a 3x3 kernel of SNGAN's
SNGAN_G = dense(128, 1024) + 3 * (2 * 2 * 64 + 2 * WIDE + 64 * 64) + 2 * 64 + 9 * 64 * 3 + 3
SNGAN_D = 9 * 3 * 64 + 64 + WIDE + 64 + dense(3, 64) + 2 * (WIDE + 64) + dense(64, 64) + 4 * (WIDE + 64) + dense(64, 1)
PARAMETERS = {
  'beta_vae_64': BETA_VAE,
  'beta_vae_256': BETA_VAE,
  'mlp_vae': dense(784, 512, 40) + dense(20, 512, 784),
  'gan_2d': dense(2, 128, 128, 128, 2) + dense(2, 128, 128, 128, 1),
  'dcgan_32': DCGAN_G + DCGAN_D,
  'sngan_32': SNGAN_G + SNGAN_D,
}


SLOW = {'sngan_32': pytest.mark.slow}  # to compile


@pytest.mark.parametrize('name', [pytest.param(name, marks=SLOW.get(name, ())) for name in ours.ROWS])
def test_a_row_has_its_parameters_and_takes_a_step(name):
  row = ours.ROWS[name]()
  with row.config.unlocked():
    row.config.batch_size = 4
  training = ours.Training(row)
  assert training.parameters == PARAMETERS[name]
  metrics = {metric: np.asarray(values)[0] for metric, values in training.window(1).items()}
  assert np.isfinite(list(metrics.values())).all()
  assert all(metrics[f'{player}/grad_norm'] > 0 for player in row.model.players)
  assert training.state.step == 1
