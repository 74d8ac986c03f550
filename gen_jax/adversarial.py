"""The losses of a GAN and the penalties on its discriminator, alike in form, so that a diff between two is the idea.

`r` and `f` [B] are the discriminator's logits of real and fake examples, D = sigmoid(logit). Losses are to be
minimized, one value an example [B]; a loss that pairs sees the i-th real beside the i-th fake example.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gen_jax.distributions import softplus
from gen_jax.types import Facts

Logits = jax.Array
EPSILON = 1e-12  # under the root of a gradient's norm, whose own gradient at 0 is not a number


class AdversarialLoss(NamedTuple):
  """What the discriminator and what the generator minimizes."""

  discriminator: Callable[[Logits, Logits], jax.Array]  # (r, f) -> [B]
  generator: Callable[[Logits, Logits], jax.Array]  # (r, f) -> [B]; most know of f alone
  pairs: bool = False  # whether it is of r - f, the difference of two examples, and their level is of no matter


# log D = -softplus(-logit), log(1 - D) = -softplus(logit)

minimax = AdversarialLoss(  # min_G max_D E[log D(x)] + E[log(1 - D(G(z)))] (Goodfellow et al., 2014, eq. 1)
  discriminator=lambda r, f: softplus(-r) + softplus(f),
  generator=lambda r, f: -softplus(f),
)

non_saturating = AdversarialLoss(  # the generator maximizes log D(G(z)) instead (Goodfellow et al., 2014, section 3)
  discriminator=lambda r, f: softplus(-r) + softplus(f),
  generator=lambda r, f: softplus(-f),
)

least_squares = AdversarialLoss(  # a = 0, b = c = 1 (Mao et al., 2017, eq. 9), without their factor 1/2
  discriminator=lambda r, f: (r - 1) ** 2 + f**2,
  generator=lambda r, f: (f - 1) ** 2,
)

hinge = AdversarialLoss(  # Lim & Ye (2017); Miyato et al. (2018), eq. 16 and 17
  discriminator=lambda r, f: jax.nn.relu(1 - r) + jax.nn.relu(1 + f),
  generator=lambda r, f: -f,
)

wasserstein = AdversarialLoss(  # Arjovsky et al. (2017); D must be held to a bounded slope, or it has no best logit
  discriminator=lambda r, f: f - r,
  generator=lambda r, f: -f,
)

relativistic = AdversarialLoss(  # D(x) above D(G(z)) (Jolicoeur-Martineau, 2019; Huang et al., 2024, eq. 2)
  discriminator=lambda r, f: softplus(f - r),
  generator=lambda r, f: softplus(r - f),
  pairs=True,
)

LOSSES = {
  'minimax': minimax,
  'non_saturating': non_saturating,
  'least_squares': least_squares,
  'hinge': hinge,
  'wasserstein': wasserstein,
  'relativistic': relativistic,
}


def squared_gradient_norm(logits: Callable[[jax.Array], Logits], x: jax.Array) -> jax.Array:
  """||grad_x logits(x)||^2 of each example, over all its axes, [B]; `logits` [B,...] -> [B].

  The gradient is that of the sum of all logits, which takes in what an example does to the others' logits, where there
  is a statistic of the minibatch, as Karras et al. (2018) have it.
  """
  gradient = jax.grad(lambda x: logits(x).sum())(x)
  return (gradient**2).reshape(len(x), -1).sum(-1)


def wgan_gp(logits: Callable, real: jax.Array, fake: jax.Array, mix: jax.Array) -> jax.Array:
  """(||grad D(x)|| - 1)^2 at x = mix real + (1 - mix) fake, mix ~ U(0, 1) [B] (Gulrajani et al., 2017, eq. 3), [B]."""
  mix = mix.reshape(-1, *[1] * (real.ndim - 1))
  norm = jnp.sqrt(squared_gradient_norm(logits, mix * real + (1 - mix) * fake) + EPSILON)
  return (norm - 1) ** 2


def r1(logits: Callable, real: jax.Array, fake: jax.Array, mix: jax.Array) -> jax.Array:
  """1/2 ||grad D(x)||^2 at real x (Mescheder et al., 2018, eq. 9), [B]."""
  return 0.5 * squared_gradient_norm(logits, real)


def r2(logits: Callable, real: jax.Array, fake: jax.Array, mix: jax.Array) -> jax.Array:
  """1/2 ||grad D(x)||^2 at fake x (Mescheder et al., 2018, eq. 10), [B]."""
  return 0.5 * squared_gradient_norm(logits, fake)


def r1_r2(logits: Callable, real: jax.Array, fake: jax.Array, mix: jax.Array) -> jax.Array:
  """R1 + R2, with which the relativistic loss converges (Huang et al., 2024, section 2.2), [B]."""
  return r1(logits, real, fake, mix) + r2(logits, real, fake, mix)


PENALTIES = {'wgan_gp': wgan_gp, 'r1': r1, 'r2': r2, 'r1_r2': r1_r2}


def problems_of_clipping(facts: Facts) -> Iterator[str]:
  """Clipping the weights of a critic, which bounds its slope, must not clip the generator's."""
  if facts.optimizers['generator']['clip_weights']:
    section = 'optimizer' if facts.shared_optimizer['clip_weights'] else 'player_optimizers.generator'
    yield (
      f'config.{section}.clip_weights: would clip the generator too; '
      'set config.player_optimizers.discriminator.clip_weights'
    )
