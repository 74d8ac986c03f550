"""Generative adversarial networks in PyTorch; imports no JAX."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from benchmarks.peer_training import DEVICE, Mode, Training, descend
from benchmarks.peer_vaes import mlp


def image_generator() -> nn.Module:
  def block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

  first = [nn.Linear(100, 4096, bias=False), nn.Unflatten(1, (256, 4, 4)), nn.BatchNorm2d(256), nn.ReLU()]
  last = [nn.ConvTranspose2d(64, 3, 4, 2, 1), nn.Tanh()]
  return nn.Sequential(*first, *block(256, 128), *block(128, 64), *last)


def image_discriminator() -> nn.Module:
  def block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]

  first = [nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
  return nn.Sequential(*first, *block(64, 128), *block(128, 256), nn.Flatten(), nn.Linear(4096, 1))


class GeneratorBlock(nn.Module):
  """The residual block of SNGAN's generator, which doubles the size."""

  def __init__(self, inputs: int, outputs: int):
    super().__init__()
    conv = lambda i: nn.Conv2d(i, outputs, 3, padding=1, bias=False)
    enlarged = [nn.BatchNorm2d(inputs), nn.ReLU(), nn.Upsample(scale_factor=2), conv(inputs)]
    self.residual = nn.Sequential(*enlarged, nn.BatchNorm2d(outputs), nn.ReLU(), conv(outputs))
    self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.Upsample(scale_factor=2))

  def forward(self, x: Tensor) -> Tensor:
    return self.residual(x) + self.shortcut(x)


class DiscriminatorBlock(nn.Module):
  """The residual block of SNGAN's discriminator, of spectral norm 1."""

  def __init__(self, inputs: int, outputs: int, half: bool, first: bool):
    super().__init__()
    conv = lambda i, o, k: spectral_norm(nn.Conv2d(i, o, k, padding=k // 2))
    self.start = nn.Identity() if first else nn.ReLU()
    self.pool = nn.AvgPool2d(2) if half else nn.Identity()
    self.residual = nn.Sequential(conv(inputs, outputs, 3), nn.ReLU(), conv(outputs, outputs, 3))
    self.shortcut = conv(inputs, outputs, 1) if half or inputs != outputs else nn.Identity()

  def forward(self, x: Tensor) -> Tensor:
    return self.pool(self.residual(self.start(x))) + self.shortcut(self.pool(x))


class Sum(nn.Module):
  """Over all places."""

  def forward(self, x: Tensor) -> Tensor:
    return x.sum((2, 3))


def residual_generator(width: int) -> nn.Module:
  first = [nn.Linear(128, 16 * width), nn.Unflatten(1, (width, 4, 4))]
  blocks = [GeneratorBlock(width, width) for _ in range(3)]
  return nn.Sequential(*first, *blocks, nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1), nn.Tanh())


def residual_discriminator(width: int) -> nn.Module:
  blocks = [DiscriminatorBlock(3 if i == 0 else width, width, i < 2, i == 0) for i in range(4)]
  return nn.Sequential(*blocks, nn.ReLU(), Sum(), spectral_norm(nn.Linear(width, 1)))


def softplus_of_real_and_fake(real: Tensor, fake: Tensor) -> Tensor:
  return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def hinge_of_real_and_fake(real: Tensor, fake: Tensor) -> Tensor:
  return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()


def squares_of_real_and_fake(real: Tensor, fake: Tensor) -> Tensor:
  return ((real - 1) ** 2).mean() + (fake**2).mean()


NON_SATURATING = (softplus_of_real_and_fake, lambda fake: functional.softplus(-fake).mean())
HINGE = (hinge_of_real_and_fake, lambda fake: -fake.mean())
SQUARES = (squares_of_real_and_fake, lambda fake: ((fake - 1) ** 2).mean())


def gan(mode: Mode, path: str, generator: nn.Module, discriminator: nn.Module, latents: int, batch_size: int,
        learning_rate: float, levels: int, losses: tuple[Callable, Callable] = NON_SATURATING) -> Training:  # fmt: skip
  """The discriminator's update first, each with its own noise; `levels` 0: of points, which stay as they are."""
  generator, discriminator = mode.module(generator), mode.module(discriminator)
  g_optimizer, d_optimizer = (mode.adam(player, learning_rate, 0.5) for player in (generator, discriminator))
  draw = mode.images(path)

  def sample() -> Tensor:
    return generator(torch.randn(batch_size, latents, device=DEVICE))

  def discriminator_loss(images: Tensor) -> Tensor:
    with torch.no_grad():
      fake = sample()
    real = discriminator(images * (2 / (levels - 1)) - 1 if levels else images)
    return losses[0](real, discriminator(fake))

  def generator_loss() -> Tensor:
    return losses[1](discriminator(sample()))

  d_loss, g_loss = mode.loss(discriminator_loss), mode.loss(generator_loss)

  def step() -> list[Tensor]:
    d_value = descend(d_optimizer, d_loss, draw(batch_size))
    discriminator.requires_grad_(False)  # or its gradients would be computed for nothing
    g_value = descend(g_optimizer, g_loss)
    discriminator.requires_grad_(True)
    return [d_value, g_value]

  return Training([generator, discriminator], step)


def gan_2d(mode: Mode, path: str, batch_size: int) -> Training:
  generator = nn.Sequential(*mlp([2, 128, 128, 128, 2], nn.ReLU()), nn.Unflatten(1, (2, 1, 1)))
  discriminator = nn.Sequential(nn.Flatten(), *mlp([2, 128, 128, 128, 1], nn.LeakyReLU(0.2)))
  return gan(mode, path, generator, discriminator, 2, batch_size, 1e-3, levels=0)


def dcgan_32(mode: Mode, path: str, batch_size: int) -> Training:
  return gan(mode, path, image_generator(), image_discriminator(), 100, batch_size, 2e-4, levels=256)


def sngan_32(mode: Mode, path: str, batch_size: int) -> Training:
  players = residual_generator(64), residual_discriminator(64)
  return gan(mode, path, *players, 128, batch_size, 2e-4, levels=256, losses=HINGE)
