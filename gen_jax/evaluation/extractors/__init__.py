"""Extractors: frozen classifiers by whose features and classes samples are measured.

`python -m gen_jax.evaluation.extractors` trains both kinds on any labeled image set.

Retrained with another seed, the same network moves a Frechet distance by half, so weights are never made silently:
those below `SHIPPED` lie beside this file, and the hash of the weights stands beside every number they make.
"""

import functools
import hashlib
import io
import pathlib
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from gen_jax import randomness
from gen_jax.errors import UserError
from gen_jax.files import cache_folder
from gen_jax.networks.layers import Conv

SHIPPED = {  # accuracy on the test images as they are, and binarized
  'mnist-cnn': 'e9ddf0e0c245',  # .9937, .9911
  'mnist-lenet': '9337aeef7d7c',  # .9867, .9825
  'fashion_mnist-cnn': 'ed2e45b95e63',  # .8933, .8610
  'fashion_mnist-lenet': '31608ee60df6',  # .8912, .8208
}
BATCH = 500


class CNN(nn.Module):
  """Four convolutions, a dense layer whose 128 rectified units are the features, logits."""

  classes: int

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """[B,H,W,C] in [0, 1] -> logits [B,classes], features [B,128]."""
    for width, kernel, stride in ((16, 5, 2), (32, 3, 1), (64, 3, 2), (64, 3, 2)):
      x = nn.relu(Conv(width, kernel, strides=stride)(x))
    features = nn.relu(nn.Dense(128)(x.reshape(x.shape[0], -1)))
    return nn.Dense(self.classes)(features), features


class LeNet(nn.Module):
  """LeNet-5 with tanh throughout (LeCun et al., 1998): its 84 units are the features; then logits."""

  classes: int

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """[B,H,W,C] in [0, 1] -> logits [B,classes], features [B,84]."""
    x = mean_pool(jnp.tanh(Conv(6, 5)(x)))
    padding = 'VALID' if min(x.shape[1:3]) >= 6 else 'SAME'  # nothing would be left of a smaller image
    x = mean_pool(jnp.tanh(Conv(16, 5, padding=padding)(x)))
    x = jnp.tanh(nn.Dense(120)(x.reshape(x.shape[0], -1)))
    features = jnp.tanh(nn.Dense(84)(x))
    return nn.Dense(self.classes)(features), features


def mean_pool(x: jax.Array) -> jax.Array:
  """[B,H,W,C] -> the means of 2x2 pixels [B,H/2,W/2,C]."""
  return nn.avg_pool(x, (2, 2), strides=(2, 2))


NETWORKS: dict[str, Callable[[int], nn.Module]] = {'cnn': CNN, 'lenet': LeNet}


