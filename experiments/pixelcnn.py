"""A gated PixelCNN, binarized anew at every step; dilated, so that a pixel sees the whole image above it.

    python launch.py --config=experiments/pixelcnn.py[:mnist|mnist,gray|paper]

MNIST, dynamic binarization: -log p(x) of the 10,000 test images, exact, 80.71 +- .20 nats. (The 81.30 of van den Oord
et al., 2016a, is of the fixed binarization of Salakhutdinov and Murray, 2008: other data, which do not compare.) 7,000
steps at 2.3 a second, 51 minutes of two CPU cores beside another run; samples and completions are
`experiments/pictures/pixelcnn_*.png`. Of 256 gray values (`mnist,gray`), 38 minutes of one core: 593.5 +- 1.4 nats,
1.092 bits/dim.

`paper` has the size of van den Oord et al. (2016b, section 3) and the likelihood of Salimans et al. (2017), in which
the colors of a pixel depend on each other. It needs GPUs, and has not been run.
"""

from gen_jax.config import experiment

get_config = experiment(
  default={
    'batch_size': 32,
    'steps': 2_000,
    'data': {'name': 'digits', 'size': 28, 'binarize': 'dynamic'},
    'model': {
      'name': 'PixelCNN',
      'network': {
        'name': 'GatedPixelCNN',
        'features': 16,
        'layers': 8,
        'kernel': 3,
        'dilations': (1, 2, 4, 8),
        'hidden': 64,
      },
      'likelihood': {'name': 'Bernoulli'},
      'conditional': False,
    },
    'optimizer': {'learning_rate': 3e-3, 'schedule': 'cosine'},
    'best': 'nll',
    'best_mode': 'min',
    'evals': ('means',),
    'final_evals': ('likelihood',),
  },
  mnist={
    'steps': 7_000,
    'data': {'name': 'mnist', 'train_split': 'train[:55000]', 'validation_split': 'train[55000:]'},
    'model': {'network': {'features': 32}},
    'optimizer': {'learning_rate': 2e-3},
  },
  # all 256 gray values, for bits/dim
  gray={
    'data': {'binarize': 'none', 'value_range': (-1.0, 1.0)},
    'model': {'likelihood': {'name': 'DiscretizedLogisticMixture', 'components': 10}},
  },
  smoke={'data': {'size': 8}, 'model': {'network': {'layers': 3, 'dilations': (1, 2)}}},
  paper={
    'batch_size': 128,
    'steps': 200_000,
    'data': {'name': 'cifar10', 'size': 0, 'binarize': 'none', 'value_range': (-1.0, 1.0), 'flip': True},
    'model': {
      'network': {'features': 384, 'layers': 20, 'kernel': 5, 'dilations': (1,), 'hidden': 384},
      'likelihood': {'name': 'DiscretizedLogisticMixture', 'components': 10},
    },
    'optimizer': {'learning_rate': 3e-4},
  },
)
