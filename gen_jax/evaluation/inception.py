"""InceptionV3 (2015-12-05, pool_3), by whose features FID and KID are measured, for those who have its weights.

The package holds no weights. Where PyTorch is, one line makes the file from pytorch-fid's
pt_inception-2015-12-05-6726825d.pth (torch-fidelity's weights-inception-... is the same):

    python -c "import torch, numpy; numpy.savez('inception.npz', **torch.load('IN.pth', weights_only=True))"

or, with safetensors, `safetensors.torch.save_file(torch.load('IN.pth', weights_only=True), 'inception.safetensors')`.
Names and layouts stay those of PyTorch's state dict. With random weights the features of 50 images agree with
PyTorch's to 2e-5, where the largest is 30.

Images are seen as TensorFlow's graph sees them: enlarged bilinearly, without antialiasing, pixel i at i H / 299, then
(x - 128) / 128. That is the preprocessing of TTUR, torch-fidelity and NVIDIA; pytorch-fid's own takes half pixels into
account and scales by 2 x / 255 - 1. 1,000 images take six minutes of CPU time.
"""

import functools
import hashlib
import io
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict

from gen_jax import randomness
from gen_jax.errors import UserError
from gen_jax.files import expanded
from gen_jax.networks.layers import Conv

SIZE, WIDTH, BATCH = 299, 2048, 50
REMEDY = 'make it as gen_jax/evaluation/inception.py says'
LEAVES = {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias', 'mean': 'running_mean', 'var': 'running_var'}
UNUSED = ('fc.weight', 'fc.bias')  # of the last layer, whose logits are no features


# The network, whose modules have the names of torchvision's


class Unit(nn.Module):
  """relu(BatchNorm(convolution)), with running statistics."""

  features: int
  kernel_size: int | tuple[int, int] = 1
  strides: int = 1
  padding: str = 'SAME'

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,H,W,C] -> [B,H',W',features]."""
    x = Conv(self.features, self.kernel_size, self.strides, self.padding, use_bias=False, name='conv')(x)
    return nn.relu(nn.BatchNorm(use_running_average=True, epsilon=1e-3, name='bn')(x))


def unit_chain(x: jax.Array, name: str, *units: tuple) -> jax.Array:
  """Units name_1, name_2 ..., of which each tuple holds the arguments, one after the other."""
  for i, unit in enumerate(units, 1):
    x = Unit(*unit, name=f'{name}_{i}')(x)
  return x


def unit_fork(x: jax.Array, name: str) -> jax.Array:
  """Units name_a, along rows, and name_b, along columns, side by side: [B,H,W,C] -> [B,H,W,768]."""
  return jnp.concatenate([Unit(384, (1, 3), name=f'{name}a')(x), Unit(384, (3, 1), name=f'{name}b')(x)], -1)


def average_pool(x: jax.Array) -> jax.Array:
  """The mean of each 3x3 window, padding left out as TensorFlow does."""
  return nn.avg_pool(x, (3, 3), padding='SAME', count_include_pad=False)


def max_pool(x: jax.Array) -> jax.Array:
  """The maximum of each 3x3 window."""
  return nn.max_pool(x, (3, 3), padding='SAME')


def max_pool_halving(x: jax.Array) -> jax.Array:
  """The maximum of every second 3x3 window."""
  return nn.max_pool(x, (3, 3), (2, 2))


class InceptionA(nn.Module):
  """Windows of 1, 5 and twice 3 (Szegedy et al., 2016, figure 5)."""

  pool_features: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,H,W,C] -> [B,H,W,224 + pool_features]."""
    branches = [
      Unit(64, name='branch1x1')(x),
      unit_chain(x, 'branch5x5', (48,), (64, 5)),
      unit_chain(x, 'branch3x3dbl', (64,), (96, 3), (96, 3)),
      Unit(self.pool_features, name='branch_pool')(average_pool(x)),
    ]
    return jnp.concatenate(branches, -1)


class InceptionB(nn.Module):
  """Halves the size beside pooling (figure 10)."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,H,W,C] -> [B,H',W',480 + C]."""
    branches = [
      Unit(384, 3, 2, 'VALID', name='branch3x3')(x),
      unit_chain(x, 'branch3x3dbl', (64,), (96, 3), (96, 3, 2, 'VALID')),
      max_pool_halving(x),
    ]
    return jnp.concatenate(branches, -1)