@functools.partial(jax.jit, static_argnums=0)
def apply(network: nn.Module, params: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Logits [B,classes] and features [B,d]."""
  return network.apply({'params': params}, images)


class Extractor(NamedTuple):
  """A frozen network."""

  name: str  # 'mnist-cnn'
  network: nn.Module
  params: Any
  image_shape: tuple[int, int, int]
  hash: str  # the first 12 digits of the SHA-256 of the file of the weights
  class_names: tuple[str, ...]  # '0', '1', ... where the file knows no others

  @property
  def classes(self) -> int:
    """The number of classes."""
    return self.network.classes

  @property
  def class_words(self) -> list[str]:
    """The names of the classes as parts of the names of metrics: what is no letter, digit or one of _.+ becomes -."""
    words = [re.sub(r'[^\w.+]+', '-', name).strip('-') for name in self.class_names]
    return [word if words.count(word) == 1 and word else f'{word}-{c}' for c, word in enumerate(words)]

  def in_order_of(self, names: Sequence[str]) -> list[int]:
    """The place of each of the classes of data with these names; as they come where the names are others."""
    places = {name: place for place, name in enumerate(self.class_names)}
    return [places[name] for name in names] if set(names) == set(places) else list(range(self.classes))

  def outputs(self, images: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """Logits [N,classes] and features [N,d] of images [N,H,W,C] in [0, 1]; UserError for any others."""
    images = self.check_images(images)
    with jax.default_matmul_precision('highest'):  # left alone, a GPU rounds to ten bits
      parts = [apply(self.network, self.params, part) for part in in_batches(images)]
    return tuple(np.concatenate(x)[: len(images)] for x in zip(*parts, strict=True))

  def logits(self, images: jax.Array) -> np.ndarray:
    """Unnormalized log p(class | image) [N,classes]; images as for `outputs`."""
    return self.outputs(images)[0]

  def features(self, images: jax.Array) -> np.ndarray:
    """The penultimate layer [N,d]; images as for `outputs`."""
    return self.outputs(images)[1]

  def classify(self, images: jax.Array) -> np.ndarray:
    """The most probable class [N]; images as for `outputs`."""
    return np.argmax(self.logits(images), axis=-1)

  def check_images(self, images: jax.Array) -> np.ndarray:
    """The images as float32, if they are such as the network knows."""
    images = np.asarray(images, np.float32)
    if images.shape[1:] != self.image_shape:
      known, given = ('x'.join(map(str, shape)) for shape in (self.image_shape, images.shape[1:]))
      raise UserError(f'the extractor {self.name} sees images of {known}, not {given}')
    if images.size and not (images.min() >= 0 and images.max() <= 1):
      raise UserError(f'the extractor {self.name} sees images in [0, 1]: set data.value_range=(0.0, 1.0)')
    return images


def in_batches(images: np.ndarray) -> Iterator[np.ndarray]:
  """Parts of one size, the last filled up, so that one program is compiled; few images are one part."""
  size = min(BATCH, max(len(images), 1))
  for start in range(0, max(len(images), 1), size):
    part = images[start : start + size]
    yield np.pad(part, [(0, size - len(part)), (0, 0), (0, 0), (0, 0)])


def default_folder() -> pathlib.Path:
  """Where the command writes, $XDG_CACHE_HOME/gen_jax/extractors, by default below ~/.cache."""
  return cache_folder('extractors')


def file_name(data_name: str, kind: str) -> str:
  """'mnist', 'cnn' -> 'mnist-cnn.npz'; whatever of a name is no word becomes a dash."""
  return f'{re.sub(r"[^0-9A-Za-z_.]+", "-", data_name).strip("-.")}-{kind}.npz'


def find(kind: str, data_name: str, where: str = '', key: str = '') -> pathlib.Path:
  """The file of the weights of a `kind` ('cnn', 'lenet') for a data set.

  `where` ''         those of that name that are shipped, else those that the command wrote to its default folder
        NAME         the same for the data set NAME
        FOLDER/NAME  FOLDER/NAME-cnn.npz, FOLDER/NAME-lenet.npz
  `key` stands in place of the name of a user's own images, see `Source.own_key`.
  """
  folder, slash, name = where.rpartition('/')
  file = file_name(name or key or data_name, kind)
  if slash:
    return pathlib.Path(folder or '/').expanduser() / file
  return pathlib.Path(__file__).with_name(file) if file.removesuffix('.npz') in SHIPPED else default_folder() / file


def of_source(kind: str, source: Any) -> Extractor:
  """The extractor by which samples stand beside a `Source`: that of its data, or where `config.extractors` says."""
  return load(kind, source.name, source.settings.extractors, key=source.own_key)


@functools.cache
def load(
  kind: str = 'cnn', data_name: str = 'mnist', where: str = '', expected: str = '', key: str = ''
) -> Extractor:
  """The extractor that `find` finds, if its hash is the one `expected`, or that of the shipped ones.

  Raises UserError: a missing or a damaged file, another hash.
  """
  path = find(kind, data_name, where, key)
  shipped = path.parent == pathlib.Path(__file__).parent
  remedy = 'restore it from the repository' if shipped else how_to_make(where.rpartition('/')[2] or data_name, path)
  try:
    data = path.read_bytes()
  except OSError as error:
    raise UserError(
      f'the extractor {path} cannot be read ({error.strerror}): {remedy}{former_one(kind, data_name) if key else ""}'
    ) from None
  digest = digest_of(data)
  expected = expected or (SHIPPED.get(path.stem, '') if shipped else '')
  if expected and digest != expected:
    raise UserError(f'the extractor {path} has the hash {digest}, not {expected}: {remedy}')
  try:
    return unpack(path.stem, kind, data)
  except Exception:  # whatever NumPy raises at damaged files
    raise UserError(f'the extractor {path} is damaged: {remedy}') from None


def unpack(name: str, kind: str, data: bytes) -> Extractor:
  """The extractor in the bytes of a file: NumPy arrays alone, nothing that is run."""
  with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
    flat = dict(arrays)
  image_shape = tuple(map(int, flat.pop('image_shape', (28, 28, 1))))  # the oldest file, MNIST's CNN, does not say it
  class_names = tuple(map(str, flat.pop('class_names', ())))
  params = unflatten_dict({key: array.astype(np.float32) for key, array in flat.items()}, sep='/')
  last = max(key for key in params if key.startswith('Dense'))
  classes = len(params[last]['bias'])
  network = NETWORKS[kind](classes)
  wanted = jax.eval_shape(network.init, randomness.key(0), image_of(image_shape))['params']
  chex.assert_trees_all_equal_shapes(params, wanted)
  chex.assert_tree_all_finite(params)
  chex.assert_equal(len(class_names) or classes, classes)
  return Extractor(name, network, params, image_shape, digest_of(data), class_names or tuple(map(str, range(classes))))


def image_of(image_shape: tuple[int, int, int]) -> jax.Array:
  """One black image [1,H,W,C]."""
  return jnp.zeros((1, *image_shape))


def digest_of(data: bytes) -> str:
  """The first 12 digits of the SHA-256."""
  return hashlib.sha256(data).hexdigest()[:12]


def pack(params: Any, image_shape: tuple[int, int, int], class_names: tuple[str, ...] = ()) -> bytes:
  """Weights as the bytes of a file, in float16, and the names of the classes, where they have others than numbers."""
  flat = {key: np.asarray(array, np.float16) for key, array in flatten_dict(params, sep='/').items()}
  names = {'class_names': np.array(class_names)} if class_names else {}
  file = io.BytesIO()
  np.savez_compressed(file, **flat, **names, image_shape=np.array(image_shape, np.int32))
  return file.getvalue()


def former_one(kind: str, data_name: str) -> str:
  """How to take what was once trained for a folder of this path or name; '' where there is none.

  Formerly extractors were known by how a path was written, which does not say that they are of these images.
  """
  for name in (data_name, pathlib.Path(data_name).name):
    if (path := default_folder() / file_name(name, kind)).is_file():
      return f'; if {path} is of these images, that is --config.extractors={path.stem.removesuffix(f"-{kind}")}'
  return ''


def without_labels(channels: int) -> str:
  """What can be done for images of so many channels that have no labels, which an extractor learns to name."""
  there = 'mnist or fashion_mnist' if channels == 1 else 'of a set of as many channels, trained by the same command'
  return f'take the extractor of another set, --config.extractors=NAME ({there}), or the evaluator inception_distances'


def how_to_make(data_name: str, path: pathlib.Path) -> str:
  """The command that trains both extractors of a data set."""
  folder = '' if path.parent == default_folder() else f' --folder={shlex.quote(str(path.parent))}'
  command = f'python -m gen_jax.evaluation.extractors {shlex.quote(data_name)}{folder}'
  return f'train it, `{command}`, or name another in config.extractors'
