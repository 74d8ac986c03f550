"""A classifier of digits with noise, which guides a diffusion model without labels.

    python launch.py --config=experiments/noisy_classifier.py:mnist
    python launch.py --workdir=runs/diffusion-mnist --mode=compose --classifier=runs/noisy_classifier-mnist \
        --strengths=4,8,12,16 --interval=0,20 --config.sampler.name=ancestral --config.sampler.steps=40 \
        --config.sample_count=2000

MNIST: accuracy on unseen digits .993, .991, .977, .864 and .436 at sigma .1, .5, 1, 2 and 5.
"""

from experiments.common import MNIST
from gen_jax.config import experiment

get_config = experiment(
  default={
    'batch_size': 128,
    'steps': 1_000,
    'data': {'name': 'digits', 'size': 28, 'value_range': (-1.0, 1.0)},
    'model': {'name': 'NoisyClassifier', 'encoder': {'name': 'NoisyEncoder', 'features': (32, 64, 128), 'patch': 2}},
    'ema_decay': 0.99,
    'optimizer': {'learning_rate': 2e-3, 'schedule': 'cosine', 'warmup_steps': 100, 'weight_decay': 0.01},
    'evals': ('means',),
    'log_every': 50,
    'eval_every': 500,
    'save_every': 500,
    'validation_examples': 2_000,
  },
  mnist={'steps': 3_000, 'data': {**MNIST, 'size': 0}},
  fashion_mnist={
    'steps': 3_000, 'data': {**MNIST, 'name': 'fashion_mnist', 'size': 0},
    'model': {'encoder': {'dropout': 0.1}},
  },
)
