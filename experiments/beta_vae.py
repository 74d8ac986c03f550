"""beta-VAE on rendered dSprites."""

from experiments.common import experiment

get_config = experiment(
  default={
    'batch_size': 64,
    'steps': 4_000,
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
      'beta': 30.0,
      'capacity': {'name': 'linear_schedule', 'init_value': 0.0, 'end_value': 16.0, 'transition_steps': 4_000},
    },
    'optimizer': {'schedule': 'cosine'},
    'evals': ('terms', 'active_units', 'spearman'),
  },
  paper={
    'steps': 300_000,
    'model': {'encoder': {'kernels': (4, 4, 2, 2)}, 'beta': 4.0, 'capacity': 0.0},
    'optimizer': {'learning_rate': 1e-4, 'schedule': 'constant'},
    'log_every': 1_000,
    'eval_every': 20_000,
    'save_every': 10_000,
  },
)
