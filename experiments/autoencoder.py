"""An autoencoder on handwritten digits: what the bottleneck costs.

    python launch.py --config=experiments/autoencoder.py[:mnist] --config.model.latent_dim=D

Two CPU cores: digits 43 s, MNIST 31 s. Squared error an image on the test split:

    D        2      5      10     32
    digits   13.99  6.61   3.18   .88
    MNIST    29.13  18.14  10.71  4.47
"""

from gen_jax.config import experiment

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
  mnist={'data': {'name': 'mnist', 'train_split': 'train[:55000]', 'validation_split': 'train[55000:]'}},
)
