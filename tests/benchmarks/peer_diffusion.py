"""The denoiser of `experiments/diffusion.py:mnist`, its training and EDM's sampler in PyTorch; imports no JAX.

Images are [B,1,28,28] in [-1, 1], of mean 0; their patches of 2x2 pixels have the order of channels of ours.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peer_training import DEVICE, Mode, Training, averaging, descend

CLASSES = 10  # and one label that stands for none
SIGMA_DATA = 1 / math.sqrt(3)  # of uniform noise
SIGMA_MIN, SIGMA_MAX, RHO = 0.002, 80.0, 7.0  # Karras et al. (2022), table 1
WIDTH, CONDITION = 64, 256  # of the largest maps, and of what stands for noise level and label
LOWEST, HIGHEST = 0.25, 16.0  # frequencies of the noise level


def conv(inputs: int, outputs: int, **named: bool | int) -> nn.Conv2d:
  return nn.Conv2d(inputs, outputs, 3, padding=1, **named)


def group_norm(channels: int) -> nn.Module:
  """Of 16 channels each."""
  return nn.GroupNorm(channels // 16, channels, affine=False)


def zeros(layer: nn.Module) -> nn.Module:
  """The layer, 0 at first."""
  for parameter in layer.parameters():
    nn.init.zeros_(parameter)
  return layer


class NoisyBlock(nn.Module):
  """The residual block, scaled and shifted by the condition."""

  def __init__(self, inputs: int, outputs: int):
    super().__init__()
    self.norm, self.first = group_norm(inputs), conv(inputs, outputs, bias=False)
    self.moved, self.inner_norm = zeros(nn.Linear(CONDITION, 2 * outputs)), group_norm(outputs)
    self.second = zeros(conv(outputs, outputs))
    self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

  def forward(self, x: Tensor, condition: Tensor) -> Tensor:
    scale, shift = self.moved(condition)[:, :, None, None].chunk(2, 1)
    h = self.inner_norm(self.first(functional.silu(self.norm(x))))
    return self.second(functional.silu(torch.addcmul(shift, h, 1 + scale))) + self.shortcut(x)


class NoisyUNet(nn.Module):
  """One block a level, of 14x14 and 7x7 patches, two in the middle, two a level on the way back.

  An even size is halved with the margin at its other end, so it is the mirror image of ours in height and width.
  """

  def __init__(self):
    super().__init__()
    exponents = torch.linspace(math.log(LOWEST), math.log(HIGHEST), CONDITION // 2)
    self.register_buffer('frequencies', exponents.exp(), persistent=False)
    self.of_noise = nn.Sequential(nn.Linear(CONDITION, CONDITION), nn.SiLU(), nn.Linear(CONDITION, CONDITION))
    self.of_labels = nn.Embedding(CLASSES + 1, CONDITION)
    self.first, self.halve = conv(4, WIDTH), conv(WIDTH, 2 * WIDTH, stride=2)
    widths = ((1, 1), (2, 2), (2, 2), (2, 2), (4, 2), (4, 2), (3, 1), (2, 1))  # in, out
    self.blocks = nn.ModuleList(NoisyBlock(i * WIDTH, o * WIDTH) for i, o in widths)
    self.enlarge = nn.Sequential(nn.Upsample(scale_factor=2), conv(2 * WIDTH, 2 * WIDTH))
    self.norm, self.last = group_norm(WIDTH), zeros(conv(WIDTH, 4))

  def forward(self, x: Tensor, noise: Tensor, labels: Tensor) -> Tensor:
    angles = noise[:, None] * self.frequencies
    of_noise = self.of_noise(torch.cat([angles.sin(), angles.cos()], 1))
    condition = functional.silu(of_noise + self.of_labels(labels))
    block = lambda k, *maps: self.blocks[k](maps[0] if len(maps) == 1 else torch.cat(maps, 1), condition)
    large = self.first(functional.pixel_unshuffle(x, 2))
    large_too = block(0, large)
    small = self.halve(large_too)
    small_too = block(1, small)
    h = block(3, block(2, small_too))
    h = self.enlarge(block(5, block(4, h, small_too), small))
    h = block(7, block(6, h, large_too), large)
    return functional.pixel_shuffle(self.last(functional.silu(self.norm(h))), 2)


def coefficients(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
  """EDM's c_skip, c_out and c_in."""
  a = torch.rsqrt(SIGMA_DATA**2 + sigma**2)
  return (SIGMA_DATA * a) ** 2, SIGMA_DATA * sigma * a, a


