"""WGAN-GP: a critic held to slope 1 by a penalty on its gradient, updated five times for each step of the generator.

    python launch.py --config=experiments/wgan_gp.py[:mnist]

MNIST, 20 minutes on one CPU core: Frechet distance by trace .023 (CNN) and .013 (LeNet), precision .579 and .648,
recall .832 and .885; of validation images .058, .029 and .024 after 1,000, 2,000 and 3,000 steps, so it still falls.
"""

from experiments.common import GAN_IMAGES, MEASURED, MNIST
from gen_jax.config import experiment, merge

get_config = experiment(
  default=merge(
    GAN_IMAGES,
    {
      'model': {
        'loss': 'wasserstein',
        'penalty': 'wgan_gp',
        'penalty_weight': 10.0,
        'critic_steps': 5,
      },
      'optimizer': {'learning_rate': 5e-4, 'b1': 0.5, 'b2': 0.9},
    },
  ),
  mnist={'steps': 3_000, 'data': MNIST, **MEASURED},
  # residual networks as SNGAN's, so with a sum over all places where Gulrajani et al. (2017) take the mean, their
  # schedule for CIFAR-10, batches of 64 for both players, where their code (gan_cifar_resnet.py) gives the generator
  # 128; not run
  paper={
    'steps': 100_000,
    'ema_decay': 0.0,
    'data': {'size': 32},
    'model': {
      'generator': {'name': 'ResNetGenerator', 'features': (128, 128, 128)},
      'discriminator': {'name': 'ResNetDiscriminator', 'norm': 'none'},
      'latent_dim': 128,
    },
    'optimizer': {'learning_rate': 2e-4, 'b1': 0.0},
  },
  smoke={'model': {'generator': {'features': (8, 8)}, 'discriminator': {'features': (8, 8)}, 'critic_steps': 2}},
)
