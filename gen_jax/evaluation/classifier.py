"""A frozen classifier of MNIST's digits that judges samples, grey or binary; its weights lie beside this file.

    python -m gen_jax.evaluation.classifier [DATA_DIR]          makes the weights again from the prepared set 'mnist'

Trained on train[:55000], moved by up to two pixels, half of each batch binarised anew; 2 min 1 s on one CPU core. Of
the test images it names .9937 right as they are, .9911 binarised. Another machine rounds otherwise:
the hash then differs.
"""

import functools
import hashlib
import io
import pathlib
import sys
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from gen_jax import randomness
from gen_jax.data.preprocess import bernoulli, random_crop
from gen_jax.errors import UserError
from gen_jax.networks.layers import Conv
from gen_jax.randomness import row_keys

WEIGHTS = pathlib.Path(__file__).with_name('classifier.npz')
IMAGE_SHAPE, CLASSES = (28, 28, 1), 10
LEAST_ACCURACY = 0.985  # on the test split, below which weights are not kept
BATCH, EPOCHS, LEARNING_RATE, MOVE = 128, 8, 2e-3, 2


class Network(nn.Module):
  """Four convolutions, a dense layer whose 128 units are the features, ten logits."""

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """[B,28,28,1] in [0, 1] -> logits [B,10], features [B,128]."""
    for width, kernel, stride in ((16, 5, 2), (32, 3, 1), (64, 3, 2), (64, 3, 2)):
      x = nn.relu(Conv(width, kernel, strides=stride)(x))
    features = nn.relu(nn.Dense(128)(x.reshape(x.shape[0], -1)))
    return nn.Dense(CLASSES)(features), features


@jax.jit
def outputs(params: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Logits [B,10] and features [B,128]."""
  return Network().apply({'params': params}, images)


class Classifier(NamedTuple):
  """Weights, and the first 12 digits of the SHA-256 of their file, which is quoted with every number they make."""

  params: Any
  hash: str

  def logits(self, images: jax.Array) -> jax.Array:
    """Unnormalised log p(digit | image) [B,10] of images [B,28,28,1] in [0, 1]; UserError for any others."""
    return outputs(self.params, checked(images))[0]

  def features(self, images: jax.Array) -> jax.Array:
    """The penultimate layer [B,128] of images [B,28,28,1] in [0, 1]; UserError for any others."""
    return outputs(self.params, checked(images))[1]


def checked(images: jax.Array) -> np.ndarray:
  """The images as float32, if they are such as the classifier knows."""
  images = np.asarray(images, np.float32)
  if images.shape[1:] != IMAGE_SHAPE:
    raise UserError(f'the classifier of digits sees images of 28x28x1, not {"x".join(map(str, images.shape[1:]))}')
  if images.size and not (images.min() >= 0 and images.max() <= 1):
    raise UserError('the classifier of digits sees images in [0, 1]: set data.value_range=(0.0, 1.0)')
  return images


@functools.cache
def load() -> Classifier:
  """The classifier whose weights come with the package."""
  data = WEIGHTS.read_bytes()
  with np.load(io.BytesIO(data)) as arrays:
    flat = {name: array.astype(np.float32) for name, array in arrays.items()}
  return Classifier(unflatten_dict(flat, sep='/'), hashlib.sha256(data).hexdigest()[:12])


def as_trained(images: jax.Array, key: jax.Array) -> jax.Array:
  """uint8 [B,28,28,1] -> [0, 1], moved by up to two pixels, the first half binarised."""
  move_key, draw_key = jax.random.split(key)
  count = images.shape[0]
  padded = jnp.pad(images / 255, [(0, 0), (MOVE, MOVE), (MOVE, MOVE), (0, 0)])
  moved = jax.vmap(random_crop, (0, 0, None))(row_keys(move_key, jnp.arange(count)), padded, IMAGE_SHAPE[0])
  half = (jnp.arange(count) < count // 2).reshape(-1, 1, 1, 1)
  return jnp.where(half, bernoulli(draw_key, moved), moved)


def fit(images: np.ndarray, labels: np.ndarray) -> Any:
  """Weights that minimise the cross-entropy, by Adam with a rate that falls to 0 along a cosine."""
  steps = EPOCHS * (len(labels) // BATCH)
  optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))

  @functools.partial(jax.jit, donate_argnums=(0, 1))
  def update(params, state, images, labels, key):
    """One step of Adam -> (params, state)."""

    def loss(params):
      logits, _ = Network().apply({'params': params}, as_trained(images, key))
      return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    gradient = jax.grad(loss)(params)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state

  params = Network().init(randomness.key(0), jnp.zeros((1, *IMAGE_SHAPE)))['params']
  state, order = optimizer.init(params), np.random.default_rng(0)
  for step in range(steps):
    if step % (steps // EPOCHS) == 0:
      shuffled = order.permutation(len(labels))
    rows = shuffled[step % (steps // EPOCHS) * BATCH :][:BATCH]
    key = jax.random.fold_in(randomness.key(1), step)
    params, state = update(params, state, images[rows], labels[rows], key)
  return jax.device_get(params)


def accuracy(params: Any, images: np.ndarray, labels: np.ndarray) -> float:
  """The share of images [N,28,28,1] in [0, 1] that are named right."""
  parts = range(0, len(labels), 500)
  named = np.concatenate([np.argmax(outputs(params, images[i : i + 500])[0], -1) for i in parts])
  return float((named == labels).mean())


def make(data_dir: str | None) -> None:
  """Trains, and writes the weights if they are good enough; UserError if not, or without the prepared set."""
  from gen_jax.data import tfds_sets
  from gen_jax.visualise.figures import write_bytes

  train = tfds_sets.load('mnist', 'train[:55000]', data_dir, 2**30).arrays
  test = tfds_sets.load('mnist', 'test', data_dir, 2**30).arrays
  fitted = flatten_dict(fit(train['image'], train['label']), sep='/')
  stored = {name: x.astype(np.float16) for name, x in fitted.items()}
  params = unflatten_dict({name: x.astype(np.float32) for name, x in stored.items()}, sep='/')
  grey = test['image'].astype(np.float32) / 255
  binary = np.asarray(bernoulli(randomness.key(0), grey))
  found = {kind: accuracy(params, images, test['label']) for kind, images in (('grey', grey), ('binarised', binary))}
  said = ', '.join(f'{kind} {value:.4f}' for kind, value in found.items())
  if min(found.values()) < LEAST_ACCURACY:
    raise UserError(f'test accuracy {said}: below {LEAST_ACCURACY}, so nothing is written')
  file = io.BytesIO()
  np.savez_compressed(file, **stored)
  write_bytes(WEIGHTS, file.getvalue())
  load.cache_clear()
  print(f'{WEIGHTS}: test accuracy {said}; hash {load().hash}')


def main(argv: list[str]) -> int:
  """The exit code: 0, or 2 after one line that says what is wrong."""
  try:
    make(argv[1] if len(argv) > 1 else None)
  except UserError as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv))
