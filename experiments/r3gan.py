"""R3GAN: a relativistic loss with R1 and R2, and residual networks without normalization (Huang et al., 2024).

    python launch.py --config=experiments/r3gan.py[:mnist_residual|cifar10|faces|paper]
    python launch.py --config=experiments/r3gan.py:mnist    # or fashion_mnist: the loss alone, with networks of gan.py

The residual networks learn slowly on a CPU, where a step takes 99 ms, and one of gan.py 39: MNIST, Frechet distance by
trace (CNN, validation), .0051 after 16 minutes of a core, where the loss alone has .0028 after 6.5. In 13 minutes the
loss alone is better than gan.py's on Fashion-MNIST and with one latent mode, with the ten of `mnist` a bit worse: see
experiments/README.md.

`paper` is CIFAR-10 by class, as published but for the augmentations, which their code (brownvc/R3GAN) has from
StyleGAN2-ADA; it needs GPUs, and has not been run.
"""

from experiments.common import GAN_IMAGES, MEASURED, MNIST, RELATIVISTIC
from gen_jax.config import experiment, merge


def cosine(start: float, end: float, steps: int) -> dict:
  """A schedule from `start` to `end` in so many steps, by half a period of the cosine."""
  return {'name': 'cosine_decay_schedule', 'init_value': start, 'decay_steps': steps, 'alpha': end / start}


def networks(features: tuple[int, ...], **fields) -> dict:
  """Both, of these widths from the smallest map upward."""
  return {'generator': {'features': features, **fields}, 'discriminator': {'features': features[::-1], **fields}}


LOSS_ALONE = {  # with the networks of gan.py
  'steps': 18_000,
  'model': {
    'generator': GAN_IMAGES['model']['generator'],
    'discriminator': GAN_IMAGES['model']['discriminator'],
    # in 9,000 steps half as large, or twice, .0034 in place of .0028 (CNN, validation); .3 throughout .0033
    'penalty_weight': {'name': 'linear_schedule', 'init_value': 0.3, 'end_value': 1.5, 'transition_steps': 18_000},
    'penalty_every': 8,
    'latent_dim': 32,
  },
  'optimizer': {'final_learning_rate': 1e-4},
}
PAPER_STEPS = 39_063  # 20 million images of 512, in which every schedule comes to its end
HALF_LIVES = (0.25, 0.5, 0.75, 1.0)  # of the average, times 5 million images, at these parts of the steps

get_config = experiment(
  default={
    **GAN_IMAGES,
    'model': {
      'name': 'GAN',
      'generator': {'name': 'R3Generator', 'features': (128, 128, 64), 'blocks': 1, 'patch': 2, 'output': 'tanh'},
      'discriminator': {'name': 'R3Discriminator', 'features': (64, 128, 128), 'blocks': 1, 'patch': 2},
      **RELATIVISTIC,
      'latent_dim': 64,
    },
    # not to 0, where the discriminator overtakes: with the networks of gan.py, one run of 7,000 steps each, it tells
    # digits from samples with an AUC of .88 in place of .72; distances by trace .0042 in place of .0035
    'optimizer': {'schedule': 'cosine', 'final_learning_rate': 2.5e-4, 'learning_rate': 1e-3, 'b1': 0.0, 'b2': 0.99},
  },
  mnist=merge(LOSS_ALONE, {'data': MNIST, **MEASURED, 'model': {'latent_modes': 10}}),
  mnist_residual={'steps': 10_000, 'data': MNIST, **MEASURED, 'model': {'latent_modes': 10}},
  fashion_mnist=merge(LOSS_ALONE, {'data': {**MNIST, 'name': 'fashion_mnist'}, **MEASURED}),
  cifar10={
    'data': {'name': 'cifar10', 'size': 32, 'flip': True},
    'model': {**networks((256, 256, 128, 64), blocks=2, patch=1)},
    'final_evals': ('sliced_wasserstein',),
  },
  faces={
    'steps': 4_000,
    'data': {'name': 'utkface64', 'size': 64, 'flip': True},
    'model': {**networks((128, 128, 96, 64), patch=2), 'penalty_weight': 1.0},
    'final_evals': ('sliced_wasserstein',),
  },
  paper={
    'steps': PAPER_STEPS,
    'batch_size': 512,
    'data': {'name': 'cifar10', 'size': 32, 'flip': True},
    'model': {
      **networks((768, 768, 768, 768), blocks=2, hidden=2.0, group=16, patch=1),
      'head': {'name': 'ProjectionHead'},
      'conditional': True,
      'penalty_weight': cosine(0.05, 0.005, PAPER_STEPS),
      'penalty_every': 1,
    },
    'ema_decay': 0.0,
    'averages': {
      'rising': {
        'name': 'interpolated_schedule',
        'steps': tuple(round(part * PAPER_STEPS) for part in (0.0, *HALF_LIVES)),
        'levels': (0.0, *(0.5 ** (512 / (part * 5e6)) for part in HALF_LIVES)),
      },
    },
    'optimizer': {
      'learning_rate': 2e-4, 'schedule': 'cosine', 'final_learning_rate': 5e-5, 'b2': 0.9, 'final_b2': 0.99,
    },
    'sample_count': 50_000,
    'eval_every': 5_000,
    'save_every': 5_000,
  },
  smoke={'model': {'generator': {'features': (8, 8)}, 'discriminator': {'features': (8, 8)}}},
)  # fmt: skip
