import hashlib
import pathlib
import pickle
import zipfile

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from gen_jax.errors import UserError
from gen_jax.evaluation import inception

TRUNK = ('Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3', 'Conv2d_3b_1x1', 'Conv2d_4a_3x3')
A = ('branch1x1', 'branch5x5_1', 'branch5x5_2', 'branch3x3dbl_1', 'branch3x3dbl_2', 'branch3x3dbl_3', 'branch_pool')
B = ('branch3x3', 'branch3x3dbl_1', 'branch3x3dbl_2', 'branch3x3dbl_3')
C = ('branch1x1', *(f'branch7x7_{i}' for i in '123'), *(f'branch7x7dbl_{i}' for i in '12345'), 'branch_pool')
D = ('branch3x3_1', 'branch3x3_2', *(f'branch7x7x3_{i}' for i in '1234'))
E = ('branch1x1', *(f'branch3x3_{i}' for i in ('1', '2a', '2b')))
E = (*E, *(f'branch3x3dbl_{i}' for i in ('1', '2', '3a', '3b')), 'branch_pool')
BLOCKS = {'5b': A, '5c': A, '5d': A, '6a': B, '6b': C, '6c': C, '6d': C, '6e': C, '7a': D, '7b': E, '7c': E}


# The network again, in NumPy, with the names and layouts of PyTorch: images [B,C,H,W], kernels [O,I,kh,kw]


def convolution(x, kernel, stride, pads):
  windows = np.lib.stride_tricks.sliding_window_view(
    np.pad(x, [(0, 0), (0, 0), *((p, p) for p in pads)]), kernel.shape[2:], (2, 3)
  )[:, :, ::stride, ::stride]
  return np.tensordot(windows, kernel, [(1, 4, 5), (1, 2, 3)]).transpose(0, 3, 1, 2)


def unit(w, name, x, stride=1, pads=(0, 0)):
  def vector(kind):
    return w[f'{name}.bn.{kind}'][:, None, None]

  x = convolution(x, w[f'{name}.conv.weight'], stride, pads)
  x = (x - vector('running_mean')) / np.sqrt(vector('running_var') + 0.001) * vector('weight') + vector('bias')
  return np.maximum(x, 0)


def pool(x, reduce, fill, stride, pad):
  padded = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], constant_values=fill)
  _, _, height, width = padded.shape
  rows = range(0, height - 2, stride)
  columns = range(0, width - 2, stride)
  windows = [[reduce(padded[:, :, i : i + 3, j : j + 3], axis=(2, 3)) for j in columns] for i in rows]
  return np.array(windows).transpose(2, 3, 0, 1)


def average(x):
  return pool(x, np.nanmean, np.nan, 1, 1)


def greatest(x):
  return pool(x, np.max, -np.inf, 1, 1)


def halved(x):
  return pool(x, np.max, np.nan, 2, 0)


def block_a(w, x):
  five = unit(w, 'branch5x5_2', unit(w, 'branch5x5_1', x), pads=(2, 2))
  double = unit(w, 'branch3x3dbl_2', unit(w, 'branch3x3dbl_1', x), pads=(1, 1))
  double = unit(w, 'branch3x3dbl_3', double, pads=(1, 1))
  return np.concatenate([unit(w, 'branch1x1', x), five, double, unit(w, 'branch_pool', average(x))], 1)


def block_b(w, x):
  double = unit(w, 'branch3x3dbl_2', unit(w, 'branch3x3dbl_1', x), pads=(1, 1))
  return np.concatenate([unit(w, 'branch3x3', x, 2), unit(w, 'branch3x3dbl_3', double, 2), halved(x)], 1)


def block_c(w, x):
  row, column = (0, 3), (3, 0)
  seven = unit(w, 'branch7x7_3', unit(w, 'branch7x7_2', unit(w, 'branch7x7_1', x), pads=row), pads=column)
  double = unit(w, 'branch7x7dbl_1', x)
  for i, pads in zip('2345', (column, row, column, row), strict=True):
    double = unit(w, f'branch7x7dbl_{i}', double, pads=pads)
  return np.concatenate([unit(w, 'branch1x1', x), seven, double, unit(w, 'branch_pool', average(x))], 1)


