"""SNGAN: residual networks, the hinge loss, kernels of spectral norm 1 (Miyato et al., 2018).

    python launch.py --config=experiments/sngan.py[:mnist]

MNIST, 6 minutes on an H200 with eight runs beside: Frechet distance by trace .0049 (CNN) and .0028 (LeNet), precision
.729 and .791, recall .793 and .852, by an average that was not warmed up yet. After 3,000 steps, schedule included, 23
minutes on one CPU core: .089 and .053, .419 and .519, .650 and .793.
"""

from experiments.common import GAN_IMAGES, MEASURED, MNIST
from gen_jax.config import experiment, merge

get_config = experiment(
  default=merge(
    GAN_IMAGES,
    {
      'model': {
        'generator': {'name': 'ResNetGenerator', 'features': (32, 32)},
        'discriminator': {'name': 'ResNetDiscriminator', 'features': (32, 32, 32), 'norm': 'spectral'},
        'head': {'name': 'LinearHead', 'spectral': True},
        'loss': 'hinge',
      },
      'optimizer': {'learning_rate': 5e-4, 'b2': 0.9},
    },
  ),
  mnist={'steps': 20_000, 'data': MNIST, **MEASURED},
  # The sizes, the initialization and the schedule for CIFAR-10. Their code (sngan_projection) gives the generator twice
  # the batch, 128, where both players have `batch_size`, 64, here; and the discriminator's last layer no bias. Not run
  paper={
    'steps': 100_000,
    'ema_decay': 0.0,
    'data': {'size': 32},
    'model': {
      'generator': {'features': (256, 256, 256)},
      'discriminator': {'features': (128, 128, 128, 128)},
      'latent_dim': 128,
      'critic_steps': 5,
    },
    'optimizer': {'learning_rate': 2e-4},
  },
  smoke={'model': {'generator': {'features': (8, 8)}, 'discriminator': {'features': (8, 8, 8)}}},
)
