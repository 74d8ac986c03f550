"""The debiasing VAE: detectors that see more of what is rare, by the codes of a VAE of what they detect.

    python launch.py --config=experiments/db_vae.py           # rendered hearts, rarely on the right
    python launch.py --config=experiments/db_vae.py:faces     # UTKFace among crops of other sets, one race 96 % of it
    python launch.py --config=experiments/db_vae.py:uniform   # the same detector, nothing resampled

Hearts: of the rare ones .755 are found, .463 without resampling (five seeds; a minute each, one core), of the common
ones as many as before. Rare codes stand for rare hearts where the VAE has few latents: with twice the noise, 2 latents
made .748 of .412, 4 latents .608 (one seed each). Faces: with 32 latents no row finds more of the rarest ones than the
placebo does, nor does one that is told the groups; with 8, chosen on validation, .879 of the worst group, .846 without
resampling, .850 by the placebo, .889 by a plain CNN (five seeds a row, 35 s a run, one core; experiments/README.md).
"""

from gen_jax.config import experiment

FOLDERS = '~/tensorflow_datasets/folders'
FACES = {  # crops of CIFAR-10, of facades and of landscapes, and corners of faces
  'batch_size': 64,
  'steps': 1_000,
  'eval_every': 250,
  'data': {
    'name': 'detection',
    'binarize': 'none',
    'positives': 'utkface64',
    'negatives': ('cifar10_20k', f'{FOLDERS}/facades', f'{FOLDERS}/summer2winter'),
    'attributes': ('race', 'gender'),
    'shares': (0.96, 0.01, 0.01, 0.01, 0.01),
    'examples': (600, 4_000),
    'near_positives': 0.7,
    'contrast_loss': 0.3,
    'cover': 0.45,
    'size': 32,
    'train_split': 'train[:70%]',
    'validation_split': 'train[70%:]',
  },
  'optimizer': {'learning_rate': 0.001},
  'model': {
    'likelihood': {'name': 'Gaussian', 'sigma': 0.1},
    'latent_dim': 32,
    'reconstruction_weight': 0.001,
    'kl_weight': 0.001,
  },
}

get_config = experiment(
  default={
    'batch_size': 64,
    'steps': 2_000,
    'data': {'name': 'rare_hearts', 'binarize': 'dynamic'},
    'model': {
      'name': 'DBVAE',
      'encoder': {'name': 'ConvEncoder', 'features': (16, 32, 64), 'kernels': (4, 4, 4), 'hidden': (256,)},
      'decoder': {'name': 'ConvDecoder', 'features': (64, 32, 16), 'hidden': (256,)},
      'likelihood': {'name': 'Bernoulli'},
      'latent_dim': 2,
      'reconstruction_weight': 0.01,
      'kl_weight': 0.01,
    },
    'resampling': {'name': 'LatentRarity', 'form': 'product'},
    'optimizer': {'learning_rate': 0.002, 'schedule': 'cosine'},
    'best': 'cross_entropy',
    'best_mode': 'min',
    'evals': ('means', 'fairness'),
  },
  uniform={'resampling': {'name': 'Uniform'}},
  faces=FACES,
)
