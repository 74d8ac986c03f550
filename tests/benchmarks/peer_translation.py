"""Translation of images and of voices in PyTorch; A and B lie side by side in the channels of what is drawn; no JAX."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks import peer_voices
from benchmarks.peer_gans import HINGE, NON_SATURATING, SQUARES
from benchmarks.peer_training import Mode, Training, averaging, descend


def half(inputs: int, outputs: int, kernel: int, padding: int, normalized: bool, affine: bool) -> list[nn.Module]:
  conv = nn.Conv2d(inputs, outputs, kernel, 2, padding, bias=not normalized)
  return [conv, nn.InstanceNorm2d(outputs, affine=affine)] if normalized else [conv]


class UNet(nn.Module):
  """The generator of pix2pix, with dropout in three layers."""

  def __init__(self, widths: list[int]):
    super().__init__()
    last = len(widths) - 1
    pairs = list(enumerate(itertools.pairwise([3, *widths])))
    self.down = nn.ModuleList(nn.Sequential(*half(i, o, 4, 1, 0 < k < last, True)) for k, (i, o) in pairs)
    outputs = [*widths[-2::-1], 3]
    inputs = [widths[-1], *(2 * width for width in widths[-2::-1])]
    self.up = nn.ModuleList(
      nn.Sequential(
        nn.ConvTranspose2d(i, o, 4, 2, 1, bias=k == last),
        nn.Tanh() if k == last else nn.InstanceNorm2d(o, affine=True),
      )
      for k, (i, o) in enumerate(zip(inputs, outputs, strict=True))
    )

  def forward(self, x: Tensor) -> Tensor:
    maps = []
    for k, layer in enumerate(self.down):
      x = layer(functional.leaky_relu(x, 0.2) if k else x)
      maps.append(x)
    for k, layer in enumerate(self.up):
      x = layer(functional.relu(torch.cat([x, maps[-1 - k]], 1) if k else x))
      x = functional.dropout(x, 0.5, True) if k < 3 else x
    return x


def patch_discriminator(channels: int, width: int) -> nn.Module:
  """Of patches of 34x34."""
  first = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
  second = [*half(width, 2 * width, 4, 1, True, False), nn.LeakyReLU(0.2)]
  third = [nn.Conv2d(2 * width, 4 * width, 4, 1, 1, bias=False), nn.InstanceNorm2d(4 * width), nn.LeakyReLU(0.2)]
  return nn.Sequential(*first, *second, *third, nn.Conv2d(4 * width, 1, 4, 1, 1))


def drawn_pairs(draw: Callable[[int], Tensor], batch_size: int, levels: int = 256) -> tuple[Tensor, Tensor]:
  """Images of A and of B in [-1, 1]; `levels` 0: frames, which stay as they are."""
  drawn = draw(batch_size)
  a, b = (drawn * (2 / (levels - 1)) - 1 if levels else drawn).chunk(2, 1)
  return a, b


def pix2pix(mode: Mode, path: str, batch_size: int, levels: int) -> Training:
  generator = mode.module(UNet([32, 64, 128, *[256] * (levels - 3)]))
  discriminator = mode.module(patch_discriminator(6, 32))
  g_optimizer, d_optimizer = (mode.adam(player, 2e-4, 0.5) for player in (generator, discriminator))
  draw = mode.images(path)

  def discriminator_loss(a: Tensor, b: Tensor) -> Tensor:
    with torch.no_grad():
      fake = generator(a)
    real, of_fake = discriminator(torch.cat([a, b], 1)), discriminator(torch.cat([a, fake], 1))
    return 0.5 * NON_SATURATING[0](real, of_fake)

  def generator_loss(a: Tensor, b: Tensor) -> Tensor:
    fake = generator(a)
    return NON_SATURATING[1](discriminator(torch.cat([a, fake], 1))) + 100 * (b - fake).abs().mean()

  d_loss, g_loss = mode.loss(discriminator_loss), mode.loss(generator_loss)

  def step() -> list[Tensor]:
    d_value = descend(d_optimizer, d_loss, *drawn_pairs(draw, batch_size))
    discriminator.requires_grad_(False)
    g_value = descend(g_optimizer, g_loss, *drawn_pairs(draw, batch_size))
    discriminator.requires_grad_(True)
    return [d_value, g_value]

  return Training([generator, discriminator], step)


class ResidualTranslation(nn.Module):
  """x + two convolutions of x, mirrored at its borders."""

  def __init__(self, width: int):
    super().__init__()
    conv = lambda: [nn.Conv2d(width, width, 3, 1, 1, bias=False, padding_mode='reflect'), nn.InstanceNorm2d(width)]
    self.residual = nn.Sequential(*conv(), nn.ReLU(), *conv())

  def forward(self, x: Tensor) -> Tensor:
    return x + self.residual(x)


def residual_translator(width: int, blocks: int) -> nn.Module:
  first = [nn.Conv2d(3, width, 7, 1, 3, bias=False, padding_mode='reflect'), nn.InstanceNorm2d(width), nn.ReLU()]
  down = [layer for w in (width, 2 * width) for layer in (*half(w, 2 * w, 3, 1, True, False), nn.ReLU())]
  up = [
    layer
    for w in (4 * width, 2 * width)
    for layer in (nn.ConvTranspose2d(w, w // 2, 3, 2, 1, 1, bias=False), nn.InstanceNorm2d(w // 2), nn.ReLU())
  ]
  middle = [ResidualTranslation(4 * width) for _ in range(blocks)]
  last = [nn.Conv2d(width, 3, 7, 1, 3, padding_mode='reflect'), nn.Tanh()]
  return nn.Sequential(*first, *down, *middle, *up, *last)


class Pool:
  """Earlier images of a generator, of which half of those asked for are given."""

  def __init__(self, size: int = 50):
    self._images, self._size = [], size

  def __call__(self, images: Tensor) -> Tensor:
    return torch.stack([self._exchange(image) for image in images])

  def _exchange(self, image: Tensor) -> Tensor:
    if len(self._images) < self._size:
      self._images.append(image)
      return image
    if torch.rand(()) < 0.5:
      return image
    place = int(torch.randint(self._size, ()))
    old, self._images[place] = self._images[place], image
    return old


class Kind(NamedTuple):
  """How a CycleGAN is trained. `pooled`: critics see earlier images; `decay`: of the generators' average, or 0."""

  losses: tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]
  learning_rate: float
  levels: int = 256
  pooled: bool = True
  decay: float = 0.0