def block_d(w, x):
  seven = unit(w, 'branch7x7x3_2', unit(w, 'branch7x7x3_1', x), pads=(0, 3))
  seven = unit(w, 'branch7x7x3_4', unit(w, 'branch7x7x3_3', seven, pads=(3, 0)), 2)
  return np.concatenate([unit(w, 'branch3x3_2', unit(w, 'branch3x3_1', x), 2), seven, halved(x)], 1)


def block_e(w, x, pooled):
  three = unit(w, 'branch3x3_1', x)
  double = unit(w, 'branch3x3dbl_2', unit(w, 'branch3x3dbl_1', x), pads=(1, 1))
  parts = [unit(w, 'branch1x1', x)]
  for name, y in (('branch3x3_2', three), ('branch3x3dbl_3', double)):
    parts += [unit(w, f'{name}a', y, pads=(0, 1)), unit(w, f'{name}b', y, pads=(1, 0))]
  return np.concatenate([*parts, unit(w, 'branch_pool', pooled(x))], 1)


ORACLES = {
  **dict.fromkeys(('5b', '5c', '5d'), block_a),
  '6a': block_b,
  **dict.fromkeys(('6b', '6c', '6d', '6e'), block_c),
  '7a': block_d,
  '7b': lambda w, x: block_e(w, x, average),
  '7c': lambda w, x: block_e(w, x, greatest),
}


def below(w, module):
  return {name.removeprefix(f'{module}.'): x for name, x in w.items() if name.startswith(f'{module}.')}


def enlarged(image, size):
  """TensorFlow 1's ResizeBilinear, pixel by pixel: [H,W,C] -> [size,size,C]."""
  height, width, channels = image.shape
  results = np.zeros((size, size, channels))
  step_y, step_x = (np.float32(count) / np.float32(size) for count in (height, width))
  for i in range(size):
    for j in range(size):
      y, x = float(i * step_y), float(j * step_x)  # in float32, as TensorFlow has them
      top, left = int(y), int(x)
      bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
      upper = image[top, left] * (1 - x + left) + image[top, right] * (x - left)
      lower = image[bottom, left] * (1 - x + left) + image[bottom, right] * (x - left)
      results[i, j] = upper * (1 - y + top) + lower * (y - top)
  return results


# What is tested


@pytest.fixture(scope='module')
def weights():
  """Random tensors under PyTorch's names, of a size that keeps activations near 1."""
  noise = np.random.default_rng(0)
  results = {}
  for name, (_, shape) in inception.layout().items():
    shape = inception.as_in_pytorch(shape)
    x = noise.standard_normal(shape, np.float32)
    if name.endswith('conv.weight'):
      x *= np.sqrt(2 / np.prod(shape[1:]), dtype=np.float32)
    elif name.endswith('running_var'):
      x = 0.5 + np.abs(x)
    else:
      x = x * np.float32(0.1) + name.endswith('bn.weight')
    results[name] = x.astype(np.float32)
  return results


@pytest.fixture(scope='module')
def saved(weights, tmp_path_factory):
  path = tmp_path_factory.mktemp('inception') / 'weights.safetensors'
  safetensors.numpy.save_file(weights, path)
  return path


def test_tensors_are_those_of_the_published_network():
  layout = inception.layout()
  kinds = ('conv.weight', 'bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var')
  units = [*TRUNK, *(f'Mixed_{block}.{name}' for block, names in BLOCKS.items() for name in names)]
  assert len(units) == 94 and set(layout) == {f'{name}.{kind}' for name in units for kind in kinds}
  parameters = sum(np.prod(shape) for (collection, *_), shape in layout.values() if collection == 'params')
  # torchvision's 27,161,264 less the auxiliary classifier's 3,326,696 and the last layer's 2,049,000
  assert parameters == 21_785_568
  shapes = {name: inception.as_in_pytorch(shape) for name, (_, shape) in layout.items()}
  assert shapes['Conv2d_1a_3x3.conv.weight'] == (32, 3, 3, 3)
  assert shapes['Mixed_6c.branch7x7_2.conv.weight'] == (160, 160, 1, 7)
  assert shapes['Mixed_6c.branch7x7dbl_2.conv.weight'] == (160, 160, 7, 1)
  assert shapes['Mixed_7c.branch3x3dbl_3b.conv.weight'] == (384, 384, 3, 1)


