"""A gated PixelCNN, binarised anew at every step.

    python launch.py --config=experiments/pixelcnn.py[:mnist]
"""

from experiments.common import experiment

MNIST = {'name': 'mnist', 'train_split': 'train[:55000]', 'validation_split': 'train[55000:]'}

get_config = experiment(
  default={
    'batch_size': 64,
    'steps': 3_000,
    'data': {'name': 'digits', 'size': 28, 'binarize': 'dynamic'},
    'model': {
      'name': 'PixelCNN',
      'network': {'name': 'GatedPixelCNN', 'features': 32, 'layers': 6, 'kernel': 5, 'hidden': 64},
      'likelihood': {'name': 'Bernoulli'},
      'conditional': False,
    },
    'optimizer': {'schedule': 'cosine'},
    'best': 'nll',
    'best_mode': 'min',
    'evals': ('terms',),
  },
  mnist={'data': MNIST},
)
