"""Trains both extractors of a labeled image set, and writes their weights.

    python -m gen_jax.evaluation.extractors [NAME [DATA_DIR]] [--folder=FOLDER] [--label=LABEL] [--size=SIZE]

NAME, LABEL and SIZE are what config.data calls so, NAME by default mnist; FOLDER is by default where evaluators look.
Trained on 'train' (the shipped ones on its first 55,000 images), tested on 'test'. MNIST takes 10 minutes of a CPU
core. Another machine rounds otherwise, so that the hash differs: the shipped weights are not replaced.
"""

import argparse
import functools
import pathlib
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from gen_jax import build, randomness
from gen_jax.config import DATA, defaults
from gen_jax.data import sources
from gen_jax.data.dataset import Dataset
from gen_jax.data.preprocess import bernoulli
from gen_jax.data.splits import Splits
from gen_jax.errors import UserError
from gen_jax.evaluation import extractors
from gen_jax.files import write_bytes
from gen_jax.randomness import row_keys

LEAST_ACCURACY = {'mnist': 0.98, 'fashion_mnist': 0.85}  # on 'test', below which weights are not kept
BATCH, EPOCHS, LEARNING_RATE, MOVE = 128, 8, 2e-3, 2
MOST_MIB = 8192  # of images


def scale(images: jax.Array, levels: int, key: jax.Array) -> jax.Array:
  """Integers 0..levels - 1 [B,H,W,C] -> [0, 1]."""
  del key
  return images / (levels - 1)


def augment(images: jax.Array, levels: int, key: jax.Array) -> jax.Array:
  """Integers [B,H,W,C] -> [0, 1], moved by up to two pixels; the first half binarized where they are gray."""
  move_key, draw_key = jax.random.split(key)
  count, shape = images.shape[0], images.shape[1:]
  padded = jnp.pad(images / (levels - 1), [(0, 0), (MOVE, MOVE), (MOVE, MOVE), (0, 0)])

  def moved(key: jax.Array, image: jax.Array) -> jax.Array:
    top, left = jax.random.randint(key, (2,), 0, 2 * MOVE + 1)
    return jax.lax.dynamic_slice(image, (top, left, 0), shape)

  images = jax.vmap(moved)(row_keys(move_key, jnp.arange(count)), padded)
  half = (jnp.arange(count) < count // 2).reshape(-1, 1, 1, 1)
  return jnp.where(half, bernoulli(draw_key, images), images) if shape[-1] == 1 else images


AS_TRAINED = {'cnn': augment, 'lenet': scale}


def fit(kind: str, arrays: Mapping[str, np.ndarray], classes: int, levels: int = 256) -> Any:
  """Weights that minimize the cross-entropy, by Adam with a rate that falls to 0 along a cosine."""
  network, as_trained = extractors.NETWORKS[kind](classes), AS_TRAINED[kind]
  images, labels = arrays['image'], arrays['label']
  batch_size = min(BATCH, len(labels))
  steps = EPOCHS * (len(labels) // batch_size)
  optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))

  @functools.partial(jax.jit, donate_argnums=(0, 1))
  def update(params, state, images, labels, step):
    """One step of Adam -> (params, state)."""
    key = jax.random.fold_in(randomness.key(1), step)  # compiled, as it takes longer than the rest where it is not

    def loss(params):
      logits, _ = network.apply({'params': params}, as_trained(images, levels, key))
      return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    gradient = jax.grad(loss)(params)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state

  params = jax.jit(network.init)(randomness.key(0), extractors.image_of(images.shape[1:]))['params']
  state, order = optimizer.init(params), np.random.default_rng(0)
  for step in range(steps):
    if step % (steps // EPOCHS) == 0:
      shuffled = order.permutation(len(labels))
    rows = shuffled[step % (steps // EPOCHS) * batch_size :][:batch_size]
    params, state = update(params, state, images[rows], labels[rows], np.int32(step))
  return jax.device_get(params)


def accuracies(extractor: extractors.Extractor, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
  """The accuracy on images [N,H,W,C] in [0, 1], and where they are gray on the same binarized, each in [0, 1]."""
  kinds = {'as they are': images}
  if images.shape[-1] == 1:
    kinds['binarized'] = np.asarray(bernoulli(randomness.key(0), images))
  return {kind: float((extractor.classify(x) == labels).mean()) for kind, x in kinds.items()}


def section_of(options: argparse.Namespace) -> ConfigDict:
  """The section `config.data` of the options."""
  given = {
    'name': options.name,
    'dir': options.data_dir,
    'train_split': 'train',
    'test_split': 'test',
    'label': options.label,
    'size': options.size,
    'resident_mib': MOST_MIB,
  }
  return sources.normalized(ConfigDict(defaults(DATA) | given))


def open_labeled_split(split: str, options: argparse.Namespace) -> Dataset:
  """A split of a labeled set, in memory; UserError where there is none."""
  data = build.dataset(ConfigDict({'data': section_of(options)}), split)
  if not data.num_classes:
    remedy = extractors.without_labels(data.image_shape[-1])
    raise UserError(f'{options.name} has no labels, and an extractor learns to name classes: {remedy}')
  if data.arrays is None:
    raise UserError(f'{options.name} does not fit in {MOST_MIB} MiB: name a smaller set')
  return data


def check_writable(folder: pathlib.Path) -> None:
  """Makes the folder; UserError, before anything is trained, where no file can be written there."""
  try:
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()
  except OSError as error:
    raise UserError(f'--folder={folder} cannot be written: {error.strerror}') from None


def make(options: argparse.Namespace) -> None:
  """Trains, and writes the weights that are good enough; UserError where they are not, or the set is not there."""
  train, test = open_labeled_split('train', options), open_labeled_split('test', options)
  images = test.arrays['image'].astype(np.float32) / (test.levels - 1)
  folder = pathlib.Path(options.folder).expanduser() if options.folder else extractors.default_folder()
  check_writable(folder)
  key = '' if options.folder else Splits(section_of(options)).own_key  # own images are found again by what they are
  for kind in extractors.NETWORKS:
    params = fit(kind, train.arrays, train.num_classes, train.levels)
    names = train.names_of_classes if train.has_named_classes else ()
    path = folder / extractors.file_name(key or options.name, kind)
    data = extractors.pack(params, train.image_shape, names)
    extractor = extractors.unpack(path.stem, kind, data)
    measured = accuracies(extractor, images, test.arrays['label'])
    text = ', '.join(f'{what} {value:.4f}' for what, value in measured.items())
    if measured['as they are'] < (least := LEAST_ACCURACY.get(options.name, 0.0)):
      raise UserError(f'{path.stem}: accuracy on test {text}: below {least}, so it is not written')
    write_bytes(path, data)
    print(f'{path}: hash {extractor.hash}; accuracy on test {text}', flush=True)


def main(argv: list[str]) -> int:
  """The exit code: 0, or 2 after one line that says what is wrong."""
  parser = argparse.ArgumentParser('python -m gen_jax.evaluation.extractors', description=__doc__.splitlines()[0])
  parser.add_argument('name', nargs='?', default='mnist', help='of the data set, as in config.data.name')
  parser.add_argument('data_dir', nargs='?', default='', help='where prepared sets lie')
  parser.add_argument('--folder', default='', help='where the weights go; by default where evaluators look')
  parser.add_argument('--label', default='', help='as config.data.label')
  parser.add_argument('--size', type=int, default=0, help='as config.data.size, for images that differ in shape')
  try:
    make(parser.parse_args(argv[1:]))
  except UserError as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  extractors.load.cache_clear()
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv))
