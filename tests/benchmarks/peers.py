"""PyTorch's side of the benchmark, as a good user of PyTorch would write it; imports no JAX."""

import itertools
import math
import resource
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import peer_diffusion, peer_voices, serve

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


# Variational autoencoders


def mlp(sizes: list[int], activation: nn.Module) -> list[nn.Module]:
  """Dense layers with the activation between them."""
  layers = [layer for pair in itertools.pairwise(sizes) for layer in (nn.Linear(*pair), activation)]
  return layers[:-1]


def conv_encoder(latents: int) -> nn.Module:
  convs = [nn.Conv2d(i, o, 4, 2, 1) for i, o in ((1, 32), (32, 32), (32, 64), (64, 64))]
  layers = [layer for conv in convs for layer in (conv, nn.ReLU())]
  return nn.Sequential(*layers, nn.Flatten(), *mlp([1024, 256, 2 * latents], nn.ReLU()))


def conv_decoder(latents: int) -> nn.Module:
  convs = [nn.ConvTranspose2d(i, o, 4, 2, 1) for i, o in ((64, 64), (64, 32), (32, 32), (32, 1))]
  layers = [layer for conv in convs for layer in (nn.ReLU(), conv)]
  return nn.Sequential(*mlp([latents, 256, 1024], nn.ReLU()), nn.Unflatten(1, (64, 4, 4)), *layers)


def vae(mode: Mode, path: str, encoder: nn.Module, decoder: nn.Module, batch_size: int, beta: float,
        prepare: Callable[[Tensor], Tensor]) -> Training:  # fmt: skip
  """E_q[-log p(x|z)] + beta KL(q || p), averaged over the batch."""
  parts = mode.module(nn.ModuleDict({'encoder': encoder, 'decoder': decoder}))
  draw, optimizer = mode.images(path), mode.adam(parts, 1e-3)

  def negative_elbo(images: Tensor) -> Tensor:
    x = prepare(images)
    mu, log_variance = parts['encoder'](x).chunk(2, 1)
    z = mu + torch.exp(0.5 * log_variance) * torch.randn_like(mu)
    reconstruction = functional.binary_cross_entropy_with_logits(parts['decoder'](z), x, reduction='sum')
    kl = 0.5 * (log_variance.exp() + mu**2 - 1 - log_variance).sum()
    return (reconstruction + beta * kl) / len(x)

  loss = mode.loss(negative_elbo)
  return Training([parts], lambda: [descend(optimizer, loss, draw(batch_size))])


def beta_vae(mode: Mode, path: str, batch_size: int) -> Training:
  return vae(mode, path, conv_encoder(10), conv_decoder(10), batch_size, 4.0, Tensor.float)


def mlp_vae(mode: Mode, path: str, batch_size: int) -> Training:
  encoder = nn.Sequential(nn.Flatten(), *mlp([784, 512, 40], nn.ReLU()))
  decoder = nn.Sequential(*mlp([20, 512, 784], nn.ReLU()), nn.Unflatten(1, (1, 28, 28)))
  return vae(mode, path, encoder, decoder, batch_size, 1.0, lambda images: torch.bernoulli(images / 255))


# Generative adversarial networks


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


# Translation of images; A and B lie side by side in the channels of what is drawn


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
    return 0.5 * softplus_of_real_and_fake(real, of_fake)

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


# Diffusion


def diffusion(mode: Mode, path: str, batch_size: int) -> Training:
  """EDM at evenly spaced quantiles of log sigma, a tenth of the labels hidden; and an average of the parameters."""
  network = mode.module(peer_diffusion.NoisyUNet())
  draw, optimizer = mode.images(path), mode.adam(network, 1e-3, b2=0.99)
  average = averaging(network, 0.999)
  places = torch.arange(batch_size, device=DEVICE) / batch_size

  def squared_error(images: Tensor, labels: Tensor) -> Tensor:
    x_0 = images * (2 / 255) - 1
    u = ((torch.rand((), device=DEVICE) + places) % 1).clamp(1e-6, 1 - 1e-6)
    sigma = torch.exp(1.2 * torch.special.ndtri(u) - 1.2)
    skip, out, into = peer_diffusion.coefficients(sigma[:, None, None, None])
    x = x_0 + sigma[:, None, None, None] * torch.randn_like(x_0)
    hidden = torch.rand(batch_size, device=DEVICE) < 0.1
    estimate = network(into * x, sigma.log() / 4, torch.where(hidden, peer_diffusion.CLASSES, labels))
    return ((estimate - (x_0 - skip * x) / out) ** 2).sum() / batch_size

  loss = mode.loss(squared_error)

  def step() -> list[Tensor]:
    labels = torch.randint(peer_diffusion.CLASSES, (batch_size,), device=DEVICE)
    value = descend(optimizer, loss, draw(batch_size), labels)
    average()
    return [value]

  return Training([network], step)


def diffusion_sampling(mode: Mode, path: str, batch_size: int) -> Training:
  """Samples instead of a training step, of each class in turn, by 18 steps of Heun's method."""
  del path
  network = mode.module(peer_diffusion.NoisyUNet()).requires_grad_(False)
  labels = torch.arange(batch_size, device=DEVICE) % peer_diffusion.CLASSES
  levels = peer_diffusion.noise_levels(18).to(DEVICE).unbind()
  denoise = mode.loss(lambda x, sigma: peer_diffusion.estimate(network, x, sigma, labels))

  @torch.no_grad()
  def step() -> list[Tensor]:
    noise = torch.randn(batch_size, 1, 28, 28, device=DEVICE)
    return [peer_diffusion.heun(denoise, noise, levels).clamp(-1, 1).mean()]

  return Training([network], step)


ROWS = {
  'beta_vae_64': beta_vae,
  'beta_vae_256': beta_vae,
  'mlp_vae': mlp_vae,
  'gan_2d': gan_2d,
  'dcgan_32': dcgan_32,
  'sngan_32': sngan_32,
  'pix2pix_64': lambda *given, **named: pix2pix(*given, **named, levels=6),
  'pix2pix_128': lambda *given, **named: pix2pix(*given, **named, levels=7),
  'cyclegan_64': cyclegan_of_images,
  'cyclegan_128': cyclegan_of_images,
  'voices': voices,
  'diffusion': diffusion,
  'diffusion_sampling': diffusion_sampling,
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