def cyclegan(mode: Mode, path: str, batch_size: int, translator: Callable[[], nn.Module],
             critic: Callable[[], nn.Module], kind: Kind) -> Training:  # fmt: skip
  """Both generators with one optimizer, then both critics, with batches of their own and identity terms."""
  to_a, to_b = (mode.module(translator()) for _ in range(2))
  critic_a, critic_b = (mode.module(critic()) for _ in range(2))
  generators, critics = nn.ModuleList([to_a, to_b]), nn.ModuleList([critic_a, critic_b])
  g_optimizer, d_optimizer = (mode.adam(player, kind.learning_rate, 0.5) for player in (generators, critics))
  draw, pools = mode.images(path), [Pool() if kind.pooled else nn.Identity() for _ in range(2)]
  average_of_generators = averaging(generators, kind.decay) if kind.decay else lambda: None
  of_both, fooled = kind.losses
  l1 = lambda x, y: (x - y).abs().mean()

  def generator_loss(a: Tensor, b: Tensor) -> Tensor:
    fake_a, fake_b = to_a(b), to_b(a)
    cycle, identity = l1(to_a(fake_b), a) + l1(to_b(fake_a), b), l1(to_a(a), a) + l1(to_b(b), b)
    return fooled(critic_a(fake_a)) + fooled(critic_b(fake_b)) + 10 * cycle + 5 * identity

  def discriminator_loss(a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor) -> Tensor:
    return 0.5 * (of_both(critic_a(a), critic_a(fake_a)) + of_both(critic_b(b), critic_b(fake_b)))

  g_loss, d_loss, translate = map(mode.loss, (generator_loss, discriminator_loss, lambda a, b: (to_a(b), to_b(a))))

  def step() -> list[Tensor]:
    critics.requires_grad_(False)
    g_value = descend(g_optimizer, g_loss, *drawn_pairs(draw, batch_size, kind.levels))
    critics.requires_grad_(True)
    a, b = drawn_pairs(draw, batch_size, kind.levels)
    with torch.no_grad():
      fakes = [pool(images) for pool, images in zip(pools, translate(a, b), strict=True)]
    d_value = descend(d_optimizer, d_loss, a, b, *fakes)
    average_of_generators()
    return [g_value, d_value]

  return Training([generators, critics], step)


def cyclegan_of_images(mode: Mode, path: str, batch_size: int) -> Training:
  return cyclegan(mode, path, batch_size, lambda: residual_translator(32, 6), lambda: patch_discriminator(3, 32),
                  Kind(SQUARES, 2e-4))  # fmt: skip


def voices(mode: Mode, path: str, batch_size: int) -> Training:
  kind = Kind(HINGE, 5e-4, levels=0, pooled=False, decay=0.998)
  return cyclegan(mode, path, batch_size, peer_voices.GatedTranslator, peer_voices.PatchCritic, kind)
