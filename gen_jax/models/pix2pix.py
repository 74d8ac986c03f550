"""pix2pix: one image into another, learned from pairs (Isola et al., 2017)."""

from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax import adversarial
from gen_jax.errors import non_negative, one_of
from gen_jax.metrics import Metric, measures
from gen_jax.models.gan import Loss
from gen_jax.models.translation import SLOWED, problems_of_images, problems_of_slope
from gen_jax.types import Batch, Facts, Player


class Pix2Pix(nn.Module):
  """G makes B of A; D tells pairs (A, B) from pairs (A, G(A)), patch by patch.

  G minimizes adversarial_weight E[loss of D's logits] + l1_weight E[mean |B - G(A)|], a mean over the values of an
  image (eq. 4). The ablations of the paper: `adversarial_weight=0` is L1 alone, without D; `l1_weight=0` is the
  conditional GAN alone; `conditional_discriminator=False` shows D no A.

  A has no noise z beside it: all randomness is G's dropout, which stays on where the model is used (section 3.2).
  Its normalization stays what it is in training, too, that by the moments of each image alone. So a translation
  depends on its image and its row, and on nothing else of a batch.
  """

  generator: nn.Module  # (x, channels, rows) -> [B,H,W,channels]
  discriminator: nn.Module  # (x, train) -> [B,h,w]
  channels_b: int
  l1_weight: float = 100.0
  adversarial_weight: float = 1.0
  loss: str = 'non_saturating'
  conditional_discriminator: bool = True

  reads = ('image_a', 'image_b')  # of a batch
  averaged = ('generator',)  # what an average of the parameters is of

  def problems(self, facts: Facts) -> Iterator[str]:
    """Weights, a loss with a bounded slope, images in [-1, 1]."""
    yield from non_negative(self, 'l1_weight', 'adversarial_weight')
    yield from one_of(self, 'loss', adversarial.LOSSES)
    if self.l1_weight == self.adversarial_weight == 0:
      yield 'l1_weight=0 and adversarial_weight=0: nothing is left to learn from'
    if facts.own_order:
      yield f'config.data.name={facts.data_name}: its images are no pairs; choose CycleGAN'
    yield from problems_of_images(facts)
    if self.adversarial_weight:
      yield from problems_of_slope(self.loss, {'discriminator': self.discriminator}, facts)
    elif not self.conditional_discriminator or self.loss != Pix2Pix.loss:
      yield 'adversarial_weight=0: there is no discriminator, for loss and conditional_discriminator; leave them out'

  @property
  def players(self) -> dict[str, Player]:
    """D, then G."""
    generator = {'generator': Player('generator_loss', ('generator',))}
    if self.adversarial_weight == 0:
      return generator
    return {'discriminator': Player('discriminator_loss', ('discriminator',)), **generator}

  @property
  def multiple(self) -> int:
    """Of which heights and widths of what it translates must be multiples."""
    return self.generator.multiple

  def __call__(self, batch: Batch) -> jax.Array:
    """G(A)."""
    fake = self.translate_to_b(batch)
    if self.adversarial_weight:
      self.discriminate(batch, fake, train=True)
    return fake

  def discriminate(self, batch: Batch, y: jax.Array, train: bool = False) -> jax.Array:
    """D's logits of each patch of images y of B, [B,h,w], beside their A."""
    x = jnp.concatenate([batch['image_a'], y], axis=-1) if self.conditional_discriminator else y
    return self.discriminator(x, train)

  def discriminator_loss(self, batch: Batch, step: jax.Array) -> Loss:
    """E[of the patches of real and of fake pairs], halved."""
    del step
    r = self.discriminate(batch, batch['image_b'], train=True)
    f = self.discriminate(batch, self.translate_to_b(batch))
    loss = adversarial.LOSSES[self.loss].discriminator(r, f)
    metrics = {'real': r.mean(), 'fake': f.mean(), 'discriminator_accuracy': (r > f).mean()}
    return SLOWED * loss.mean(), metrics

  def generator_loss(self, batch: Batch, step: jax.Array) -> Loss:
    """adversarial_weight E[of the patches of fake pairs] + l1_weight E[mean |B - G(A)|]."""
    del step
    fake = self.translate_to_b(batch)
    l1 = jnp.abs(batch['image_b'] - fake).mean()
    loss = self.l1_weight * l1
    if self.adversarial_weight:
      adversary = adversarial.LOSSES[self.loss]
      r = self.discriminate(batch, batch['image_b']) if adversary.pairs else None
      of_patches = adversary.generator(r, self.discriminate(batch, fake))
      loss += self.adversarial_weight * of_patches.mean()
    return loss, {'l1': l1}

  def translate_to_b(self, batch: Batch) -> jax.Array:
    """G(A), [B,H,W,C] in [-1, 1]."""
    return self.generator(batch['image_a'], self.channels_b, batch['row'])

  @measures({'l1': Metric('the mean absolute difference of a translation from the truth, in [-1, 1]', '', 'lower')})
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """The mean |B - G(A)| of each pair, [B]."""
    return {'l1': jnp.abs(batch['image_b'] - self.translate_to_b(batch)).mean((1, 2, 3))}