def test_every_layer_agrees_with_numpy(weights, saved):
  variables = inception.load(saved).variables
  # so small that the last blocks see 2x3 pixels
  x = np.random.default_rng(1).uniform(-1, 1, (1, 107, 139, 3)).astype(np.float32)

  @jax.jit
  def run(variables, x):
    def kept(module, _):
      return len(module.path) == 1

    y, state = inception.Network().apply(variables, x, capture_intermediates=kept, mutable='intermediates')
    return y, {name: results['__call__'][0].transpose(0, 3, 1, 2) for name, results in state['intermediates'].items()}

  y, layers = jax.device_get(run(variables, x))
  assert set(layers) == {*TRUNK, *(f'Mixed_{block}' for block in BLOCKS)}

  seen = x.transpose(0, 3, 1, 2)  # each layer is judged by what it makes of JAX's input to it
  for name, stride, pads, shrink in zip(
    TRUNK, (2, 1, 1, 1, 1), (0, 0, 1, 0, 0), (False, False, True, False, True), strict=True
  ):
    np.testing.assert_allclose(layers[name], unit(weights, name, seen, stride, (pads, pads)), atol=1e-4, err_msg=name)
    seen = halved(layers[name]) if shrink else layers[name]
  for block, oracle in ORACLES.items():
    expected = oracle(below(weights, f'Mixed_{block}'), seen)
    np.testing.assert_allclose(layers[f'Mixed_{block}'], expected, atol=1e-4, err_msg=block)
    seen = layers[f'Mixed_{block}']
  assert seen.shape == (1, 2048, 2, 3) and 0.1 < seen.std() < 100
  np.testing.assert_allclose(y, seen.mean((2, 3)), atol=1e-4)


def test_pools_leave_padding_out_and_the_last_takes_the_maximum():
  x = jnp.asarray([[1.0, 2, 3], [4, 5, 6]]).reshape(1, 2, 3, 1)
  np.testing.assert_allclose(inception.average_pool(x)[0, :, :, 0], [[3, 3.5, 4], [3, 3.5, 4]], rtol=1e-6)
  np.testing.assert_array_equal(inception.max_pool(-x)[0, :, :, 0], [[-1, -1, -2], [-1, -1, -2]])


@pytest.mark.parametrize('shape', [(5, 7), (28, 28), (1, 2), (31, 40)])
def test_images_are_enlarged_as_by_tensorflow(shape):
  images = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), np.uint8)
  seen = inception.resize_bilinear(jnp.asarray(images, jnp.float32), 23)
  np.testing.assert_allclose(seen, [enlarged(image.astype(np.float64), 23) for image in images], atol=2e-4)


def test_images_of_the_right_size_stay_and_the_corners_are_not_aligned():
  ramp = jnp.arange(4.0).reshape(1, 1, 4, 1) * jnp.ones((1, 4, 1, 1))
  np.testing.assert_array_equal(inception.resize_bilinear(ramp, 4), ramp)
  np.testing.assert_array_equal(inception.resize_bilinear(ramp, 8)[0, 0, :, 0], [0, 0.5, 1, 1.5, 2, 2.5, 3, 3])


def test_the_range_and_that_gray_is_repeated():
  gray = np.array([0, 128, 255], np.uint8).reshape(3, 1, 1, 1)
  seen = np.asarray(inception.prepare(gray, 5))
  np.testing.assert_array_equal(seen, np.broadcast_to(np.reshape([-1, 0, 127 / 128], (3, 1, 1, 1)), (3, 5, 5, 3)))
  colors = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
  seen = np.asarray(inception.prepare(colors, 5))
  np.testing.assert_array_equal(seen[:, 0, 0], (colors[:, 0, 0].astype(np.float32) - 128) / 128)


