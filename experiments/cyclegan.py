"""CycleGAN: images of one kind into another and back, learned without pairs.

    python launch.py --config=experiments/cyclegan.py            # digits into their colored, thicker twins
    python launch.py --config=experiments/cyclegan.py:sprites    # white sprites into outlined ones
    python launch.py --config=experiments/cyclegan.py:plane      # two moons into spirals
    python launch.py --config=experiments/cyclegan.py:season --config.data.name=FOLDER   # trainA/, trainB/ ...
    python launch.py --mode=translate --workdir=runs/cyclegan --input=FOLDER --output=NEW --to=b

Digits into twins, seeds 0 to 2, eight minutes each on one core: L1 from the true map .0355, .0326, .0343; untranslated
.422, the nearest image of B .112, without the cycle terms .0685. Sprites: .0171, .0253, .0499; untranslated .654, the
nearest image of B .0313. `season`: 53 % of the pixels are taken for winter; of the photos as they are 22, recolored 48,
of real winter 63. `paper` has not been run yet.
"""

from gen_jax.config import experiment

TRANSLATOR = {'name': 'ResNetTranslator', 'features': (16, 32), 'blocks': 3}
CRITIC = {'name': 'PatchDiscriminator', 'features': 16, 'halvings': 1}

both = lambda generator, discriminator: {
  'generator_a': generator,
  'generator_b': generator,
  'discriminator_a': discriminator,
  'discriminator_b': discriminator,
}

get_config = experiment(
  default={
    'batch_size': 8,
    'steps': 3_000,
    'data': {'name': 'digit_twins', 'size': 32, 'value_range': (-1.0, 1.0)},
    'model': {'name': 'CycleGAN', **both(TRANSLATOR, CRITIC), 'identity_weight': 0.0},
    'optimizer': {'learning_rate': 5e-4, 'schedule': 'constant_linear', 'b1': 0.5},
    'evals': ('means', 'fixed_translations'),
    'final_evals': ('true_map_errors',),
    'best': '',
    'log_every': 100,
    'eval_every': 1_000,
    'save_every': 1_000,
  },
  sprites={'data': {'name': 'sprite_styles'}},
  plane={
    'batch_size': 256,
    'steps': 10_000,
    'data': {'name': 'unpaired_planes', 'size': 0, 'value_range': (0.0, 1.0)},
    'model': {
      **both({'name': 'MLPTranslator'}, {'name': 'PointDiscriminator'}),
      'identity_weight': 0.0,
      'pool_size': 0,
    },
    'evals': ('means',),
    'final_evals': (),
  },
  season={
    'batch_size': 4,
    'steps': 2_500,
    'data': {
      'name': '~/tensorflow_datasets/folders/summer2winter',
      'layout': 'unpaired',
      'size': 72,
      'crop': 64,
      'flip': True,
    },
    'model': {
      **both(
        {'features': (16, 32, 64), 'blocks': 4, 'upsampling': 'resize'},
        {'features': 32, 'halvings': 2},
      ),
      'identity_weight': 5.0,
    },
    'optimizer': {'learning_rate': 2e-4},
    'final_evals': ('side_recognition',),
  },
  # section 4 and appendix 7: 200 epochs of 1,231 images, one at a time; 9 blocks for images of 256x256
  paper={
    'batch_size': 1,
    'steps': 246_200,
    'data': {
      'name': '~/tensorflow_datasets/folders/summer2winter',
      'layout': 'unpaired',
      'size': 286,
      'crop': 256,
      'flip': True,
    },
    'model': {
      **both({'features': (64, 128, 256), 'blocks': 9}, {'features': 64, 'halvings': 3}),
      'identity_weight': 5.0,
    },
    'optimizer': {'learning_rate': 2e-4},
    'final_evals': ('side_recognition',),
    'log_every': 1_000,
    'eval_every': 10_000,
    'save_every': 10_000,
  },
  smoke={'data': {'size': 16}, 'model': both({'features': (4, 4), 'blocks': 1}, {'features': 4, 'halvings': 1})},
)
