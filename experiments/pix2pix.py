"""pix2pix: one image into another, learned from pairs: a digit of its outline, of a map of labels; facades.

    python launch.py --config=experiments/pix2pix.py[:labels]
    python launch.py --config=experiments/pix2pix.py:facades --config.data.name=FOLDER    # label maps into photos
    python launch.py --mode=translate --workdir=runs/pix2pix --input=FOLDER --output=NEW

Ablations: `l1` without an adversary, `cgan` without L1, `gan` whose discriminator sees no A.

Outlines into hatched digits, seeds 0 to 2, four minutes each on one core: L1 .1393, .1339, .1349 (`l1`: .1160, .1165,
.1134; the translation of the nearest outline .1976), Frechet distance by trace .0536, .0593, .0518 (`l1`: .1028, .1050,
.1047; unseen digits .0456). Facades: pixel accuracy .563, `l1` .602, `cgan` .448, of .580 in real photos.
`labels`, `gan` and `paper` have not been run yet.
"""

from gen_jax.config import experiment

FACADES = {  # the classes of CMP Facades (Tylecek & Sara, 2013), in the colors of pix2pix
  'background': (0, 0, 222),
  'facade': (0, 48, 255),
  'window': (0, 128, 255),
  'door': (0, 207, 255),
  'cornice': (32, 255, 223),
  'sill': (112, 255, 143),
  'balcony': (192, 255, 63),
  'blind': (255, 239, 0),
  'decoration': (255, 159, 0),
  'molding': (255, 80, 0),
  'pillar': (254, 0, 0),
  'shop': (174, 0, 0),
}
PAPER = {  # section 3.3 and appendix 6.2: 200 epochs of 400 images, one at a time
  'batch_size': 1,
  'steps': 80_000,
  'data': {'size': 286, 'crop': 256},
  'model': {
    'generator': {'features': (64, 128, 256, 512, 512, 512, 512, 512)},
    'discriminator': {'features': 64, 'halvings': 3},
  },
  'optimizer': {'learning_rate': 2e-4},
  'eval_every': 4_000,
  'save_every': 4_000,
}
FOLDER = {
  'name': '~/tensorflow_datasets/folders/facades',  # map of labels and photo side by side
  'layout': 'side_by_side',
  'palette_a': tuple(FACADES.values()),
  'size': 72,
  'crop': 64,
  'flip': True,
}

get_config = experiment(
  default={
    'batch_size': 16,
    'steps': 8_000,
    'data': {'name': 'digit_edges', 'size': 32, 'value_range': (-1.0, 1.0)},
    'model': {
      'name': 'Pix2Pix',
      'generator': {'name': 'UNetTranslator', 'features': (16, 32, 64, 64, 64), 'dropouts': 2},
      'discriminator': {'name': 'PatchDiscriminator', 'features': 16, 'halvings': 2},
    },
    'optimizer': {'learning_rate': 5e-4, 'schedule': 'constant_linear', 'b1': 0.5},
    'evals': ('means', 'fixed_translations'),
    'final_evals': ('translation_errors', 'translation_distances'),
    'extractors': 'mnist',
    'best': '',
    'log_every': 100,
    'eval_every': 1_000,
    'save_every': 1_000,
  },
  labels={'data': {'name': 'digit_labels'}},
  l1={'model': {'adversarial_weight': 0.0}},
  cgan={'model': {'l1_weight': 0.0}},
  gan={'model': {'l1_weight': 0.0, 'conditional_discriminator': False}},
  facades={
    'batch_size': 4,
    'steps': 4_000,
    'data': FOLDER,
    'model': {
      'generator': {'features': (32, 64, 128, 128, 128, 128), 'dropouts': 3, 'upsampling': 'resize'},
      'discriminator': {'features': 32, 'halvings': 2},
    },
    'optimizer': {'learning_rate': 2e-4},
    'final_evals': ('translation_errors', 'label_consistency'),
    'extractors': '',
  },
  paper={**PAPER, 'data': {**FOLDER, **PAPER['data']}, 'final_evals': ('translation_errors', 'label_consistency')},
  smoke={
    'data': {'size': 16},
    'model': {'generator': {'features': (4, 4), 'dropouts': 1}, 'discriminator': {'features': 4, 'halvings': 1}},
  },
)
