"""Translation as transport: one velocity takes images of A to B, and backward.

    python launch.py --config=experiments/bridge.py            # digits into their colored, thicker twins, unpaired
    python launch.py --config=experiments/bridge.py:sprites    # white sprites into outlined ones, unpaired
    python launch.py --config=experiments/bridge.py:pairs      # outlines into hatched digits
    python launch.py --config=experiments/bridge.py:plane      # two moons into spirals
    python launch.py --mode=translate --workdir=runs/bridge --input=FOLDER --output=NEW --to=b

Unpaired images are sent to those of the optimal assignment of their batch, which knows nothing of the true map: of
digits, 37 % are paired with one of their class in batches of 8, 67 % in batches of 64, 79 % of 128, 93 % of 512.

Digits into twins, seeds 0 to 2: L1 from the true map .0810, .0890 and .0832, 2 min 30 s of one core; untranslated
.422, the nearest image of B .112. There and back by 8 steps: .21 to .24 and .17 to .19, less by more steps. `sprites`:
.1006, .1036 and .1041, and the nearest .031, as optimal pairs are of other shapes; batches of 256, 750 steps, .1002.
`pairs`, one seed: L1 .1434 (nearest outline .1976), Frechet distance by trace .0532 and .0404. `plane` takes a minute:
there and back within .004.
"""

from gen_jax.config import experiment

get_config = experiment(
  default={
    'batch_size': 64,
    'steps': 1_500,
    'data': {'name': 'digit_twins', 'size': 32, 'value_range': (-1.0, 1.0)},
    'model': {
      'name': 'Bridge',
      'network': {'name': 'UNet', 'features': (48, 64), 'blocks': 1, 'patch': 4},
    },
    'ema_decay': 0.99,
    'optimizer': {'learning_rate': 2e-3, 'schedule': 'cosine', 'warmup_steps': 100, 'b2': 0.99},
    'sampler': {'steps': 8},
    'evals': ('fixed_translations',),
    'final_evals': ('true_map_errors', 'means'),
    'best': '',
    'log_every': 50,
    'eval_every': 500,
    'save_every': 500,
  },
  sprites={'data': {'name': 'sprite_styles'}},
  pairs={
    'data': {'name': 'digit_edges'},
    'model': {'coupling': 'paired'},
    'final_evals': ('translation_errors', 'translation_distances', 'means'),
    'extractors': 'mnist',
  },
  plane={
    'batch_size': 128,
    'steps': 5_000,
    'data': {'name': 'unpaired_planes', 'size': 0, 'value_range': (0.0, 1.0)},
    'model': {'network': {'name': 'MLPDenoiser'}},
    'evals': ('means',),
    'final_evals': (),
    'eval_every': 2_000,
    'save_every': 2_000,
  },
  smoke={'batch_size': 8, 'data': {'size': 16}, 'model': {'network': {'features': (4, 8), 'patch': 2}}},
)
