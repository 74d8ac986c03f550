"""How a model is trained in PyTorch: eagerly or compiled, in which layout of memory, by which optimizer; no JAX."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
if DEVICE == 'cuda':
  torch.set_float32_matmul_precision('high')  # TF32, as in JAX, and as cuDNN's convolutions by default


class Mode(NamedTuple):
  """A way to run the same model."""

  compiled: bool = False
  channels_last: bool = False
  graph: bool = False  # a CUDA graph of the whole step
  bfloat16: bool = False  # where autocast takes it to be precise enough

  def module(self, module: nn.Module) -> nn.Module:
    module = module.to(DEVICE)
    return module.to(memory_format=torch.channels_last) if self.channels_last else module

  def loss(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    function = in_bfloat16(function) if self.bfloat16 else function
    return torch.compile(function) if self.compiled else function

  def adam(self, module: nn.Module, learning_rate: float, b1: float = 0.9, b2: float = 0.999) -> torch.optim.Optimizer:
    settings = {'eps': 1e-8, 'fused': True, 'capturable': self.graph}
    return torch.optim.Adam(module.parameters(), learning_rate, (b1, b2), **settings)

  def images(self, path: str) -> Callable[[int], Tensor]:
    """`draw(n)`: n random images [n,C,H,W] of a file of [N,H,W,C], kept on the device in the mode's layout."""
    stored = torch.from_numpy(np.load(path)).to(DEVICE)
    if self.channels_last:
      return lambda n: stored[torch.randint(len(stored), (n,), device=DEVICE)].permute(0, 3, 1, 2)
    stored = stored.permute(0, 3, 1, 2).contiguous()
    return lambda n: stored[torch.randint(len(stored), (n,), device=DEVICE)]


MODES = {
  'eager': Mode(),
  'channels_last': Mode(channels_last=True),
  'compile': Mode(compiled=True),
  'compile, channels_last': Mode(compiled=True, channels_last=True),
  'graph': Mode(graph=True),
  'channels_last, graph': Mode(channels_last=True, graph=True),
  'compile, graph': Mode(compiled=True, graph=True),
  'compile, channels_last, graph': Mode(compiled=True, channels_last=True, graph=True),
}


def in_bfloat16(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
  """The function under autocast."""

  def wrapped(*arguments: Tensor) -> Tensor:
    with torch.autocast(DEVICE, torch.bfloat16):
      return function(*arguments)

  return wrapped


class Training(NamedTuple):
  """A model and its training step on a batch of its own, which returns the losses."""

  modules: list[nn.Module]
  step: Callable[[], list[Tensor]]

  @property
  def parameters(self) -> int:
    return sum(p.numel() for module in self.modules for p in module.parameters())


def descend(optimizer: torch.optim.Optimizer, loss: Callable[..., Tensor], *batch: Tensor) -> Tensor:
  """One update."""
  optimizer.zero_grad(set_to_none=True)
  value = loss(*batch)
  value.backward()
  optimizer.step()
  return value.detach()


def captured(training: Training) -> Training:
  """The training with its step as one CUDA graph: recorded once, then replayed.

  What the step draws differs from replay to replay; its losses always lie where the recorded one put them.
  """
  stream = torch.cuda.Stream()
  stream.wait_stream(torch.cuda.current_stream())
  with torch.cuda.stream(stream):  # what is compiled, tuned or allocated once must be before the recording
    for _ in range(3):
      training.step()
  torch.cuda.current_stream().wait_stream(stream)
  graph = torch.cuda.CUDAGraph()
  with torch.cuda.graph(graph):
    losses = training.step()

  def step() -> list[Tensor]:
    graph.replay()
    return losses

  return training._replace(step=step)


def averaging(module: nn.Module, decay: float) -> Callable[[], None]:
  """What brings an exponential moving average of the parameters up to date."""
  parameters, average = list(module.parameters()), get_ema_multi_avg_fn(decay)
  averages = [parameter.detach().clone() for parameter in parameters]
  return lambda: average(averages, parameters, None)
