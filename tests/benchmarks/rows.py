"""What is trained: the rows of the benchmarks, each a config and its data."""

import importlib
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from experiments import beta_vae, diffusion, voices
from gen_jax import build
from gen_jax.build import Task
from gen_jax.config import common, update
from gen_jax.data.dataset import Dataset, from_arrays
from gen_jax.data.preprocess import resize
from gen_jax.data.sets import digits

EXAMPLES = 8_192  # of noise
SMALL_BATCH = 4  # of a shortened row
Row = tuple[ConfigDict, Dataset]


def config_with(changes: Mapping[str, Any], config: ConfigDict | None = None) -> ConfigDict:
  """The common config, or the given one, changed."""
  config = config or common()
  with config.unlocked():
    update(config, changes)
  return config


# Rows that `peers.py` holds too


def beta_vae_row(batch_size: int) -> Row:
  """A beta-VAE of the networks of Higgins et al. (2017) for faces, with beta and learning rate held constant."""
  changes = {'batch_size': batch_size, 'model': {'beta': 4.0}, 'optimizer': {'schedule': 'constant'}}
  config = config_with(changes, beta_vae.get_config('falling'))
  return config, build.dataset(config, 'train')


def mlp_vae_row() -> Row:
  """A dense VAE on digits brought to 28x28 beforehand, as MNIST lies in memory, binarized anew at each step."""
  model = {
    'name': 'VAE',
    'encoder': {'name': 'MLPEncoder', 'hidden': (512,)},
    'decoder': {'name': 'MLPDecoder', 'hidden': (512,)},
    'likelihood': {'name': 'Bernoulli'},
    'latent_dim': 20,
  }
  small = digits.load('train').arrays['image']
  data = from_arrays({'image': np.asarray(resize(jnp.asarray(small, jnp.float32), 28, 256)).astype(np.uint8)})
  return config_with({'batch_size': 128, 'data': {'binarize': 'dynamic'}, 'model': model}), data


def gan_config(batch_size: int, learning_rate: float, **model: Any) -> ConfigDict:
  """Adam as Radford et al. (2016) set it, data in [-1, 1]."""
  optimizer = {'learning_rate': learning_rate, 'b1': 0.5}
  changes = {'batch_size': batch_size, 'data': {'value_range': (-1.0, 1.0)}, 'optimizer': optimizer}
  return config_with(changes | {'model': {'name': 'GAN', **model}})


def gan_2d_row() -> Row:
  """Eight Gaussians of sigma .02 on a circle of radius .75."""
  rng = np.random.default_rng(0)
  angle = rng.integers(0, 8, EXAMPLES) * (math.pi / 4)
  points = 0.75 * np.stack([np.cos(angle), np.sin(angle)], -1) + 0.02 * rng.standard_normal((EXAMPLES, 2))
  data = from_arrays({'image': points.astype(np.float32).reshape(-1, 1, 1, 2)}, kind='points')
  players = {'generator': {'name': 'MLPGenerator'}, 'discriminator': {'name': 'MLPDiscriminator'}}
  return gan_config(256, 1e-3, **players, latent_dim=2), data


def noise_images(shape: tuple[int, int, int]) -> Dataset:
  """Pixels that are uniform noise, with labels of ten classes."""
  rng = np.random.default_rng(0)
  images, labels = rng.integers(0, 256, (EXAMPLES, *shape), np.uint8), rng.integers(0, 10, EXAMPLES, np.int32)
  return from_arrays({'image': images, 'label': labels}, num_classes=10)


def dcgan_32_row() -> Row:
  """DCGAN on noise."""
  players = {'generator': {'name': 'ConvGenerator'}, 'discriminator': {'name': 'ConvDiscriminator'}}
  return gan_config(64, 2e-4, **players, latent_dim=100), noise_images((32, 32, 3))


def sngan_32_row() -> Row:
  """SNGAN of width 64 on noise, one step of the discriminator for each of the generator."""
  players = {
    'generator': {'name': 'ResNetGenerator', 'features': (64,) * 3},
    'discriminator': {'name': 'ResNetDiscriminator', 'features': (64,) * 4},
    'head': {'name': 'LinearHead', 'spectral': True},
  }
  return gan_config(64, 2e-4, **players, latent_dim=128, loss='hinge'), noise_images((32, 32, 3))


def noise_pairs(size: int) -> Dataset:
  """Pairs of images of uniform noise."""
  draw = lambda seed: np.random.default_rng(seed).integers(0, 256, (512, size, size, 3), np.uint8)
  return from_arrays({'image_a': draw(0), 'image_b': draw(1)})


