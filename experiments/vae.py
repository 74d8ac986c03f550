"""A VAE with dense networks on the embedded handwritten digits."""

from experiments.common import experiment

get_config = experiment(
  default={
    'batch_size': 128,
    'steps': 5_000,
    'data': {'name': 'digits', 'size': 28, 'binarize': 'dynamic'},
    'model': {
      'name': 'VAE',
      'encoder': {'name': 'MLPEncoder', 'hidden': (500,)},
      'decoder': {'name': 'MLPDecoder', 'hidden': (500,)},
      'likelihood': {'name': 'Bernoulli'},
      'latent_dim': 20,
      'beta': 1.0,
    },
    'optimizer': {'schedule': 'cosine'},
    'best': 'elbo',
  },
  mnist={
    'steps': 20_000,
    'data': {
      'name': 'mnist',
      'train_split': 'train[:55000]',
      'validation_split': 'train[55000:]',
    },
  },
)
