"""Progressive growing: a GAN that begins with images of 4x4 and doubles them while it trains (Karras et al., 2018).

    python launch.py --config=experiments/progressive_gan.py[:mnist|cifar10|faces|paper]
    python launch.py --config=experiments/progressive_gan.py:mnist,whole    # the same networks, at full size throughout
    python launch.py --config=experiments/progressive_gan.py:mnist,skip     # and with images of all levels, added up
"""

from experiments.common import GAN_IMAGES, MEASURED, MNIST
from gen_jax.config import experiment

WHOLE = {'stages': {'resolutions': ()}}

get_config = experiment(
  default={
    **GAN_IMAGES,
    'steps': 6_000,
    'batch_size': 32,
    'data': {'name': 'shapes', 'size': 32, 'value_range': (-1.0, 1.0)},
    'stages': {
      'resolutions': (4, 8, 16, 32),
      'fade_images': (20_000,),
      'stable_images': (20_000,),
    },
    'model': {
      'name': 'GAN',
      'generator': {'name': 'ProgressiveGenerator', 'features': (128, 128, 64, 32)},
      'discriminator': {'name': 'ProgressiveDiscriminator', 'features': (128, 128, 64, 32)},
      'head': {'name': 'LinearHead', 'equalized': True},
      'loss': 'wasserstein',
      'penalty': 'wgan_gp',
      'penalty_weight': 10.0,
      'drift': 1e-3,
      'latent_dim': 128,
    },
    'optimizer': {'learning_rate': 1e-3, 'b1': 0.0, 'b2': 0.99},
  },
  mnist={'data': {**MNIST, 'size': 32}, **MEASURED},
  whole=WHOLE,
  skip={**WHOLE, 'model': {'generator': {'skip': True}, 'discriminator': {'skip': True}}},
  smoke={
    'data': {'size': 8},
    'stages': {'resolutions': (4, 8), 'fade_images': (80,), 'stable_images': (80,)},
    'model': {'generator': {'features': (8, 8)}, 'discriminator': {'features': (8, 8)}},
  },
)
