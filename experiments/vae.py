"""A VAE with dense networks, binarized anew at every step.

    python launch.py --config=experiments/vae.py[:mnist|mnist,gray]

Two CPU cores, test split, one sample of the posterior: digits 2 min 16 s, -ELBO 276.5 nats (strokes brought up from
8x8 are gray, and binarizing gray costs its entropy); MNIST 1 min 16 s, -ELBO 97.64 nats (97.60, 27.3 of them KL,
20 active units, in an earlier run). 256 gray values (`mnist,gray`), 22 minutes of one core: -ELBO 703.0 nats, 1.294
bits/dim.
"""

from gen_jax.config import experiment

get_config = experiment(
  default={
    'batch_size': 128,
    'steps': 20_000,
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
  mnist={'data': {'name': 'mnist', 'train_split': 'train[:55000]', 'validation_split': 'train[55000:]'}},
  # all 256 gray values, for bits/dim
  gray={
    'data': {'binarize': 'none', 'value_range': (-1.0, 1.0)},
    'model': {'likelihood': {'name': 'DiscretizedLogisticMixture', 'components': 5}},
  },
)
