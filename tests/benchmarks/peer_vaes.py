"""Variational autoencoders in PyTorch; imports no JAX."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peer_training import Mode, Training, descend


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
