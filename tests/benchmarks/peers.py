"""PyTorch's side of the benchmark, as a good user of PyTorch would write it; imports no JAX.

The models lie in `peer_vaes.py`, `peer_gans.py`, `peer_translation.py` and `peer_diffusion.py`.
"""

import math
import resource
import time
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import peer_diffusion, peer_gans, peer_translation, peer_vaes, serve
from benchmarks.peer_training import DEVICE, MODES, captured

ROWS = {
  'beta_vae_64': peer_vaes.beta_vae,
  'beta_vae_256': peer_vaes.beta_vae,
  'mlp_vae': peer_vaes.mlp_vae,
  'gan_2d': peer_gans.gan_2d,
  'dcgan_32': peer_gans.dcgan_32,
  'sngan_32': peer_gans.sngan_32,
  'pix2pix_64': lambda *given, **named: peer_translation.pix2pix(*given, **named, levels=6),
  'pix2pix_128': lambda *given, **named: peer_translation.pix2pix(*given, **named, levels=7),
  'cyclegan_64': peer_translation.cyclegan_of_images,
  'cyclegan_128': peer_translation.cyclegan_of_images,
  'voices': peer_translation.voices,
  'diffusion': peer_diffusion.diffusion,
  'diffusion_sampling': peer_diffusion.diffusion_sampling,
}
WITHOUT_CHANNELS_LAST = {'mlp_vae', 'gan_2d'}  # no convolutions


def modes_of(row: str) -> list[str]:
  """The names of those that can be and that differ."""
  return [
    name
    for name, mode in MODES.items()
    if not (mode.channels_last and row in WITHOUT_CHANNELS_LAST) and not (mode.graph and DEVICE == 'cpu')
  ]


class Worker:
  """The commands of `compare.py` and `gpu.py`."""

  def __init__(self):
    self._training = None

  def about(self) -> dict[str, Any]:
    text = f'PyTorch {torch.__version__}, {torch.get_num_threads()} threads'
    modes = {row: modes_of(row) for row in ROWS}
    return {'modes': modes, 'text': text, 'device': DEVICE.replace('cuda', 'gpu'), 'rounding': rounding()}

  def build(self, row: str, mode: str, path: str, batch_size: int, precision: str = 'float32') -> dict[str, float]:
    """Makes and tries the model; the floating-point operations are those of a step's matrix products."""
    torch.manual_seed(0)
    how = MODES[mode]._replace(bfloat16=precision == 'bfloat16')
    training = ROWS[row](how, path, batch_size)
    begin = time.perf_counter()
    training = captured(training) if how.graph else training
    finite(training.step())
    results = {'parameters': training.parameters, 'first_step_s': time.perf_counter() - begin}
    for _ in range(3):
      finite(training.step())
    if not how.compiled and not how.graph:
      with FlopCounterMode(display=False) as counter:
        training.step()
      results['gflop'] = 1e-9 * counter.get_total_flops()
    self._training = training
    return results | {'peak_bytes': peak_bytes()}

  def run(self, seconds: float) -> float:
    """Milliseconds a step, of about so many seconds."""
    step, losses = self._training.step, []
    begin, steps = time.perf_counter(), 0
    while steps == 0 or time.perf_counter() - begin < seconds:
      losses = step()
      steps += 1
    finite(losses)
    return 1e3 * (time.perf_counter() - begin) / steps


def finite(losses: list[Tensor]) -> None:
  """Waits for the losses; ValueError where one is no number."""
  values = [float(loss) for loss in losses]
  if not all(map(math.isfinite, values)):
    raise ValueError(f'the losses are {values}')


def peak_bytes() -> int:
  """The most memory of a GPU that this process has used; without one, its peak resident set."""
  if DEVICE == 'cuda':
    return torch.cuda.max_memory_allocated()
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rounding() -> dict[str, str]:
  """As that of `ours.py`."""
  x, identity = torch.full((2, 256, 16, 16), 1 + 2**-12, device=DEVICE), torch.eye(256, device=DEVICE)
  kernel = torch.zeros(256, 256, 3, 3, device=DEVICE)
  kernel[:, :, 1, 1] = identity
  results = {
    'products': x.permute(0, 2, 3, 1).reshape(-1, 256) @ identity,
    'convolutions': functional.conv2d(x, kernel, padding=1),
  }
  return {name: 'TF32' if float(y.ravel()[0]) == 1 else 'float32' for name, y in results.items()}


if __name__ == '__main__':
  worker = Worker()
  serve.serve({name: getattr(worker, name) for name in ('about', 'build', 'run')})