def translation_config(batch_size: int, model: Mapping[str, Any]) -> ConfigDict:
  """Adam as both papers set it, data in [-1, 1]."""
  optimizer = {'learning_rate': 2e-4, 'b1': 0.5}
  changes = {'batch_size': batch_size, 'data': {'value_range': (-1.0, 1.0)}, 'optimizer': optimizer}
  return config_with(changes | {'model': dict(model)})


CRITIC = {'name': 'PatchDiscriminator', 'features': 32, 'halvings': 2}


def pix2pix_row(size: int, levels: int) -> Row:
  """pix2pix at half the width of the paper, patches of 34x34, on noise."""
  generator = {'name': 'UNetTranslator', 'features': (32, 64, 128, *[256] * (levels - 3))}
  model = {'name': 'Pix2Pix', 'generator': generator, 'discriminator': CRITIC}
  return translation_config(4, model), noise_pairs(size)


def cyclegan_row(size: int) -> Row:
  """CycleGAN of six blocks at half the width of the paper, patches of 34x34, on noise."""
  generator = {'name': 'ResNetTranslator', 'features': (32, 64, 128), 'blocks': 6}
  model = {'generator_a': generator, 'generator_b': generator, 'discriminator_a': CRITIC, 'discriminator_b': CRITIC}
  return translation_config(1, {'name': 'CycleGAN', **model}), noise_pairs(size)


def voices_row(bands: int = 24, **model: Any) -> Row:
  """CycleGAN of voices as the experiment trains it, with the learning rate and the identity terms held, on noise."""
  held = {'optimizer': {'schedule': 'constant'}, 'model': {'identity_steps': 0, **model}}
  config = config_with({'data': {'bands': bands}, **held}, voices.get_config())
  shape = (512, config.data.frames, bands, 1)
  draw = lambda seed: np.random.default_rng(seed).standard_normal(shape, np.float32)
  return config, from_arrays({'image_a': draw(0), 'image_b': draw(1)}, kind='sound')


def diffusion_row(batch_size: int) -> Row:
  """EDM as the experiment trains it on MNIST, with the learning rate held constant, on noise."""
  changes = {'batch_size': batch_size, 'optimizer': {'schedule': 'constant', 'warmup_steps': 0}}
  return config_with(changes, diffusion.get_config('mnist')), noise_images((28, 28, 1))


ROWS = {  # the most important first
  'beta_vae_64': lambda: beta_vae_row(64),
  'dcgan_32': dcgan_32_row,
  'sngan_32': sngan_32_row,
  'diffusion': lambda: diffusion_row(128),
  'diffusion_sampling': lambda: diffusion_row(32),
  'mlp_vae': mlp_vae_row,
  'gan_2d': gan_2d_row,
  'beta_vae_256': lambda: beta_vae_row(256),
  'pix2pix_64': lambda: pix2pix_row(64, 6),
  'cyclegan_64': lambda: cyclegan_row(64),
  'pix2pix_128': lambda: pix2pix_row(128, 7),
  'cyclegan_128': lambda: cyclegan_row(128),
  'voices': voices_row,
}
SAMPLED = ('diffusion_sampling',)  # of which no training step is measured, but drawing a batch of samples

# Experiments, by themselves

DIGITS = ('gan.py:mnist', 'sngan.py:mnist', 'wgan_gp.py:mnist', 'conditional_gan.py:mnist', 'pixelcnn.py:mnist')
EXPERIMENTS = ('beta_vae.py:paper', *DIGITS)
PAPERS = ('sngan.py:paper', 'wgan_gp.py:paper', 'conditional_gan.py:paper', 'gan.py:paper', 'pixelcnn.py:paper')
DOWNLOADED = {'mnist': (28, 28, 1), 'cifar10': (32, 32, 3)}  # shapes of the sets in whose place noise is trained on


def experiment_row(name: str, short: bool) -> Row:
  """FILE.py:VARIANT of `experiments`; shortened, its smoke form."""
  file, _, variant = name.partition('.py:')
  config = importlib.import_module(f'experiments.{file}').get_config(f'{variant},smoke' if short else variant)
  shape = DOWNLOADED.get(config.data.name)
  return config, noise_images(shape) if shape else build.dataset(config, 'train')


def task(row: str, precision: str = 'float32', short: bool = False) -> Task:
  """What `build.task` makes of a row's config, on the row's data."""
  config, data = ROWS[row]() if row in ROWS else experiment_row(row, short)
  smaller = {'batch_size': SMALL_BATCH} if short else {}
  config = config_with({'precision': precision, **smaller}, config)
  model = build.model(config, data)
  optimizers, preprocess = build.optimizers(config, model), build.preprocessor(config, data, train=True)
  return Task(config, data, model, optimizers, build.averages(config), preprocess, config.steps)