def estimate(network: nn.Module, x: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
  """D(x; sigma) of one sigma []."""
  skip, out, into = coefficients(sigma)
  return skip * x + out * network(into * x, (sigma.log() / 4).expand(len(x)), labels)


def noise_levels(steps: int) -> Tensor:
  """Karras et al. (2022), eq. 5, and 0: [steps + 1]."""
  levels = torch.linspace(SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO), steps) ** RHO
  return torch.cat([levels, torch.zeros(1)])


def heun(denoise: Callable[[Tensor, Tensor], Tensor], noise: Tensor, levels: Sequence[Tensor]) -> Tensor:
  """EDM, algorithm 1: two evaluations a step, of which the last, to 0, has one."""
  x, last = levels[0] * noise, len(levels) - 2
  for i, (sigma, to) in enumerate(itertools.pairwise(levels)):
    slope = (x - denoise(x, sigma)) / sigma
    euler = x + (to - sigma) * slope
    x = euler if i == last else x + (to - sigma) * 0.5 * (slope + (euler - denoise(euler, to)) / to)
  return x


def diffusion(mode: Mode, path: str, batch_size: int) -> Training:
  """EDM at evenly spaced quantiles of log sigma, a tenth of the labels hidden; and an average of the parameters."""
  network = mode.module(NoisyUNet())
  draw, optimizer = mode.images(path), mode.adam(network, 1e-3, b2=0.99)
  average = averaging(network, 0.999)
  places = torch.arange(batch_size, device=DEVICE) / batch_size

  def squared_error(images: Tensor, labels: Tensor) -> Tensor:
    x_0 = images * (2 / 255) - 1
    u = ((torch.rand((), device=DEVICE) + places) % 1).clamp(1e-6, 1 - 1e-6)
    sigma = torch.exp(1.2 * torch.special.ndtri(u) - 1.2)
    skip, out, into = coefficients(sigma[:, None, None, None])
    x = x_0 + sigma[:, None, None, None] * torch.randn_like(x_0)
    hidden = torch.rand(batch_size, device=DEVICE) < 0.1
    found = network(into * x, sigma.log() / 4, torch.where(hidden, CLASSES, labels))
    return ((found - (x_0 - skip * x) / out) ** 2).sum() / batch_size

  loss = mode.loss(squared_error)

  def step() -> list[Tensor]:
    labels = torch.randint(CLASSES, (batch_size,), device=DEVICE)
    value = descend(optimizer, loss, draw(batch_size), labels)
    average()
    return [value]

  return Training([network], step)


def diffusion_sampling(mode: Mode, path: str, batch_size: int) -> Training:
  """Samples instead of a training step, of each class in turn, by 18 steps of Heun's method."""
  del path
  network = mode.module(NoisyUNet()).requires_grad_(False)
  labels = torch.arange(batch_size, device=DEVICE) % CLASSES
  levels = noise_levels(18).to(DEVICE).unbind()
  denoise = mode.loss(lambda x, sigma: estimate(network, x, sigma, labels))

  @torch.no_grad()
  def step() -> list[Tensor]:
    noise = torch.randn(batch_size, 1, 28, 28, device=DEVICE)
    return [heun(denoise, noise, levels).clamp(-1, 1).mean()]

  return Training([network], step)
