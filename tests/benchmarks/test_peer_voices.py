"""With our parameters, PyTorch's side of voices translates, judges and trains as ours does."""

import itertools

import jax
import numpy as np
import pytest

from benchmarks import ours, rows
from gen_jax.data.dataset import from_arrays
from gen_jax.training import loop

torch = pytest.importorskip('torch', reason='needs PyTorch: pip install torch')
from benchmarks import peers  # noqa: E402, it imports it

FLAT, DEPTH = 192, 32  # channels where bands have become channels, of which each band has 32
SIDES = ('a', 'b')
BATCH = {
  f'image_{side}': np.random.default_rng(i).standard_normal((1, 64, 24, 1), np.float32) for i, side in enumerate(SIDES)
}


def mirrored(x):
  """Frames [B,T,bands,C], the other way round in time and bands."""
  return np.asarray(x)[:, ::-1, ::-1]


def to_pytorch(x):
  """Frames [B,T,bands,1] -> mirrored, [B,1,T,bands]."""
  return torch.from_numpy(mirrored(x).transpose(0, 3, 1, 2).copy())


def bands_mirrored(x, axis):
  """Channels of bands, the last band first."""
  shape = (*x.shape[:axis], -1, DEPTH, *x.shape[axis + 1 :])
  return np.flip(x.reshape(shape), axis).reshape(x.shape)


def patches_mirrored(x):
  """The last axis, channels of 2x2 places: ours have the place first, PyTorch's the channel."""
  return np.flip(x.reshape(*x.shape[:-1], 4, -1), -2).swapaxes(-1, -2).reshape(x.shape)


def kernel_in_pytorch(kernel):
  """[O,I,H,W], mirrored as frames are."""
  return kernel.transpose(3, 2, 0, 1)[:, :, ::-1, ::-1]


def conv_in_pytorch(params, gated):
  """{'weight', 'bias'} of a convolution of the translator."""
  kernel = params['kernel']
  for axis in (2, 3):
    kernel = bands_mirrored(kernel, axis) if kernel.shape[axis] == FLAT else kernel
  enlarges = kernel.shape[:2] == (3, 3) and not gated
  kernel = patches_mirrored(kernel) if enlarges else kernel
  return {'weight': kernel_in_pytorch(kernel)} | ({'bias': params['bias']} if 'bias' in params else {})


def norm_in_pytorch(params):
  weight, bias = params['scale'].reshape(-1), params['bias'].reshape(-1)
  mirror = lambda x: bands_mirrored(x, 0) if len(x) == FLAT else x
  return {'weight': mirror(weight), 'bias': mirror(bias)}


def load(module, arrays):
  module.load_state_dict({name: torch.from_numpy(np.array(x)) for name, x in arrays.items()})