class InceptionC(nn.Module):
  """Windows of 7, once and twice, as rows and columns (figure 6)."""

  width: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,H,W,C] -> [B,H,W,768]."""
    row, column, width = (1, 7), (7, 1), self.width
    branches = [
      Unit(192, name='branch1x1')(x),
      unit_chain(x, 'branch7x7', (width,), (width, row), (192, column)),
      unit_chain(x, 'branch7x7dbl', (width,), (width, column), (width, row), (width, column), (192, row)),
      Unit(192, name='branch_pool')(average_pool(x)),
    ]
    return jnp.concatenate(branches, -1)


class InceptionD(nn.Module):
  """Halves the size again."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,H,W,C] -> [B,H',W',512 + C]."""
    branches = [
      unit_chain(x, 'branch3x3', (192,), (320, 3, 2, 'VALID')),
      unit_chain(x, 'branch7x7x3', (192,), (192, (1, 7)), (192, (7, 1)), (192, 3, 2, 'VALID')),
      max_pool_halving(x),
    ]
    return jnp.concatenate(branches, -1)


class InceptionE(nn.Module):
  """Rows and columns side by side (figure 7)."""

  pool: Callable[[jax.Array], jax.Array]

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,H,W,C] -> [B,H,W,2048]."""
    branches = [
      Unit(320, name='branch1x1')(x),
      unit_fork(Unit(384, name='branch3x3_1')(x), 'branch3x3_2'),
      unit_fork(unit_chain(x, 'branch3x3dbl', (448,), (384, 3)), 'branch3x3dbl_3'),
      Unit(192, name='branch_pool')(self.pool(x)),
    ]
    return jnp.concatenate(branches, -1)


class Network(nn.Module):
  """Inception-v3 up to pool_3."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B,299,299,3] in [-1, 1] -> [B,2048]."""
    x = Unit(32, 3, 2, 'VALID', name='Conv2d_1a_3x3')(x)
    x = Unit(32, 3, 1, 'VALID', name='Conv2d_2a_3x3')(x)
    x = max_pool_halving(Unit(64, 3, name='Conv2d_2b_3x3')(x))
    x = Unit(80, name='Conv2d_3b_1x1')(x)
    x = max_pool_halving(Unit(192, 3, 1, 'VALID', name='Conv2d_4a_3x3')(x))
    for name, features in zip('bcd', (32, 64, 64), strict=True):
      x = InceptionA(features, name=f'Mixed_5{name}')(x)
    x = InceptionB(name='Mixed_6a')(x)
    for name, width in zip('bcde', (128, 160, 160, 192), strict=True):
      x = InceptionC(width, name=f'Mixed_6{name}')(x)
    x = InceptionD(name='Mixed_7a')(x)
    x = InceptionE(average_pool, name='Mixed_7b')(x)
    # the weights of 2015 were trained so, against the paper
    return InceptionE(max_pool, name='Mixed_7c')(x).mean((1, 2))


# What it sees


def resize_bilinear(x: jax.Array, size: int) -> jax.Array:
  """[B,H,W,C] -> [B,size,size,C]: TensorFlow's ResizeBilinear, where pixel i is seen at i H / size."""
  for axis in (2, 1):  # the order of TensorFlow
    count = x.shape[axis]
    place = np.arange(size, dtype=np.float32) * (np.float32(count) / np.float32(size))
    low = place.astype(np.int32)
    share = np.expand_dims(place - np.floor(place), [a for a in range(4) if a != axis])
    left, right = jnp.take(x, low, axis), jnp.take(x, np.minimum(low + 1, count - 1), axis)
    x = left + (right - left) * share
  return x


def prepare(images: jax.Array, size: int) -> jax.Array:
  """uint8 [B,H,W,1 or 3] -> [B,size,size,3] in [-1, 1]; gray is repeated."""
  x = (resize_bilinear(images.astype(jnp.float32), size) - 128) / 128
  return jnp.broadcast_to(x, (*x.shape[:3], 3))


@functools.partial(jax.jit, static_argnums=2)
def outputs(variables: Any, images: jax.Array, size: int) -> jax.Array:
  """Features [B,2048] of uint8 [B,H,W,1 or 3], seen at size x size."""
  return Network().apply(variables, prepare(images, size))


