"""A GAN of images: the convolutions of DCGAN, a discriminator that a penalty holds in place of batch normalization.

    python launch.py --config=experiments/gan.py[:mnist|fashion_mnist]
    python launch.py --config=experiments/gan.py:plain --config.model.loss=minimax    # as first written, log(1 - D)

MNIST, 16 minutes on one CPU core: Frechet distance by trace .0023 (CNN) and .0015 (LeNet), precision .846 and .873,
recall .769 and .796, each digit .91 to 1.05 times its share; another seed .0028 and .0021, .865 and .879, .765 and
.800. Fashion-MNIST, 15 minutes: .0066 and .0042, .787 and .832, .816 and .839; another seed .0057 and .0035, .775 and
.821, .816 and .850. MNIST with one component, 20,000 steps and an average that was not warmed up yet: .0024 and .0017,
.787 and .819, .856 and .891.
"""

from experiments.common import GAN_IMAGES, MEASURED, MNIST, UNPENALIZED
from gen_jax.config import experiment, merge

RADFORD = {'learning_rate': 2e-4, 'schedule': 'constant', 'b1': 0.5, 'b2': 0.999}

get_config = experiment(
  default=merge(GAN_IMAGES, {'model': {'penalty': 'r1', 'penalty_weight': 0.3, 'penalty_every': 4}}),
  # after 5,000 steps precision by the CNN is .82 with ten components and .73 with one, recall .70 and .82
  mnist={'steps': 10_000, 'model': {'latent_modes': 10}, 'data': MNIST, **MEASURED},
  fashion_mnist={'steps': 10_000, 'data': {**MNIST, 'name': 'fashion_mnist'}, **MEASURED},
  # without a penalty: mnist,plain
  plain={'model': {'latent_dim': 100, 'latent_modes': 1, **UNPENALIZED}, 'optimizer': RADFORD},
  paper={  # DCGAN (Radford et al., 2016), whose noise is uniform where this one is normal; not run
    'batch_size': 128,
    'steps': 100_000,
    'ema_decay': 0.0,
    'data': {'size': 64},
    'model': {
      'generator': {'features': (1024, 512, 256, 128), 'kernel': 5},
      'discriminator': {'features': (64, 128, 256, 512), 'kernel': 5, 'norm': 'batch'},
      'latent_dim': 100,
      **UNPENALIZED,
    },
    'optimizer': RADFORD,
  },
  smoke={'model': {'generator': {'features': (8, 8)}, 'discriminator': {'features': (8, 8)}}},
)
