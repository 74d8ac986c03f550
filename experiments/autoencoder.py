"""An autoencoder on the embedded handwritten digits: what the bottleneck costs."""

from experiments.common import experiment

get_config = experiment(
  default={
    'batch_size': 128,
    'steps': 5_000,
    'data': {'name': 'digits', 'size': 28},
    'model': {
      'name': 'Autoencoder',
      'encoder': {'name': 'MLPEncoder', 'hidden': (500, 250)},
      'decoder': {'name': 'MLPDecoder', 'hidden': (250, 500)},
      'latent_dim': 10,
    },
    'optimizer': {'schedule': 'cosine'},
    'best': 'squared_error',
    'best_mode': 'min',
  },
  mnist={
    'steps': 10_000,
    'data': {
      'name': 'mnist',
      'train_split': 'train[:55000]',
      'validation_split': 'train[55000:]',
    },
  },
)
