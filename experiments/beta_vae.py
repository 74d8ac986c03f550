"""beta-VAE on rendered dSprites.

    python launch.py --config=experiments/beta_vae.py

Two CPU cores, 8 min 9 s. On 20,000 unseen combinations of factors: -ELBO 113.7 nats (reconstruction 105.3, KL 8.4);
three latents, of 3.19, 3.17 and 2.00 nats, follow y, x and scale with |Spearman rho| .997, .997 and .910; the next has
.001 nats. Shape and orientation need a longer run. Half as many steps, beta falling twice as fast, end at 115.7.

Other schedules of 5,000 steps, one run each: capacity annealed over 4,000 steps (gamma 30, C from 0 to 16) reached
-ELBO 114.6, but folded x and y over several latents (rho .68, .57); beta = 30, stopped after 1,500 steps, had folded x
(.60, y .92).
"""

from experiments.common import experiment

PAPER = {
  'steps': 300_000,
  'test_examples': 0,
  'model': {'encoder': {'kernels': (4, 4, 2, 2)}, 'beta': 4.0},
  'optimizer': {'learning_rate': 1e-4, 'schedule': 'constant'},
  'log_every': 1_000,
  'eval_every': 20_000,
  'save_every': 10_000,
}

get_config = experiment(
  default={
    'batch_size': 64,
    'steps': 10_000,
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
        'transition_steps': 5_000,
        'decay_rate': 0.02,
      },
      'capacity': 0.0,
    },
    'optimizer': {'schedule': 'cosine'},
    'evals': ('terms', 'active_units', 'spearman'),
    'validation_examples': 2_000,
    'test_examples': 20_000,
  },
  paper=PAPER,  # Locatello et al., 2019
  annealed={  # the same, with the capacity of Burgess et al., 2018
    **PAPER,
    'model': {
      'encoder': {'kernels': (4, 4, 2, 2)},
      'beta': 1_000.0,
      'capacity': {'name': 'linear_schedule', 'init_value': 0.0, 'end_value': 25.0, 'transition_steps': 100_000},
    },
  },
)
