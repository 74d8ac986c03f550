"""With our parameters, PyTorch's side of diffusion denoises and samples as ours does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import rows
from gen_jax.diffusion.settings import sampler_variables
from gen_jax.training import loop

torch = pytest.importorskip('torch', reason='needs PyTorch: pip install torch')
from benchmarks import peer_diffusion, peers  # noqa: E402, they import it

PARTS = {
  'of_noise.0': 'Dense_0',
  'of_noise.2': 'Dense_1',
  'of_labels': 'Embed_0',
  'first': 'Conv_0',
  'halve': 'Conv_1',
  'enlarge.1': 'ResizeConv_0',
  'last': 'Conv_2',
}
PARTS_OF_BLOCK = {'first': 'Conv_0', 'moved': 'Dense_0', 'second': 'Conv_1', 'shortcut': 'Conv_2'}
BATCH = {'row': np.arange(3, dtype=np.int32), 'label': np.array([0, 7, 10], np.int32)}


def part_of(params, layer):
  """Our parameters of PyTorch's layer 'blocks.3.first'."""
  block, _, part = layer.removeprefix('blocks.').partition('.')
  return params[f'NoisyBlock_{block}'][PARTS_OF_BLOCK[part]] if layer.startswith('blocks.') else params[PARTS[layer]]


def in_pytorch(params, layer, kind):
  """A 'weight' or 'bias' as PyTorch has it: kernels [O,I,H,W] are mirrored, as images are.

  The four channels of a patch are its pixels, whose order mirroring reverses.
  """
  ours = part_of(params, layer)
  if kind == 'bias':
    return ours['bias'][::-1] if layer == 'last' else ours['bias']
  if layer == 'of_labels':
    return ours['embedding']
  if ours['kernel'].ndim == 2:
    return ours['kernel'].T
  kernel = ours['kernel'].transpose(3, 2, 0, 1)[:, :, ::-1, ::-1]
  return kernel[::-1] if layer == 'last' else kernel[:, ::-1] if layer == 'first' else kernel


def to_pytorch(x):
  """Images [B,H,W,1] -> mirrored, [B,1,H,W]."""
  return torch.from_numpy(np.asarray(x)[:, ::-1, ::-1].transpose(0, 3, 1, 2).copy())


def from_pytorch(x):
  """The inverse."""
  return x.numpy().transpose(0, 2, 3, 1)[:, ::-1, ::-1]


@pytest.fixture(scope='module')
def sides():
  """(our model, its variables, PyTorch's network), no parameter 0."""
  task = rows.task('diffusion', short=True)
  params = loop.initial_state(task).params
  rng = np.random.default_rng(0)
  params = jax.tree.map(lambda x: np.float32(x + 0.03 * rng.standard_normal(x.shape)), params)
  statistics = {'mean': np.zeros(1, np.float32), 'deviation': np.float32(peer_diffusion.SIGMA_DATA)}
  variables = {'params': params, 'statistics': statistics, **sampler_variables(task.config.sampler)}
  network = peer_diffusion.NoisyUNet()
  names = [name for name, _ in network.named_parameters()]
  stored = {name: in_pytorch(params['denoiser'], *name.rsplit('.', 1)).copy() for name in names}
  network.load_state_dict({name: torch.from_numpy(x) for name, x in stored.items()})
  assert sum(x.size for x in stored.values()) == sum(x.size for x in jax.tree.leaves(params))  # none is left out
  return task.model, variables, network.requires_grad_(False)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_the_networks_are_one(sides, layout):
  model, variables, network = sides
  x = np.random.default_rng(1).standard_normal((3, 28, 28, 1), np.float32)
  sigma = np.array([0.01, 0.5, 60.0], np.float32)
  ours = model.apply(variables, x, sigma, BATCH['label'], BATCH['row'], method='estimate')
  into = peer_diffusion.coefficients(torch.from_numpy(sigma)[:, None, None, None])[2]
  noise = torch.from_numpy(np.log(sigma) / 4)
  theirs = network.to(memory_format=layout)(into * to_pytorch(x), noise, torch.from_numpy(BATCH['label']))
  assert np.std(ours) > 0.3
  np.testing.assert_allclose(from_pytorch(theirs), ours, atol=1e-4)


def test_they_draw_the_same_samples(sides):
  model, variables, network = sides
  noise = np.random.default_rng(2).standard_normal((3, 28, 28, 1), np.float32)
  ours = jax.jit(lambda z: model.apply(variables, z, BATCH, rngs=jax.random.key(0), method='decode'))(jnp.array(noise))
  evaluated, labels = [], torch.from_numpy(BATCH['label'])

  def denoise(x, sigma):
    evaluated.append(float(sigma))
    return peer_diffusion.estimate(network, x, sigma, labels)

  theirs = peer_diffusion.heun(denoise, to_pytorch(noise), peer_diffusion.noise_levels(18)).clamp(-1, 1)
  assert len(evaluated) == 35 and max(evaluated) == pytest.approx(80) and min(evaluated) == pytest.approx(0.002)
  assert np.std(ours) > 0.3
  np.testing.assert_allclose(from_pytorch(theirs), ours, atol=1e-4)


@pytest.fixture
def steps(tmp_path):
  """Steps of PyTorch's row, eight images each, all dark or all bright, of mean 0 and the deviation of noise."""
  bright = np.random.default_rng(3).integers(0, 2, (200, 1, 1, 1)) * np.ones((1, 28, 28, 1), np.int64)
  images = np.round(127.5 * (1 + (2 * bright - 1) * peer_diffusion.SIGMA_DATA))
  np.save(tmp_path / 'images.npy', images.astype(np.uint8))
  return lambda row: peers.ROWS[row](peers.MODES['channels_last'], str(tmp_path / 'images.npy'), 8).step


def test_training_begins_at_the_loss_of_a_network_that_is_0(steps):
  """F* has unit variance, so |F*|^2 is the number of dimensions in the mean; then it falls."""
  step = steps('diffusion')
  losses = [float(step()[0]) / 784 for _ in range(20)]
  assert losses[0] == pytest.approx(1, abs=0.06)
  assert np.mean(losses[-5:]) < 0.9


def test_a_step_of_sampling_is_a_mean_in_the_range(steps):
  assert abs(float(steps('diffusion_sampling')()[0])) < 0.05