class Means(nn.Module):
  """In place of the network."""

  @nn.compact
  def __call__(self, x):
    return x.mean((1, 2)) * self.param('scale', nn.initializers.ones, ())


def test_the_network_sees_prepared_images(monkeypatch):
  monkeypatch.setattr(inception, 'Network', Means)
  images = np.random.default_rng(2).integers(0, 256, (2, 6, 8, 1), np.uint8)
  results = inception.outputs.__wrapped__({'params': {'scale': jnp.float32(2)}}, images, 9)
  np.testing.assert_allclose(results, 2 * inception.prepare(images, 9).mean((1, 2)), rtol=1e-6)


def test_batches_are_of_one_size_and_exact_to_float32(monkeypatch):
  calls = []

  def outputs(variables, images, size):
    calls.append((images.shape, size, jax.config.jax_default_matmul_precision))
    return np.repeat(images[:, 0, 0], 2048, 1).astype(np.float32)

  monkeypatch.setattr(inception, 'outputs', outputs)
  monkeypatch.setattr(inception, 'BATCH', 3)
  images = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1) * np.ones((1, 2, 2, 1), np.uint8)
  results = inception.Inception({}, '').features(jnp.asarray(images))
  np.testing.assert_array_equal(results, np.repeat(np.arange(7.0).reshape(7, 1), 2048, 1))
  assert calls == [((3, 2, 2, 1), 299, 'highest')] * 3
  assert inception.Inception({}, '').features(images[:2]).shape == (2, 2048) and calls[-1][0] == (2, 2, 2, 1)
  assert inception.Inception({}, '').features(images[:0]).shape == (0, 2048) and len(calls) == 4


@pytest.mark.parametrize(
  ('images', 'message'),
  [
    (np.zeros((2, 8, 8, 3)), 'not float64 of 8x8x3'),
    (np.zeros((8, 8, 3), np.uint8), 'not uint8 of 8x3'),
    (np.zeros((2, 8, 8, 2), np.uint8), 'not uint8 of 8x8x2'),
    (np.zeros((2, 0, 8, 3), np.uint8), 'not uint8 of 0x8x3'),
  ],
)
def test_other_images_are_refused(images, message):
  with pytest.raises(UserError, match=message):
    inception.Inception({}, '').features(images)


@pytest.fixture
def few(weights, monkeypatch):
  """The tensors of a network of two units, so that files are small."""
  full = inception.layout()
  names = [name for name in full if name.startswith(('Conv2d_1a_3x3.', 'Mixed_6b.branch7x7_2.'))]
  monkeypatch.setattr(inception, 'layout', lambda: {name: full[name] for name in names})
  return {name: weights[name] for name in names}


def test_both_kinds_of_file_give_the_tensors_and_quote_their_hash(few, tmp_path):
  weights, saved = few, save(tmp_path / 'saved.safetensors', few)
  unused = {'fc.weight': np.zeros((4, 2048), np.float32), 'Mixed_5b.branch1x1.bn.num_batches_tracked': np.int64(3)}
  other = tmp_path / 'weights.npz'
  np.savez(other, **weights, **unused)
  first, second = inception.load(saved), inception.load(str(other))
  chex.assert_trees_all_equal(first.variables, second.variables)
  for path, network in ((saved, first), (other, second)):
    assert network.hash == hashlib.sha256(path.read_bytes()).hexdigest()[:12]
  params, statistics = first.variables['params'], first.variables['batch_stats']
  unit, name = params['Mixed_6b']['branch7x7_2'], 'Mixed_6b.branch7x7_2'
  np.testing.assert_array_equal(unit['conv']['kernel'][0, 6, 2, 5], weights[f'{name}.conv.weight'][5, 2, 0, 6])
  np.testing.assert_array_equal(unit['bn']['scale'], weights[f'{name}.bn.weight'])
  np.testing.assert_array_equal(unit['bn']['bias'], weights[f'{name}.bn.bias'])
  unit = statistics['Mixed_6b']['branch7x7_2']['bn']
  np.testing.assert_array_equal(unit['mean'], weights[f'{name}.bn.running_mean'])
  np.testing.assert_array_equal(unit['var'], weights[f'{name}.bn.running_var'])


