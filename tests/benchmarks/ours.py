"""Our side of the benchmark: training steps as `gen_jax.training.loop` compiles them."""

import math
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from benchmarks import serve
from experiments import beta_vae
from gen_jax import build, models, networks
from gen_jax.app import memory
from gen_jax.app.benchmark import processor
from gen_jax.build import Task
from gen_jax.config import common, update
from gen_jax.data.dataset import Dataset, from_arrays
from gen_jax.data.preprocess import resize
from gen_jax.data.sets import digits
from gen_jax.training import loop, parallel
from gen_jax.training.metrics import check_finite
from gen_jax.training.stopwatch import Stopwatch
from gen_jax.types import Model

EXPORTED = 8_192  # images at most that PyTorch trains on
NOISE_SHAPE = (32, 32, 3)


def task_of(config: ConfigDict, data: Dataset, model: Model) -> Task:
  """What `build.task` makes of a config, of these data and this model."""
  optimizers, preprocess = build.optimizers(config, model), build.preprocessor(config, data, train=True)
  return Task(config, data, model, optimizers, build.averages(config), preprocess, config.steps)


def config_with(changes: Mapping[str, Any], config: ConfigDict | None = None) -> ConfigDict:
  """The common config, or the given one, changed."""
  config = config or common()
  with config.unlocked():
    update(config, changes)
  return config


def beta_vae_row(batch_size: int) -> Task:
  """The default beta-VAE with beta and learning rate held constant."""
  config = beta_vae.get_config()
  changes = {'batch_size': batch_size, 'model': {'beta': 4.0}, 'optimizer': {'schedule': 'constant'}}
  return build.task(config_with(changes, config))


def mlp_vae_row() -> Task:
  """A dense VAE on digits brought to 28x28 beforehand, as MNIST lies in memory, binarized anew at each step."""
  config = config_with({'batch_size': 128, 'data': {'binarize': 'dynamic'}})
  small = digits.load('train').arrays['image']
  data = from_arrays({'image': np.asarray(resize(jnp.asarray(small, jnp.float32), 28, 256)).astype(np.uint8)})
  parts = networks.MLPEncoder((512,)), networks.MLPDecoder((512,)), networks.Bernoulli(binary=True)
  return task_of(config, data, models.VAE(*parts, data.image_shape, latent_dim=20))


def gan_config(batch_size: int, learning_rate: float) -> ConfigDict:
  """Adam as Radford et al. (2016) set it, data in [-1, 1]."""
  optimizer = {'learning_rate': learning_rate, 'b1': 0.5}
  return config_with({'batch_size': batch_size, 'data': {'value_range': (-1.0, 1.0)}, 'optimizer': optimizer})


def gan_2d_row() -> Task:
  """Eight Gaussians of sigma .02 on a circle of radius .75."""
  rng = np.random.default_rng(0)
  angle = rng.integers(0, 8, EXPORTED) * (math.pi / 4)
  points = 0.75 * np.stack([np.cos(angle), np.sin(angle)], -1) + 0.02 * rng.standard_normal((EXPORTED, 2))
  data = from_arrays({'image': points.astype(np.float32).reshape(-1, 1, 1, 2)}, kind='points')
  parts = networks.MLPGenerator(), networks.MLPDiscriminator(), (1, 1, 2)
  return task_of(gan_config(256, 1e-3), data, models.GAN(*parts, latent_dim=2))


def noise_images() -> Dataset:
  """Pixels that are uniform noise."""
  return from_arrays({'image': np.random.default_rng(0).integers(0, 256, (EXPORTED, *NOISE_SHAPE), np.uint8)})


def dcgan_32_row() -> Task:
  """DCGAN on noise."""
  parts = networks.ConvGenerator(), networks.ConvDiscriminator(), NOISE_SHAPE
  return task_of(gan_config(64, 2e-4), noise_images(), models.GAN(*parts, latent_dim=100))


