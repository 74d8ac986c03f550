"""A VAE whose prior is a mixture of its own posteriors, at learned pseudo-inputs.

    python launch.py --config=experiments/vampprior.py[:mnist]
"""

from experiments.common import experiment

get_config = experiment(
  default={
    'batch_size': 128,
    'steps': 20_000,
    'data': {'name': 'digits', 'size': 28, 'binarize': 'dynamic'},
    'model': {
      'name': 'VAE',
      'encoder': {'name': 'MLPEncoder', 'hidden': (300, 300)},
      'decoder': {'name': 'MLPDecoder', 'hidden': (300, 300)},
      'likelihood': {'name': 'Bernoulli'},
      'latent_dim': 40,
      'prior': {'name': 'VampPrior', 'components': 200},
    },
    'optimizer': {'schedule': 'cosine'},
    'best': 'elbo',
    'final_evals': ('likelihood',),
  },
  mnist={
    'steps': 50_000,
    'data': {'name': 'mnist', 'train_split': 'train[:58000]', 'validation_split': 'train[58000:]'},
  },
)