class Inception(NamedTuple):
  """Weights, and the first 12 digits of the SHA-256 of their file, which is quoted with every number they make."""

  variables: Any
  hash: str

  def features(self, images: np.ndarray) -> np.ndarray:
    """float32 [N,2048] of uint8 images [N,H,W,1 or 3], `BATCH` at a time; UserError for any others."""
    images = check_images(images)
    features = np.empty((len(images), WIDTH), np.float32)
    size = min(BATCH, len(images))
    for start in range(0, len(images), BATCH):
      batch = images[start : start + BATCH]
      padded = np.pad(batch, [(0, size - len(batch)), (0, 0), (0, 0), (0, 0)])  # so that one program serves them all
      # left alone, a GPU rounds to ten bits; set here and not within, as `Conv` is lowered after its trace
      with jax.default_matmul_precision('highest'):
        features[start : start + BATCH] = outputs(self.variables, padded, SIZE)[: len(batch)]
    return features


def check_images(images: np.ndarray) -> np.ndarray:
  """The images, if they are such as the network can see."""
  images = np.asarray(images)
  if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape[1:]:
    shape = 'x'.join(map(str, images.shape[1:]))
    raise UserError(f'Inception sees images of uint8, gray or RGB (HxWx1 or HxWx3), not {images.dtype} of {shape}')
  return images


# Its weights


@functools.cache
def layout() -> Mapping[str, tuple[tuple[str, ...], tuple[int, ...]]]:
  """For each tensor of PyTorch's state dict its place in the variables and its shape there."""
  x = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), jnp.float32)
  places = flatten_dict(jax.eval_shape(Network().init, randomness.key(0), x))
  return {'.'.join((*place[1:-1], LEAVES[place[-1]])): (place, leaf.shape) for place, leaf in places.items()}


def as_in_pytorch(shape: tuple[int, ...]) -> tuple[int, ...]:
  """HWIO -> OIHW; vectors stay."""
  return (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape


def read(path: pathlib.Path, data: bytes) -> dict[str, np.ndarray]:
  """The arrays of a .safetensors or .npz file, without the unused; UserError if it is damaged."""
  try:
    if path.suffix == '.npz':
      with np.load(io.BytesIO(data), allow_pickle=False) as file:
        tensors = dict(file)
    else:
      tensors = safetensors.numpy.load(data)
    kept = {name for name in tensors if name not in UNUSED and not name.endswith('.num_batches_tracked')}
    return {name: np.asarray(tensors[name], np.float32) for name in kept}
  except Exception as error:  # damaged files raise BadZipFile, SafetensorError, ValueError, KeyError and others
    raise UserError(f'{path} is damaged or holds no plain arrays ({type(error).__name__}): {REMEDY}') from error


def load(path: str | pathlib.Path, expected: str | None = None) -> Inception:
  """The network with the weights of a file, whose SHA-256 begins with `expected` where that is given.

  Raises:
    UserError: the file is missing, damaged, another than expected, or its tensors are not those of the network.
  """
  path = expanded(path)
  if path.suffix not in ('.npz', '.safetensors'):
    raise UserError(f'{path} is neither .safetensors nor .npz, which weights of Inception are read from: {REMEDY}')
  try:
    data = path.read_bytes()
  except OSError as error:
    raise UserError(f'{path}: the weights of Inception cannot be read ({error.strerror}): {REMEDY}') from None
  digest = hashlib.sha256(data).hexdigest()
  if expected is not None and not (expected and digest.startswith(expected.lower())):
    raise UserError(f'{path} has the SHA-256 {digest[:12]}, not {expected}: give the file of that hash')
  tensors = read(path, data)

  wanted = {name: as_in_pytorch(shape) for name, (_, shape) in layout().items()}
  for names, verb in ((wanted.keys() - tensors, 'lacks'), (tensors.keys() - wanted, 'should not have')):
    if names:
      more = f' and {len(names) - 1} more' if len(names) > 1 else ''
      raise UserError(f'{path} {verb} {min(names)}{more}: {REMEDY}')
  for name, x in tensors.items():
    if x.shape != wanted[name]:
      raise UserError(f'{path}: {name} has the shape {x.shape}, not {wanted[name]}: {REMEDY}')
    if not np.isfinite(x).all():
      raise UserError(f'{path}: {name} is not finite: {REMEDY}')
  arrays = {layout()[name][0]: x.transpose(2, 3, 1, 0) if x.ndim == 4 else x for name, x in tensors.items()}
  return Inception(jax.tree.map(jnp.asarray, unflatten_dict(arrays)), digest[:12])
