"""Progressive growing: a GAN that begins with images of 4x4 and doubles them while it trains (Karras et al., 2018).

    python launch.py --config=experiments/progressive_gan.py[:mnist|mnist_wgan_gp|conditional|cifar10|faces|paper_1024]
    python launch.py --config=experiments/progressive_gan.py:mnist_wgan_gp,whole  # the networks at full size throughout
    python launch.py --config=experiments/progressive_gan.py:mnist_wgan_gp,skip   # and with images of all levels, added

MNIST at 32x32, about an hour of one CPU core: Frechet distance by trace .0024 (CNN) and .0017 (LeNet), of test images
.0020 and .0013; precision .868 and .885, recall .774 and .809; of 10,000 samples .948 are named with a confidence of .9
or more, of test images .977. With WGAN-GP, ten components, and a rate that falls to 0 in 12,000 steps, 45 minutes:
.0042 and .0027, .766 and .814, .791 and .837, .865.

`paper_1024`, and `paper_128` and `paper_256`, are of any faces, --config.data.name=FOLDER; they need days of several
GPUs, and have not been run.
"""

import math

from experiments.common import GAN_IMAGES, MEASURED, MNIST, RELATIVISTIC
from gen_jax.config import experiment, merge
from gen_jax.stages import NOTHING_GROWS

WIDTHS = (128, 64, 32, 16)  # of 4x4 to 32x32
DIGITS = {
  'data': {**MNIST, 'size': 32},
  **MEASURED,
  'final_evals': (*MEASURED['final_evals'], 'confidence'),
  'test_examples': 0,
}


def natural(features: tuple[int, ...]) -> dict:
  """Both networks, of these widths from 4x4 upward, for photos, whose values seldom lie at the ends of the range."""
  return {'generator': {'features': features, 'output': 'linear'}, 'discriminator': {'features': features}}


def published(side: int) -> dict:
  """The widths and the schedule of the authors' code for 8 GPUs, of its version for TensorFlow."""
  sides = tuple(2**i for i in range(2, int(math.log2(side)) + 1))
  sizes = [{4: 512, 8: 256, 16: 128, 32: 64}.get(each, 32) for each in sides]
  rates = [{128: 1.5e-3, 256: 2e-3, 512: 3e-3, 1024: 3e-3}.get(each, 1e-3) for each in sides]
  phase, images = 600_000, 12_000_000
  stages = {
    'resolutions': sides,
    'fade_images': (phase,),
    'stable_images': (phase,),
    'batch_sizes': tuple(sizes[:-1]),
    'learning_rates': tuple(rates[:-1]),
  }
  before = sum(math.ceil(phase / size) * (1 if each == 4 else 2) for each, size in zip(sides, sizes, strict=True))
  rest = images - phase * (2 * len(sides) - 1)
  return {
    'steps': before + math.ceil(rest / sizes[-1]),
    'batch_size': sizes[-1],
    'data': {'name': 'celeb_a_hq/1024', 'size': side, 'flip': True},
    'stages': stages,
    'model': {**natural(tuple(min(512, 16_384 // each) for each in sides)), 'latent_dim': 512},
    'optimizer': {'learning_rate': rates[-1]},
    'final_evals': ('sliced_wasserstein',),
    'test_examples': 0,
    'sample_count': 16_384,
    'log_every': 500,
    'eval_every': 10_000,
    'save_every': 10_000,
  }


get_config = experiment(
  default={
    **GAN_IMAGES,
    'steps': 5_000,
    'batch_size': 32,
    'data': {'name': 'sprites', 'size': 32, 'value_range': (-1.0, 1.0)},
    'stages': {'resolutions': (4, 8, 16, 32), 'fade_images': (15_000,), 'stable_images': (15_000,)},
    'model': {
      'name': 'GAN',
      'generator': {'name': 'ProgressiveGenerator', 'features': WIDTHS, 'output': 'tanh'},
      'discriminator': {'name': 'ProgressiveDiscriminator', 'features': WIDTHS},
      'head': {'name': 'LinearHead', 'equalized': True},
      'loss': 'wasserstein',
      'penalty': 'wgan_gp',
      'penalty_weight': 10.0,
      'drift': 1e-3,
      'latent_dim': 128,
    },
    # four times theirs: one run of digits each, 5,000 samples beside training images: after 6,000 steps a distance by
    # trace of .012, and with 1e-3, in stages half as long again, of .066
    'optimizer': {'learning_rate': 4e-3, 'schedule': 'constant', 'b1': 0.0, 'b2': 0.99},
    'test_examples': 2_000,  # of the default, whose images are rendered
  },
  mnist=merge(  # fewer samples than by WGAN-GP are no digits
    DIGITS,
    {
      'steps': 16_000,
      'model': {'latent_modes': 10, **RELATIVISTIC, 'drift': 0.0},
      'optimizer': {'schedule': 'cosine', 'final_learning_rate': 1e-3},
    },
  ),
  mnist_wgan_gp=DIGITS,
  conditional=merge(  # MNIST by class: AC-GAN, as in their code
    DIGITS,
    {'model': {'conditional': True, 'head': {'name': 'ClassifierHead', 'generator_weight': 1.0, 'equalized': True}}},
  ),
  cifar10={
    'data': {'name': 'cifar10', 'size': 32, 'flip': True},
    'model': natural((128, 128, 128, 128)),  # theirs
    'final_evals': ('sliced_wasserstein',),
    'test_examples': 0,
  },
  faces={
    'data': {'name': 'utkface64', 'size': 64, 'flip': True},
    'stages': {'resolutions': (4, 8, 16, 32, 64), 'fade_images': (10_000,), 'stable_images': (10_000,)},
    'model': {**natural((*WIDTHS, 16)), **RELATIVISTIC, 'penalty_weight': 1.0, 'drift': 0.0},
    # by WGAN-GP at 4e-3 the discriminator holds fakes for real from the first steps of 64x64 on (one run)
    'optimizer': {'learning_rate': 2e-3},
    'final_evals': ('sliced_wasserstein',),
    'test_examples': 0,
  },
  paper_128=published(128),
  paper_256=published(256),
  paper_1024=published(1024),
  whole={'stages': NOTHING_GROWS},
  skip={'stages': NOTHING_GROWS, 'model': {'generator': {'skip': True}, 'discriminator': {'skip': True}}},
  smoke={
    'data': {'size': 8},
    'stages': {'resolutions': (4, 8), 'fade_images': (80,), 'stable_images': (80,)},
    'model': natural((8, 8)),
  },
)
