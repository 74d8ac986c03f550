"""The importance weighted autoencoder, and the VAE of the same networks and schedule.

    python launch.py --config=experiments/iwae.py[:mnist[,vae]]

MNIST, dynamic binarization, -log p(x) of the 10,000 test images with 5,000 importance samples: VAE 87.66 +- .23, k = 5
86.23 +- .22, example by example 1.43 +- .03 below. 38 and 78 minutes on two CPU cores that other runs shared. 18 and 23
active units; the ELBO of k = 5 is -92.1, as its posterior is not trained for it.

`mnist,paper` has k = 50 and the batches of 20 and 3,280 passes of Burda et al. (2016); it has not been run.
"""

from experiments.common import MNIST
from gen_jax.config import experiment

NETWORKS = {
  'encoder': {'name': 'MLPEncoder', 'hidden': (200, 200), 'activation': 'tanh'},
  'decoder': {'name': 'MLPDecoder', 'hidden': (200, 200), 'activation': 'tanh'},
  'likelihood': {'name': 'Bernoulli'},
  'latent_dim': 50,
  'family': {'name': 'DiagonalNormal'},  # or FullNormal, InverseAutoregressiveFlow
  'prior': {'name': 'StandardNormal'},  # or MixturePrior, VampPrior
}

get_config = experiment(
  default={
    'batch_size': 128,
    'steps': 10_000,
    'data': {'name': 'digits', 'size': 28, 'binarize': 'dynamic'},
    'model': {'name': 'IWAE', **NETWORKS, 'samples': 5, 'dreg': False},
    'optimizer': {'learning_rate': 1e-3, 'schedule': 'cosine'},
    'best': 'bound',
    'final_evals': ('likelihood',),
  },
  vae={'model': {'name': 'VAE', **NETWORKS}, 'best': 'elbo'},
  mnist={
    'steps': 300_000,
    'steps_per_dispatch': 200,
    'data': MNIST,
    'log_every': 1_000,
    'eval_every': 10_000,
    'save_every': 10_000,
  },
  paper={  # 3,280 passes over the images; their eight learning rates are a cosine here
    'batch_size': 20,
    'steps': 9_512_000,
    'model': {'samples': 50},
    'optimizer': {'eps': 1e-4},
    'log_every': 10_000,
    'eval_every': 290_000,
    'save_every': 29_000,
  },
)