def save(path, tensors):
  if path.suffix == '.npz':
    np.savez(path, **tensors)
  else:
    safetensors.numpy.save_file(tensors, path)
  return path


@pytest.mark.parametrize('kind', ['npz', 'safetensors'])
def test_tensors_that_are_not_the_networks_are_refused(few, tmp_path, kind):
  name, path = 'Conv2d_1a_3x3.conv.weight', tmp_path / f'w.{kind}'
  kernel = few[name]
  inception.load(save(path, few))
  for tensors, message in (
    ({k: few[k] for k in few if k != name}, f'lacks {name}: make it as'),
    ({k: few[k] for k in few if 'bn' not in k}, r'lacks Conv2d_1a_3x3\.bn\.bias and 7 more'),
    ({**few, 'AuxLogits.fc.bias': kernel[0]}, r'should not have AuxLogits\.fc\.bias'),
    ({**few, name: kernel[:, :, :2]}, rf'{name} has the shape \(32, 3, 2, 3\), not \(32, 3, 3, 3\)'),
    ({**few, name: np.ascontiguousarray(kernel.transpose(2, 3, 1, 0))}, r'has the shape \(3, 3, 3, 32\), not'),
    ({**few, name: np.where(kernel == kernel.max(), np.nan, kernel)}, f'{name} is not finite'),
  ):
    with pytest.raises(UserError, match=message) as error:
      inception.load(save(path, tensors))
    assert str(error.value).startswith(str(path)) and '\n' not in str(error.value)


def test_a_missing_damaged_or_other_file_is_refused(few, tmp_path):
  npz, tensors = save(tmp_path / 'w.npz', few), save(tmp_path / 'w.safetensors', few)
  digest = hashlib.sha256(npz.read_bytes()).hexdigest()
  for given in (None, digest[:12], digest[:12].upper(), digest):
    assert inception.load(npz, given).hash == digest[:12]
  for given in ('0123456789ab', digest + '0', ''):
    with pytest.raises(UserError, match=f'has the SHA-256 {digest[:12]}, not {given}'):
      inception.load(npz, given)

  (tmp_path / 'folder.npz').mkdir()
  (tmp_path / 'w.pth').write_bytes(b'')
  for name, message in (
    ('none.npz', 'cannot be read .No such file'),
    ('none.safetensors', 'cannot be read .No such file'),
    ('folder.npz', 'cannot be read .Is a directory'),
    ('w.pth', r'neither \.safetensors nor \.npz'),
  ):
    with pytest.raises(UserError, match=message) as error:
      inception.load(tmp_path / name)
    assert 'make it as gen_jax/evaluation/inception.py says' in str(error.value)

  whole = npz.read_bytes(), tensors.read_bytes()
  changed = bytearray(whole[0])
  changed[len(changed) // 2] ^= 1  # a zip has check sums
  for path, data in (
    *((path, data) for path in (npz, tensors) for data in (b'', b'\0' * 100, pickle.dumps({'a': 1}))),
    *((path, data[:-100]) for path, data in zip((npz, tensors), whole, strict=True)),
    (npz, bytes(changed)),
    (npz, whole[1]),
    (tensors, whole[0]),
  ):
    path.write_bytes(data)
    with pytest.raises(UserError, match='is damaged or holds no plain arrays') as error:
      inception.load(path)
    assert '\n' not in str(error.value)


class Trap:
  """Unpickled, makes a file."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self.path,)


def test_nothing_is_unpickled(few, tmp_path):
  path, sprung = tmp_path / 'w.npz', tmp_path / 'sprung'
  np.savez(path, **{name: np.array([Trap(sprung)], object) for name in few})
  with pytest.raises(UserError, match='is damaged or holds no plain arrays'):
    inception.load(path)
  assert not sprung.exists()
  with zipfile.ZipFile(path, 'w') as file:
    file.writestr('Conv2d_1a_3x3.conv.weight', 'no array')
  with pytest.raises(UserError, match='is damaged or holds no plain arrays'):
    inception.load(path)
