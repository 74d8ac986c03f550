"""CycleGAN: images of one kind into another and back, learned without pairs (Zhu et al., 2017)."""

import math
from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax import adversarial
from gen_jax.errors import non_negative, one_of
from gen_jax.metrics import Metric, measures
from gen_jax.models.gan import Loss
from gen_jax.models.image_pool import ImagePool
from gen_jax.models.translation import SLOWED, problems_of_images, problems_of_slope
from gen_jax.types import Batch, Facts, Player


class CycleGAN(nn.Module):
  """F makes B of A, and G makes A of B; D_B tells B from F(A), and D_A tells A from G(B), patch by patch.

  F and G minimize E[loss of D_B(F(A))] + E[loss of D_A(G(B))] + cycle_weight (E[mean |G(F(A)) - A|] +
  E[mean |F(G(B)) - B|]) + identity_weight (E[mean |F(B) - B|] + E[mean |G(A) - A|]) (eq. 3 and section 5.2), means
  over the values of an image. The discriminators see, in place of the newest images of F and G, some of the last
  `pool_size` (section 4).
  """

  generator_b: nn.Module  # F: (x, channels, rows) -> [B,H,W,channels]
  generator_a: nn.Module  # G
  discriminator_b: nn.Module  # (x, train) -> [B,h,w]
  discriminator_a: nn.Module
  channels_a: int
  channels_b: int
  loss: str = 'least_squares'
  cycle_weight: float = 10.0
  identity_weight: float = 5.0
  pool_size: int = 50

  reads = ('image_a', 'image_b')  # of a batch
  averaged = ('generator_a', 'generator_b')  # what an average of the parameters is of

  def setup(self) -> None:
    """The pools have no parameters, and hold what was translated."""
    self.pool_a, self.pool_b = ImagePool(self.pool_size), ImagePool(self.pool_size)

  def problems(self, facts: Facts) -> Iterator[str]:
    """Weights, a loss with a bounded slope, images in [-1, 1], of as many channels where they are to stay the same."""
    yield from non_negative(self, 'cycle_weight', 'identity_weight', 'pool_size')
    yield from one_of(self, 'loss', adversarial.LOSSES)
    if self.loss in adversarial.LOSSES and adversarial.LOSSES[self.loss].pairs:
      yield f"loss={self.loss!r}: pairs a patch with that of another scene, which has no meaning; set 'least_squares'"
    if self.identity_weight and self.channels_a != self.channels_b:
      channels = f'{self.channels_a} channels and images of B {self.channels_b}'
      yield f'identity_weight={self.identity_weight}: images of A have {channels}; set it to 0'
    (height_a, width_a, _), (height_b, width_b, _) = (facts.shapes[name] for name in self.reads)
    if (height_a, width_a) != (height_b, width_b):
      sizes = f'A is {height_a}x{width_a}, and B {height_b}x{width_b}'
      yield f'config.data.size=0: {sizes}; set a size, to which both are brought'
    yield from problems_of_images(facts)
    discriminators = {'discriminator_a': self.discriminator_a, 'discriminator_b': self.discriminator_b}
    yield from problems_of_slope(self.loss, discriminators, facts)

  @property
  def players(self) -> dict[str, Player]:
    """Both generators, then both discriminators, each pair with one optimizer, as published."""
    return {
      'generator': Player('generator_loss', ('generator_a', 'generator_b')),
      'discriminator': Player('discriminator_loss', ('discriminator_a', 'discriminator_b')),
    }

  @property
  def multiple(self) -> int:
    """Of which heights and widths of what it translates must be multiples."""
    return math.lcm(self.generator_a.multiple, self.generator_b.multiple)

  def __call__(self, batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Both translations."""
    to_a, to_b = self.translate_to_a(batch), self.translate_to_b(batch)
    self.discriminator_a(to_a, True)
    self.discriminator_b(to_b, True)
    key = self.make_rng('pool')
    return self.pool_a(to_a, batch['row'], key), self.pool_b(to_b, batch['row'], key)

  def to_a(self, images: jax.Array, rows: jax.Array) -> jax.Array:
    """G of images of B (or of A)."""
    return self.generator_a(images, self.channels_a, rows)

  def to_b(self, images: jax.Array, rows: jax.Array) -> jax.Array:
    """F of images of A (or of B)."""
    return self.generator_b(images, self.channels_b, rows)

  def generator_loss(self, batch: Batch, step: jax.Array) -> Loss:
    """The loss of F and G."""
    del step
    a, b, rows = batch['image_a'], batch['image_b'], batch['row']
    of_fake = adversarial.LOSSES[self.loss].generator
    fake_b, fake_a = self.to_b(a, rows), self.to_a(b, rows)
    fooled_b = of_fake(None, self.discriminator_b(fake_b, False)).mean()  # no loss that pairs, see `problems`
    fooled_a = of_fake(None, self.discriminator_a(fake_a, False)).mean()
    cycle_a = jnp.abs(self.to_a(fake_b, rows) - a).mean()
    cycle_b = jnp.abs(self.to_b(fake_a, rows) - b).mean()
    loss = fooled_a + fooled_b + self.cycle_weight * (cycle_a + cycle_b)
    metrics = {'fooled_a': fooled_a, 'fooled_b': fooled_b, 'cycle_a': cycle_a, 'cycle_b': cycle_b}
    if self.identity_weight:
      same_a, same_b = jnp.abs(self.to_a(a, rows) - a).mean(), jnp.abs(self.to_b(b, rows) - b).mean()
      loss += self.identity_weight * (same_a + same_b)
      metrics |= {'identity_a': same_a, 'identity_b': same_b}
    return loss, metrics

  def discriminator_loss(self, batch: Batch, step: jax.Array) -> Loss:
    """E[of the patches of real images, and of those that the pools give] of D_A and D_B, halved."""
    del step
    rows = batch['row']
    of_both = adversarial.LOSSES[self.loss].discriminator
    key_a, key_b = jax.random.split(self.make_rng('pool'))
    fake_a = self.pool_a(self.translate_to_a(batch), rows, key_a)
    fake_b = self.pool_b(self.translate_to_b(batch), rows, key_b)
    real_logits_a, fake_logits_a = self.discriminator_a(batch['image_a'], True), self.discriminator_a(fake_a, False)
    real_logits_b, fake_logits_b = self.discriminator_b(batch['image_b'], True), self.discriminator_b(fake_b, False)
    loss = of_both(real_logits_a, fake_logits_a).mean() + of_both(real_logits_b, fake_logits_b).mean()
    metrics = {
      'discriminator_accuracy_a': (real_logits_a > fake_logits_a).mean(),
      'discriminator_accuracy_b': (real_logits_b > fake_logits_b).mean(),
    }
    return SLOWED * loss, metrics

  def translate_to_a(self, batch: Batch) -> jax.Array:
    """G of the images of B, [B,H,W,C] in [-1, 1]; points [B,1,1,2]."""
    return self.to_a(batch['image_b'], batch['row'])

  def translate_to_b(self, batch: Batch) -> jax.Array:
    """F of the images of A, [B,H,W,C] in [-1, 1]; points [B,1,1,2]."""
    return self.to_b(batch['image_a'], batch['row'])

  @measures({
    'cycle_a': Metric('the mean absolute difference of A from what becomes of it there and back', '', 'lower'),
    'cycle_b': Metric('the mean absolute difference of B from what becomes of it there and back', '', 'lower'),
  })
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """The mean |G(F(A)) - A| and |F(G(B)) - B| of each image, [B]."""
    a, b, rows = batch['image_a'], batch['image_b'], batch['row']
    back_a = self.to_a(self.to_b(a, rows), rows)
    back_b = self.to_b(self.to_a(b, rows), rows)
    return {'cycle_a': jnp.abs(back_a - a).mean((1, 2, 3)), 'cycle_b': jnp.abs(back_b - b).mean((1, 2, 3))}
