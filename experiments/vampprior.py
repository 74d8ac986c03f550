"""A VAE whose prior is a mixture of its own posteriors, at learned pseudo-inputs.

    python launch.py --config=experiments/vampprior.py[:mnist]

Not run yet.
"""

from experiments.common import MNIST
from gen_jax.config import experiment

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
  paper={  # as many pseudo-inputs as Tomczak & Welling (2018); not run
    'batch_size': 100,
    'steps': 1_160_000,
    'model': {'prior': {'components': 500}},
    'optimizer': {'learning_rate': 5e-4, 'schedule': 'constant'},
    'log_every': 1_000,
    'eval_every': 5_800,
    'save_every': 5_800,
  },
  mnist={'steps': 50_000, 'data': MNIST},
)
