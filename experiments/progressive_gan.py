"""Progressive growing: a GAN that begins with images of 4x4 and doubles them while it trains (Karras et al., 2018).

    python launch.py --config=experiments/progressive_gan.py[:mnist|cifar10|faces|paper_128|paper_256|paper_1024]
    python launch.py --config=experiments/progressive_gan.py:mnist,whole    # the same networks, at full size throughout
    python launch.py --config=experiments/progressive_gan.py:mnist,skip     # and with images of all levels, added up

`paper_...` are of any faces, --config.data.name=FOLDER; they need days of several GPUs, and have not been run.
"""

import math

from experiments.common import GAN_IMAGES, MEASURED, MNIST
from gen_jax.config import experiment
from gen_jax.stages import NOTHING_GROWS

WIDTHS = (128, 64, 32, 16)  # of 4x4 to 32x32


def networks(features: tuple[int, ...]) -> dict:
  """Both, of these widths from 4x4 upward."""
  return {'generator': {'features': features}, 'discriminator': {'features': features}}


def published(side: int) -> dict:
  """The widths and the schedule of the authors' code for one GPU (`config.py`, version of TensorFlow)."""
  sides = [2**i for i in range(2, int(math.log2(side)) + 1)]
  batch = {4: 128, 8: 128, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4, 1024: 4}
  phase, images = 600_000, 12_000_000
  seen = phase * (2 * len(sides) - 2)  # before the last level stands alone
  steps = sum(math.ceil(phase / batch[each]) * (1 if each == 4 else 2) for each in sides[:-1])
  return {
    'steps': steps + math.ceil(phase / batch[side]) + math.ceil((images - seen) / batch[side]),
    'batch_size': batch[side],
    'data': {'name': 'celeb_a_hq/1024', 'size': side, 'flip': True},
    'stages': {
      'resolutions': tuple(sides),
      'fade_images': (phase,),
      'stable_images': (phase,),
      'batch_sizes': tuple(batch[each] for each in sides[:-1]),
      'learning_rates': (1e-3,) * (len(sides) - 1) if side == 1024 else (),
    },
    'model': {**networks(tuple(min(512, 16_384 // each) for each in sides)), 'latent_dim': 512},
    'optimizer': {'learning_rate': 1.5e-3 if side == 1024 else 1e-3, 'schedule': 'constant'},
    'final_evals': ('sliced_wasserstein',),
    'sample_count': 16_384,
    'log_every': 500,
    'eval_every': 10_000,
    'save_every': 10_000,
  }


get_config = experiment(
  default={
    **GAN_IMAGES,
    'steps': 6_000,
    'batch_size': 32,
    'data': {'name': 'shapes', 'size': 32, 'value_range': (-1.0, 1.0)},
    'stages': {'resolutions': (4, 8, 16, 32), 'fade_images': (20_000,), 'stable_images': (20_000,)},
    'model': {
      'name': 'GAN',
      'generator': {'name': 'ProgressiveGenerator', 'features': WIDTHS},
      'discriminator': {'name': 'ProgressiveDiscriminator', 'features': WIDTHS},
      'head': {'name': 'LinearHead', 'equalized': True},
      'loss': 'wasserstein',
      'penalty': 'wgan_gp',
      'penalty_weight': 10.0,
      'drift': 1e-3,
      'latent_dim': 128,
    },
    'optimizer': {'learning_rate': 1e-3, 'schedule': 'constant', 'b1': 0.0, 'b2': 0.99},
  },
  mnist={'data': {**MNIST, 'size': 32}, **MEASURED, 'model': {'generator': {'output': 'tanh'}}},
  cifar10={
    'data': {'name': 'cifar10', 'size': 0, 'flip': True},
    'model': networks((512, 256, 128, 64)),
    'final_evals': ('sliced_wasserstein',),
  },
  faces={
    'data': {'name': 'utkface64', 'size': 0, 'flip': True},
    'stages': {'resolutions': (4, 8, 16, 32, 64)},
    'model': networks((*WIDTHS, 16)),
    'final_evals': ('sliced_wasserstein',),
  },
  paper_128=published(128),
  paper_256=published(256),
  paper_1024=published(1024),
  whole={'stages': NOTHING_GROWS},
  skip={'stages': NOTHING_GROWS, 'model': {'generator': {'skip': True}, 'discriminator': {'skip': True}}},
  smoke={
    'data': {'size': 8},
    'stages': {'resolutions': (4, 8), 'fade_images': (80,), 'stable_images': (80,)},
    'model': networks((8, 8)),
  },
)
