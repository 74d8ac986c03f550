"""Variational diffusion: a bound on log p(x) as tight as that of an autoregressive model, in continuous time.

    python launch.py --config=experiments/vdm.py[:mnist|mnist_binary|paper]

MNIST, 10,000 test images, bound on -log p(x): 256 gray values, 95 minutes of one core, 613.6 nats, 1.129 bits/dim; by
the probability flow, of 256 images, 641.0 where the bound is 591.8. Binarized, `--config.steps=3000`, 62 minutes: 88.10
nats.

`paper` is CIFAR-10 of Kingma et al. (2021, appendix B), 2.65 bits/dim, and needs many GPUs; it has not been run.
"""

from experiments.common import MNIST
from gen_jax.config import experiment

get_config = experiment(
  default={
    'batch_size': 128,
    'steps': 2_000,
    'data': {'name': 'digits', 'size': 0, 'value_range': (-1.0, 1.0)},
    'model': {
      'name': 'VDM',
      'denoiser': {'name': 'UNet', 'features': (64, 128), 'blocks': 1, 'patch': 2},
      'fourier': (0, 1, 2, 3, 4, 5, 6, 7),  # most pixels are black: at each level of noise another scale tells it
      # an image is nearly black: at e^-8 its last noise level tells nothing of it
      'schedule': {'name': 'MonotoneSchedule', 'gamma_min': -13.3, 'gamma_max': 8.0},
    },
    'sampler': {'name': 'ancestral', 'steps': 256},
    'ema_decay': 0.999,
    'optimizer': {'learning_rate': 1e-3, 'schedule': 'cosine', 'warmup_steps': 200, 'b2': 0.99, 'clip_norm': 1.0},
    'evals': ('means',),
    'final_evals': ('ode_likelihood',),
    'best': 'nll',
    'best_mode': 'min',
    'log_every': 50,
    'eval_every': 1_000,
    'save_every': 500,
    'validation_examples': 2_000,
  },
  mnist={'steps': 4_500, 'data': MNIST},
  mnist_binary={
    'steps': 4_500,
    'data': {**MNIST, 'binarize': 'dynamic'},
    'model': {'schedule': {'gamma_min': -4.0}, 'fourier': (0,)},
  },
  smoke={'sampler': {'steps': 4}, 'model': {'denoiser': {'features': (8,)}, 'schedule': {'features': 8}}},
  paper={
    'steps': 10_000_000,
    'data': {'name': 'cifar10'},
    'model': {
      # 32 blocks on the way down at full size; without the attention that theirs has in the middle
      'denoiser': {'features': (128,), 'blocks': 32, 'patch': 1, 'dropout': 0.1},
      'fourier': (6, 7),
      'schedule': {'name': 'LinearSchedule', 'gamma_min': -13.3, 'gamma_max': 5.0, 'learned_ends': True},
    },
    'ema_decay': 0.9999,
    'optimizer': {'learning_rate': 2e-4, 'schedule': 'constant', 'weight_decay': 0.01},
    'sampler': {'steps': 1_000},
    'validation_examples': 0,
  },
)
