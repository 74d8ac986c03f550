"""The facts that classes state their problems by: of gray digits, unless a test says otherwise."""

from gen_jax.types import Facts

OPTIMIZER = {'clip_weights': 0.0}


def facts(**changes):
  digits = {
    'data_name': 'digits',
    'kind': 'image',
    'image_shape': (8, 8, 1),
    'shapes': {'image': (8, 8, 1)},
    'own_order': {},
    'levels': 256,
    'value_range': (0.0, 1.0),
    'binarize': 'none',
    'dequantize': False,
    'num_classes': 10,
    'num_examples': 60,
    'outliers': False,
    'batch_size': 8,
    'shared_optimizer': OPTIMIZER,
    'optimizers': dict.fromkeys(('model', 'discriminator', 'generator'), OPTIMIZER),
  }
  return Facts(**digits | changes)


def problems(module, **changes):
  return list(module.problems(facts(**changes)))
