"""Small runs for the tests of the loop: seconds on one core."""

import pathlib

import jax
import numpy as np
from PIL import Image

from gen_jax.config import experiment

MODEL = {
  'name': 'VAE',
  'encoder': {'name': 'MLPEncoder', 'hidden': (16,)},
  'decoder': {'name': 'MLPDecoder', 'hidden': (16,)},
  'likelihood': {'name': 'Bernoulli'},
  'latent_dim': 3,
  'beta': 1.0,
}


GAN = {  # of digits: two optimizers, an average of one player, spectral vectors
  'name': 'GAN',
  'generator': {'name': 'ConvGenerator', 'features': (8,)},
  'discriminator': {'name': 'ConvDiscriminator', 'features': (8,), 'norm': 'spectral'},
  'head': {'name': 'LinearHead', 'spectral': True},
  'latent_dim': 4,
  'critic_steps': 2,
}


def cyclegan(translator='ResNetTranslator', discriminator='PatchDiscriminator', fields=None):
  fields = fields or {'features': (4, 4), 'blocks': 1}
  generator = {'name': translator, **fields}
  critic = {'name': discriminator, **(fields if 'hidden' in fields else {'features': 4, 'halvings': 1})}
  players = {'generator_a': generator, 'generator_b': generator, 'discriminator_a': critic, 'discriminator_b': critic}
  return {'name': 'CycleGAN', **players, 'identity_weight': 0.0, 'pool_size': 3}


def random_variables(init, *arguments, scale=0.6):
  """Variables of the shapes that `init(*arguments)` gives, all drawn from N(0, scale^2), biases too."""
  rng = np.random.default_rng(0)
  draw = lambda leaf: np.asarray(scale * rng.normal(size=leaf.shape), leaf.dtype)
  return jax.tree.map(draw, jax.eval_shape(lambda: init(jax.random.key(0), *arguments)))


def write_images(folder: pathlib.Path, number: int = 60) -> pathlib.Path:
  """A folder of gray 8x8 images."""
  folder.mkdir(parents=True)
  pixels = np.random.default_rng(0).integers(0, 256, (number, 8, 8), np.uint8)
  for i, image in enumerate(pixels):
    Image.fromarray(image).save(folder / f'{i:03d}.png')
  return folder


def small_config(kind: str = 'digits', **changes):
  """A run of 100 steps with an average, 5 steps a dispatch, checkpoints every 20."""
  name = {'rendered': 'sprites', 'resident': 'digits', 'gan': 'digits', 'cyclegan': 'digit_twins'}.get(kind, kind)
  default = {
    'batch_size': 8,
    'steps': 100,
    'steps_per_dispatch': 5,
    'ema_decay': 0.9,
    'data': {'name': name, 'resident_mib': 64 if name in ('sprites', 'digits') else 0},
    'model': MODEL,
    'optimizer': {'schedule': 'cosine'},
    'log_every': 10,
    'eval_every': 50,
    'save_every': 20,
    'validation_examples': 32,
    'test_examples': 32,
    'best': 'elbo',
  }
  if kind == 'gan':
    changes_of_gan = {'data': {'value_range': (-1.0, 1.0)}, 'best': '', 'evals': ('discriminator', 'fixed_noise')}
    default |= {'model': GAN, 'data': default['data'] | changes_of_gan.pop('data'), **changes_of_gan}
  if kind == 'cyclegan':  # pools, sides in their own order, a rate that is constant and then falls
    default |= {'model': cyclegan(), 'best': '', 'evals': ('means',), 'optimizer': {'schedule': 'constant_linear'}}
    default['data'] |= {'size': 16, 'value_range': (-1.0, 1.0), 'resident_mib': 64}
  config = experiment(default, changed=changes)('changed')
  config.experiment = 'small'
  return config


def pixelcnn(likelihood='Categorical', data=None, **fields):
  """Changes of a small config that make it a PixelCNN."""
  network = {'name': 'GatedPixelCNN', 'features': 4, 'layers': 2, 'kernel': 3, 'hidden': 4}
  model = {'name': 'PixelCNN', 'network': network, 'likelihood': {'name': likelihood}, **fields}
  return {'data': data or {}, 'model': model, 'evals': ('means',), 'best': '', 'batch_size': 8}