def sngan_32_row() -> Task:
  """SNGAN of width 64 on noise, one step of the discriminator for each of the generator."""
  parts = networks.ResNetGenerator((64,) * 3), networks.ResNetDiscriminator((64,) * 4), NOISE_SHAPE
  head = networks.LinearHead(spectral=True)
  return task_of(gan_config(64, 2e-4), noise_images(), models.GAN(*parts, head, latent_dim=128, loss='hinge'))


ROWS = {
  'beta_vae_64': lambda: beta_vae_row(64),
  'beta_vae_256': lambda: beta_vae_row(256),
  'mlp_vae': mlp_vae_row,
  'gan_2d': gan_2d_row,
  'dcgan_32': dcgan_32_row,
  'sngan_32': sngan_32_row,
}


class Training:
  """A run from its first step on, without checkpoints and files."""

  def __init__(self, task: Task):
    self._run_steps, inputs = loop.open_stage(task, 0, Stopwatch())
    self._inputs, self._longest = next(inputs), task.config.steps_per_dispatch
    self.state = parallel.to_host(loop.fresh_state(task))

  @property
  def parameters(self) -> int:
    return sum(x.size for x in jax.tree.leaves(self.state.params))

  def window(self, count: int) -> dict[str, jax.Array]:
    """Dispatches `count` steps -> their metrics [longest], of which the first `count` are filled."""
    self.state, history = self._run_steps(self.state, self._inputs, count)
    return history

  def run(self, seconds: float, expected_ms: float) -> float:
    """Milliseconds a step, of about so many seconds in windows as `loop.run` has them, metrics read one behind."""
    count = min(self._longest, max(1, round(1e3 * seconds / expected_ms)))
    begin, windows, pending = time.perf_counter(), 0, None
    while windows == 0 or time.perf_counter() - begin < seconds:
      history = self.window(count)
      if pending is not None:
        check(pending, count)
      pending, windows = history, windows + 1
    check(pending, count)
    return 1e3 * (time.perf_counter() - begin) / (windows * count)


def check(history: Mapping[str, jax.Array], count: int) -> None:
  """As the recorder does with each window."""
  check_finite({name: np.asarray(x)[:count] for name, x in history.items()}, 0)


class Worker:
  """The commands of `compare.py`."""

  def __init__(self):
    self._training, self._expected = None, None

  def about(self) -> dict[str, Any]:
    device = jax.devices()[0]
    versions = f'gen_jax on JAX {jax.__version__}, {jax.device_count()} {device.device_kind} device(s)'
    return {'rows': list(ROWS), 'text': versions, 'device': device.platform, 'processor': processor()}

  def export(self, row: str, path: str) -> None:
    """The row's first images before `preprocess`, [N,H,W,C], as a .npy file."""
    data = ROWS[row]().data
    index = np.arange(min(EXPORTED, data.size), dtype=np.int32)
    np.save(path, data.finish(data.fetch(index))['image'])

  def build(self, row: str) -> dict[str, float]:
    self._training = Training(ROWS[row]())
    parameters, begin = self._training.parameters, time.perf_counter()
    jax.block_until_ready(self._training.window(1))
    first = time.perf_counter() - begin
    self._training.window(1)  # from arrays on the device, no longer on the host
    begin = time.perf_counter()
    jax.block_until_ready(self._training.window(5))
    self._expected = 1e3 * (time.perf_counter() - begin) / 5
    return {'parameters': parameters, 'first_step_s': first}

  def run(self, seconds: float) -> float:
    self._expected = self._training.run(seconds, self._expected)
    return self._expected


def matmul_gflops(size: int = 2_048) -> float:
  """The best rate of ten float32 products of square matrices, 10^9 operations a second."""
  x, product, best = jnp.ones((size, size)), jax.jit(jnp.matmul), math.inf
  product(x, x).block_until_ready()
  for _ in range(10):
    begin = time.perf_counter()
    product(x, x).block_until_ready()
    best = min(best, time.perf_counter() - begin)
  return 2e-9 * size**3 / best


if __name__ == '__main__':
  memory.keep_freed()  # as `launch.py` does
  worker = Worker()
  serve.serve({name: getattr(worker, name) for name in ('about', 'export', 'build', 'run')} | {'gflops': matmul_gflops})
