"""A conditional GAN: a digit of any class, by conditional batch normalization and a projection discriminator.

    python launch.py --config=experiments/conditional_gan.py[:mnist|fashion_mnist]
    python launch.py --config=experiments/conditional_gan.py:auxiliary    # AC-GAN: a head that names classes; not run

MNIST, 33 minutes on one CPU core: Frechet distance by trace .0011 (CNN) and .0006 (LeNet), precision .852 and .889,
recall .847 and .854; class accuracy .993 of 10,000 samples, 1,000 of each class, recall within a class .820. Another
seed: .0009 and .0006, .868 and .887, .837 and .859; .993, .828.
Fashion-MNIST, 31 minutes: .0021 and .0016, .828 and .866, .827 and .852; class accuracy .889, recall within .798.
Another seed: .0022 and .0016, .836 and .866, .829 and .851; .892, .817.
"""

from experiments.common import GAN_IMAGES, MEASURED, MNIST, UNPENALIZED
from gen_jax.config import experiment, merge

LONG = {'steps': 20_000, **MEASURED, 'final_evals': ('sample_distances', 'memorization', 'class_agreement')}

get_config = experiment(
  default=merge(
    GAN_IMAGES,
    {
      'model': {
        'generator': {'condition': 'batch_norm'},
        'head': {'name': 'ProjectionHead'},
        'latent_dim': 100,
        'conditional': True,
        'penalty': 'r1',
        'penalty_weight': 0.3,
        'penalty_every': 4,
      },
    },
  ),
  mnist={**LONG, 'data': MNIST},
  fashion_mnist={**LONG, 'data': {**MNIST, 'name': 'fashion_mnist'}},
  auxiliary={'model': {'head': {'name': 'ClassifierHead'}, 'generator': {'condition': 'embedding'}}},
  # cGAN-PD: the networks and the schedule of Miyato & Koyama (2018) for images of 32x32. Their code (sngan_projection)
  # gives the generator twice the batch, 128, where both players have `batch_size`, 64, here. Not run
  paper={
    'steps': 100_000,
    'ema_decay': 0.0,
    'data': {'size': 32},
    'model': {
      'generator': {'name': 'ResNetGenerator', 'features': (256, 256, 256), 'condition': 'batch_norm'},
      'discriminator': {'name': 'ResNetDiscriminator', 'features': (128, 128, 128, 128)},
      'head': {'name': 'ProjectionHead', 'spectral': True},
      'latent_dim': 128,
      'loss': 'hinge',
      'critic_steps': 5,
      **UNPENALIZED,
    },
    'optimizer': {'learning_rate': 2e-4, 'b2': 0.9},
  },
  smoke={'data': {'size': 8}, 'model': {'generator': {'features': (8, 8)}, 'discriminator': {'features': (8, 8)}}},
)
