"""Tiny runs, each trained for a few steps when it is first asked for."""

import fcntl
import functools
import os
import pathlib
import shutil

import pytest
from small import MODEL, cyclegan, pixelcnn, small_config

from gen_jax import build, runs
from gen_jax.data.sets import digit_pairs
from gen_jax.runs.workdir import claim_workdir
from gen_jax.training import loop

STEPS = {'steps': 4, 'steps_per_dispatch': 2, 'log_every': 2, 'eval_every': 2, 'save_every': 2, 'best': ''}
VAE = MODEL | {'latent_dim': 2, 'encoder': {'name': 'MLPEncoder', 'hidden': (8,)}}
CATEGORICAL = {name: MODEL[name] for name in ('encoder', 'decoder', 'likelihood')}
IMAGES = {'data': {'value_range': (-1.0, 1.0)}, 'evals': ('fixed_noise',), 'optimizer': {'schedule': 'constant'}}
OF_CLASSES_AND_MODES = {'conditional': True, 'head': {'name': 'ProjectionHead'}, 'latent_modes': 3}
GROWING = {
  'generator': {'name': 'ProgressiveGenerator', 'features': (4, 4)},
  'discriminator': {'name': 'ProgressiveDiscriminator', 'features': (4, 4), 'group': 2},
  'head': {'name': 'LinearHead'},
}
IN_TWO_STAGES = {'resolutions': (4, 8), 'fade_images': (8,), 'stable_images': (8,)}  # the first ends at step 1
OF_NOISE = STEPS | {
  'data': {'value_range': (-1.0, 1.0)}, 'evals': ('means',), 'extractors': 'mnist', 'sample_count': 40,
}
DIFFUSION = {
  'name': 'Diffusion', 'denoiser': {'name': 'UNet', 'features': (4,), 'blocks': 1, 'patch': 2}, 'conditional': True,
}
POINTS_DIFFUSION = {'name': 'Diffusion', 'denoiser': {'name': 'MLPDenoiser', 'hidden': 8}}
NOISY_CLASSIFIER = {'name': 'NoisyClassifier', 'encoder': {'name': 'NoisyEncoder', 'features': (4,)}}
PLANE = {
  'name': 'GAN',
  'generator': {'name': 'MLPGenerator', 'hidden': (8,), 'bounded': False},
  'discriminator': {'name': 'MLPDiscriminator', 'hidden': (8,)},
  'latent_dim': 2,
}
TWO_SIDES = {'size': 16, 'value_range': (-1.0, 1.0), 'resident_mib': 64}
PIX2PIX = {
  'name': 'Pix2Pix',
  'generator': {'name': 'UNetTranslator', 'features': (4, 4), 'dropouts': 1},
  'discriminator': {'name': 'PatchDiscriminator', 'features': 4, 'halvings': 1},
}
TWO_VOICES = {'sentences': 2, 'bands': 8, 'frames': 16, 'rate': 8_000, 'resident_mib': 64}
CONFIGS = {
  'vae': lambda: small_config(model=VAE, **STEPS),
  'vae of another seed': lambda: small_config(model=VAE, **STEPS | {'seed': 1}),
  'vae of another beta': lambda: small_config(model=VAE | {'beta': 2.0}, **STEPS),
  'conditional vae': lambda: small_config(model=VAE | {'conditional': True}, **STEPS),
  'conditional vae, binarized': lambda: small_config(
    model=VAE | {'conditional': True}, data={'binarize': 'dynamic'}, importance_samples=2, **STEPS
  ),
  'binary vae': lambda: small_config(model=VAE, data={'binarize': 'dynamic'}, **STEPS),
  'sprites': lambda: small_config('sprites', model=MODEL, **STEPS),
  'autoencoder': lambda: small_config(model=autoencoder(), **STEPS),
  'categorical vae': lambda: small_config(
    model=CATEGORICAL | {'name': 'CategoricalVAE', 'latent_dim': 3, 'categories': 4}, **STEPS
  ),
  'gm vae': lambda: small_config(
    model=CATEGORICAL | {'name': 'GMVAE', 'latent_dim': 2, 'clusters': 3, 'features': 8},
    **STEPS | {'data': {'binarize': 'dynamic'}, 'importance_samples': 20},
  ),
  'pixelcnn': lambda: small_config(**pixelcnn('Bernoulli', {'binarize': 'dynamic'}, conditional=True) | STEPS),
  'noisy classifier': lambda: small_config(model=NOISY_CLASSIFIER, **OF_NOISE),
  'gan': lambda: small_config('gan', **IMAGES | STEPS),
  'conditional gan': lambda: small_config('gan', model=OF_CLASSES_AND_MODES, **IMAGES | STEPS),
  'growing gan': lambda: small_config('gan', model=GROWING, stages=IN_TWO_STAGES, **IMAGES | STEPS),
  'db vae': lambda: small_config(
    'rare_hearts',
    model=CATEGORICAL | {'name': 'DBVAE', 'latent_dim': 2},
    resampling={'name': 'LatentRarity', 'every': 2},
    evals=('means', 'fairness'),
    **STEPS,
  ),
  'pix2pix': lambda: small_config(
    'digit_edges', model=PIX2PIX, data=TWO_SIDES, evals=('means', 'fixed_translations'), extractors='mnist', **STEPS
  ),
  'labels': lambda: small_config(
    'digit_labels', model=PIX2PIX, data=TWO_SIDES | {'palette_a': digit_pairs.PALETTE}, evals=('means',), **STEPS
  ),
  'cyclegan': lambda: small_config('digit_twins', model=cyclegan(), data=TWO_SIDES, evals=('means',), **STEPS),
  'two planes': lambda: small_config(
    'unpaired_planes', model=cyclegan('MLPTranslator', 'PointDiscriminator', {'hidden': (8,)}), evals=('means',),
    **STEPS | {'data': {'resident_mib': 64}},
  ),
  'voices': lambda: small_config(
    'voices', model=cyclegan('GatedTranslator', fields={'features': (4, 4), 'width': 8, 'blocks': 1}), data=TWO_VOICES,
    evals=('means',), **STEPS,
  ),
  'plane': lambda: small_config('ring', model=PLANE, evals=('fixed_noise',), **STEPS),
  'diffusion': lambda: small_config(model=DIFFUSION, sampler={'steps': 3}, **OF_NOISE),
  'diffusion in the plane': lambda: small_config('ring', model=POINTS_DIFFUSION, evals=('means',), **STEPS),
  'tree': lambda: small_config(
    'tree', model=POINTS_DIFFUSION | {'conditional': True}, evals=('means',),
    ema_widths=(0.05, 0.1), snapshots=4, **STEPS | {'ema_decay': 0.0},
  ),
}


def autoencoder():
  return {'name': 'Autoencoder', 'encoder': MODEL['encoder'], 'decoder': MODEL['decoder'], 'latent_dim': 3}


def train_run(config, workdir):
  """A run of a few steps, opened."""
  claim_workdir(workdir, config)
  loop.run(functools.partial(build.task, config), workdir)
  return runs.load(workdir)


@pytest.fixture(scope='session')
def run_of(tmp_path_factory):
  """The run of a name in CONFIGS; trained by one of the workers, copied by each."""
  shared = pathlib.Path(os.environ['GEN_JAX_TEST_CACHE']) / 'runs'
  shared.mkdir(exist_ok=True)

  @functools.cache
  def run(name):
    workdir = shared / name.replace(' ', '_')
    with (shared / f'{workdir.name}.lock').open('w') as file:
      fcntl.flock(file, fcntl.LOCK_EX)
      if not workdir.exists():
        train_run(CONFIGS[name](), tmp_path_factory.mktemp('runs') / 'run').workdir.rename(workdir)
    return runs.load(shutil.copytree(workdir, tmp_path_factory.mktemp('runs') / 'run'))

  return run
