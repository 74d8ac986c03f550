"""VAEs of gray images, whose outliers are sought: images unlike those of their data.

    python launch.py --config=experiments/outlier_vae.py:mnist
    python launch.py --workdir=runs/outlier_vae-mnist --mode=outliers --against=fashion_mnist,flipped_vertically,noise

The area under the ROC curve of the combination, beside the nearest training image's: Fashion-MNIST among MNIST .998
(.981), MNIST among Fashion-MNIST .9995 (.977), three seeds; one class left out, mean of ten: MNIST .944 (.831),
Fashion-MNIST .767 (.718). Three to four minutes a run, one core.
"""

from experiments.common import MNIST
from gen_jax.config import experiment

FASHION_MNIST = MNIST | {'name': 'fashion_mnist'}
CIFAR_10 = {'name': 'cifar10', 'size': 32, 'train_split': 'train[:90%]', 'validation_split': 'train[90%:]'}

get_config = experiment(
  default={
    'batch_size': 128,
    'steps': 4_000,
    'data': {'name': 'digits', 'size': 28},
    'model': {
      'name': 'VAE',
      'encoder': {'name': 'ConvEncoder', 'features': (32, 64), 'kernels': (4, 4), 'hidden': (256,)},
      'decoder': {'name': 'MLPDecoder', 'hidden': (256, 512)},
      'likelihood': {'name': 'DiscretizedLogistic'},
      'latent_dim': 32,
    },
    'optimizer': {'schedule': 'cosine'},
    'best': 'elbo',
  },
  mnist={'data': MNIST},
  fashion_mnist={'data': FASHION_MNIST},
  cifar10={'data': CIFAR_10, 'model': {'latent_dim': 128}},
  # what is left to learn of images with noise, the background: for the likelihood ratio
  background={'data': MNIST | {'mutate': 0.2}, 'optimizer': {'weight_decay': 0.01}},
  # trained with outliers beside its images, digits, which a VAE of clothes else finds likelier than clothes
  exposed={'data': FASHION_MNIST | {'outliers': 'mnist'}, 'model': {'outlier_weight': 1.0, 'outlier_margin': 500.0}},
)
