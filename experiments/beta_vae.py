"""beta-VAE on rendered dSprites."""

from experiments.common import experiment

get_config = experiment(
  default={
    'batch_size': 64,
    'steps': 5_000,
    'data': {'name': 'sprites'},
    'model': {
      'name': 'VAE',
      'encoder': {
        'name': 'ConvEncoder',
        'features': (32, 32, 64, 64),
        'kernels': (4, 4, 4, 4),
        'hidden': (256,),
      },
      'decoder': {'name': 'ConvDecoder', 'features': (64, 64, 32, 32), 'hidden': (256,)},
      'likelihood': {'name': 'Bernoulli'},
      'latent_dim': 10,
      # from a beta at which nothing pays down to the published 4, so that latents appear one after another
      'beta': {
        'name': 'exponential_decay',
        'init_value': 200.0,
        'end_value': 4.0,
        'transition_steps': 2_500,
        'decay_rate': 0.02,
      },
      'capacity': 0.0,
    },
    'optimizer': {'schedule': 'cosine'},
    'evals': ('terms', 'active_units', 'spearman'),
    'validation_examples': 2_000,
    'test_examples': 20_000,
  },
  paper={
    'steps': 300_000,
    'model': {'encoder': {'kernels': (4, 4, 2, 2)}, 'beta': 4.0},
    'optimizer': {'learning_rate': 1e-4, 'schedule': 'constant'},
    'log_every': 1_000,
    'eval_every': 20_000,
    'save_every': 10_000,
  },
)
