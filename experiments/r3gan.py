"""R3GAN: a relativistic loss with R1 and R2, residual networks without normalization, no tricks (Huang et al., 2024).

    python launch.py --config=experiments/r3gan.py[:mnist|fashion_mnist|cifar10|faces|paper]
"""

from experiments.common import GAN_IMAGES, MEASURED, MNIST
from gen_jax.config import experiment


def cosine(start: float, end: float, steps: int) -> dict:
  """A schedule from `start` to `end` in so many steps, by half a period of the cosine."""
  return {'name': 'cosine_decay_schedule', 'init_value': start, 'decay_steps': steps, 'alpha': end / start}


get_config = experiment(
  default={
    **GAN_IMAGES,
    'model': {
      'name': 'GAN',
      'generator': {'name': 'R3Generator', 'features': (128, 128, 64), 'blocks': 1, 'patch': 2, 'output': 'tanh'},
      'discriminator': {'name': 'R3Discriminator', 'features': (64, 128, 128), 'blocks': 1, 'patch': 2},
      'loss': 'relativistic',
      'penalty': 'r1_r2',
      'penalty_weight': 0.3,
      'penalty_every': 4,
      'latent_dim': 64,
    },
  },
  mnist={'data': MNIST, **MEASURED},
  fashion_mnist={'data': {**MNIST, 'name': 'fashion_mnist'}, **MEASURED},
  smoke={'model': {'generator': {'features': (8, 8)}, 'discriminator': {'features': (8, 8)}}},
)
