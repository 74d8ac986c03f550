"""The networks of `experiments/voices.py` in PyTorch; imports no JAX.

They see frames [B,1,T,bands]. What PyTorch has as one layer is one: a convolution with its gate, whose halves are the
two of ours.
"""

import itertools

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

BANDS = 24
FEATURES, WIDTH, BLOCKS, KERNEL, REACH = (16, 32, 32), 128, 3, 3, 5  # of the translator
CRITIC = (1, 32, 64, 128)  # channels; all but the last layer halve


def conv(inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1, bias: bool = False) -> nn.Conv2d:
  height, width = kernel
  return nn.Conv2d(inputs, outputs, kernel, stride, (height // 2, width // 2), bias=bias)


def normalized(inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1) -> list[nn.Module]:
  return [conv(inputs, outputs, kernel, stride), nn.InstanceNorm2d(outputs, affine=True)]


def gated(inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1) -> list[nn.Module]:
  return [*normalized(inputs, 2 * outputs, kernel, stride), nn.GLU(1)]


class GatedBlock(nn.Module):
  """x + a gated convolution and a plain one, over time."""

  def __init__(self):
    super().__init__()
    self.residual = nn.Sequential(*gated(WIDTH, 2 * WIDTH, (3, 1)), *normalized(2 * WIDTH, WIDTH, (3, 1)))

  def forward(self, x: Tensor) -> Tensor:
    return x + self.residual(x)


class GatedTranslator(nn.Module):
  """Over time and bands, then over time alone, then over both.

  An even size is halved with the margin at its other end, so it is the mirror image of ours in time and bands.
  """

  def __init__(self):
    super().__init__()
    self.depth, square, outer = FEATURES[-1], (KERNEL, KERNEL), (REACH, KERNEL)
    flat = BANDS // 2 ** (len(FEATURES) - 1) * self.depth
    down = [layer for i, o in itertools.pairwise(FEATURES) for layer in gated(i, o, square, 2)]
    self.down = nn.Sequential(conv(1, 2 * FEATURES[0], outer, bias=True), nn.GLU(1), *down)
    blocks = [GatedBlock() for _ in range(BLOCKS)]
    self.middle = nn.Sequential(*normalized(flat, WIDTH, (1, 1)), *blocks, *normalized(WIDTH, flat, (1, 1)))
    up = [
      layer
      for i, o in itertools.pairwise(FEATURES[::-1])
      for layer in (conv(i, 4 * o, square), nn.PixelShuffle(2), nn.InstanceNorm2d(o, affine=True), nn.SiLU())
    ]
    self.up = nn.Sequential(*up, conv(FEATURES[0], 1, outer, bias=True))

  def forward(self, x: Tensor) -> Tensor:
    x = self.down(x)
    batch, _, frames, bands = x.shape
    # bands before channels: where these lie last in memory, nothing is moved
    x = self.middle(x.permute(0, 3, 1, 2).reshape(batch, bands * self.depth, frames, 1))
    return self.up(x.reshape(batch, bands, self.depth, frames).permute(0, 2, 3, 1))


class PatchCritic(nn.Module):
  """Of spectral norm 1, of patches of 34x34."""

  def __init__(self):
    super().__init__()
    last = len(CRITIC) - 2
    layers = [nn.Conv2d(i, o, 4, 1 if k == last else 2, 1) for k, (i, o) in enumerate(itertools.pairwise(CRITIC))]
    self.layers = nn.ModuleList(map(spectral_norm, [*layers, nn.Conv2d(CRITIC[-1], 1, 4, 1, 1)]))

  def forward(self, x: Tensor) -> Tensor:
    for k, layer in enumerate(self.layers):
      x = layer(functional.leaky_relu(x, 0.2) if k else x)
    return x