def load_translator(network, params):
  """Layers have one order on both sides; one with a gate has the parameters of two of ours, one after the other."""
  following = lambda kind: iter([params[f'{kind}_{i}'] for i in range(sum(kind in name for name in params))])
  convs, norms, gated = following('Conv'), following('InstanceNorm'), False
  for layer in network.modules():
    if isinstance(layer, torch.nn.Conv2d):
      first = next(convs)
      gated = layer.out_channels == 2 * first['kernel'].shape[-1]
      parts = [conv_in_pytorch(part, gated) for part in [first, *itertools.islice(convs, int(gated))]]
    elif isinstance(layer, torch.nn.InstanceNorm2d):
      parts = [norm_in_pytorch(part) for part in itertools.islice(norms, 1 + gated)]
    else:
      continue
    load(layer, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
  assert not [*convs, *norms]  # none is left out


def load_critic(network, params, spectral):
  """Vectors u and v are those of our next step of power iteration."""
  for k, layer in enumerate(network.layers):
    weight = kernel_in_pytorch(params[f'SpectralConv_{k}']['kernel'])
    matrix, u = weight.reshape(len(weight), -1), spectral[f'SpectralConv_{k}']['u']
    v = matrix.T @ u
    v /= np.linalg.norm(v)
    moved = matrix @ v
    stored = {'original': weight, '0._u': moved / np.linalg.norm(moved), '0._v': v}
    bias = {'bias': params[f'SpectralConv_{k}']['bias'].reshape(-1)}
    load(layer, {f'parametrizations.weight.{name}': x for name, x in stored.items()} | bias)
  assert len(network.layers) == len(params)


def top_vectors(params):
  """{layer: {'u': ...}}, to which power iteration leads: it moves them no further."""
  matrices = {name: layer['kernel'].reshape(-1, layer['kernel'].shape[-1]) for name, layer in params.items()}
  return {name: {'u': np.linalg.svd(matrix)[2][0]} for name, matrix in matrices.items()}


@pytest.fixture(scope='module')
def ours_of_windows():
  """Our task on one pair of windows, and its state, in which no parameter is 0."""
  task = rows.task('voices', short=True)
  data = from_arrays({name: np.repeat(x, 8, 0) for name, x in BATCH.items()}, kind='sound')
  task = task._replace(data=data)
  state, rng = loop.initial_state(task), np.random.default_rng(2)
  params = jax.tree.map(lambda x: np.float32(x + 0.03 * rng.standard_normal(x.shape)), state.params)
  spectral = {name: top_vectors(params[name]) for name in ('discriminator_a', 'discriminator_b')}
  return task, state._replace(params=params, variables={**state.variables, 'spectral': spectral})


@pytest.fixture
def theirs(tmp_path, ours_of_windows):
  """PyTorch's row on the same windows, with our parameters."""
  _, state = ours_of_windows
  np.save(tmp_path / 'frames.npy', mirrored(np.concatenate([np.repeat(x, 8, 0) for x in BATCH.values()], -1)))
  training = peers.ROWS['voices'](peers.MODES['eager'], str(tmp_path / 'frames.npy'), 4)
  for side, translator, critic in zip(SIDES, *training.modules, strict=True):
    load_translator(translator, state.params[f'generator_{side}'])
    load_critic(critic, state.params[f'discriminator_{side}'], state.variables['spectral'][f'discriminator_{side}'])
  return training


def test_they_have_as_many_parameters(theirs, ours_of_windows):
  assert theirs.parameters == ours.size(ours_of_windows[1].params)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_the_networks_are_one(theirs, ours_of_windows, layout):
  (task, state), (translators, critics) = ours_of_windows, theirs.modules
  x = np.random.default_rng(3).standard_normal((2, 64, 24, 1), np.float32)

  def of_theirs(network):
    with torch.no_grad():
      made = network.eval().to(memory_format=layout)(to_pytorch(x).to(memory_format=layout))
    return mirrored(made.numpy().transpose(0, 2, 3, 1))

  def of_ours(function):
    variables = {'params': state.params, **state.variables}
    return jax.jit(lambda variables: task.model.apply(variables, x, method=function))(variables)

  translated = of_ours(lambda model, x: model.to_b(x, np.arange(2)))
  judged = of_ours(lambda model, x: model.discriminator_b(x, False))[..., None]
  assert translated.std() > 0.1 and judged.std() > 0.03
  np.testing.assert_allclose(of_theirs(translators[1]), translated, atol=1e-4)
  np.testing.assert_allclose(of_theirs(critics[1]), judged, atol=1e-5)


@pytest.mark.slow
def test_the_steps_are_one(theirs, ours_of_windows):
  """The losses of three steps, each of which holds what the ones before it made of both players."""
  task, state = ours_of_windows
  own = ours.Training(task)
  own.state = state
  history, losses = own.window(3), np.array([[float(loss) for loss in theirs.step()] for _ in range(3)])
  for k, player in enumerate(('generator', 'discriminator')):
    np.testing.assert_allclose(losses[:, k], np.asarray(history[f'{player}/loss'])[:3], rtol=5e-4)
