"""CycleGAN: images of one kind into another and back, learned without pairs (Zhu et al., 2017); and so of voices."""

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
from gen_jax.randomness import row_keys
from gen_jax.types import Batch, Facts, Player


def draw_masks(key: jax.Array, rows: jax.Array, shape: tuple[int, ...], most: int) -> jax.Array:
  """0 in a run of fewer than `most` frames, of uniform length and place, 1 elsewhere: [B,T,1,1] for shape [B,T,...].

  Keyed by the global rows [B] (Kaneko et al., 2021, section 3).
  """

  def draw(key: jax.Array) -> jax.Array:
    length_key, place_key = jax.random.split(key)
    length = jax.random.randint(length_key, (), 0, most)
    start = jax.random.randint(place_key, (), 0, shape[1] - length + 1)
    frames = jnp.arange(shape[1])
    return 1.0 - ((frames >= start) & (frames < start + length))

  return jax.vmap(draw)(row_keys(key, rows))[:, :, None, None]


class CycleGAN(nn.Module):
  """F makes B of A, and G makes A of B; D_B tells B from F(A), and D_A tells A from G(B), patch by patch.

  F and G minimize E[loss of D_B(F(A))] + E[loss of D_A(G(B))] + cycle_weight (E[mean |G(F(A)) - A|] +
  E[mean |F(G(B)) - B|]) + identity_weight (E[mean |F(B) - B|] + E[mean |G(A) - A|]) (eq. 3 and section 5.2), means
  over the values of an image. The discriminators see, in place of the newest images of F and G, some of the last
  `pool_size` (section 4).

  What was added for voices, whose images are frames [T,bands,1] (Kaneko et al., 2019 and 2021): the identity terms hold
  for the first `identity_steps` alone, and are 0 then; runs of fewer than `masked_frames` frames are hidden where real
  ones are translated, but not on the way back, from F and G, which see where, and fill them in; second discriminators,
  where there are such, judge G(F(A)) and F(G(B)), the newest alone, beside real ones.
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
  identity_steps: int = 0  # 0: throughout
  masked_frames: int = 0  # 0: nothing is hidden
  second_discriminator_b: nn.Module | None = None
  second_discriminator_a: nn.Module | None = None

  reads = ('image_a', 'image_b')  # of a batch
  averaged = ('generator_a', 'generator_b')  # what an average of the parameters is of

  def setup(self) -> None:
    """The pools have no parameters, and hold what was translated."""
    self.pool_a, self.pool_b = ImagePool(self.pool_size), ImagePool(self.pool_size)

  def problems(self, facts: Facts) -> Iterator[str]:
    """Weights, a loss with a bounded slope, images in [-1, 1], of as many channels where they are to stay the same."""
    yield from non_negative(self, 'cycle_weight', 'identity_weight', 'pool_size', 'identity_steps', 'masked_frames')
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
    yield from self.problems_of_voices(facts)
    discriminators = {name: getattr(self, name) for name in self.discriminators}
    yield from problems_of_slope(self.loss, discriminators, facts)

  def problems_of_voices(self, facts: Facts) -> Iterator[str]:
    """Second discriminators of both sides, masks shorter than an example, and nothing without effect."""
    if (self.second_discriminator_a is None) != (self.second_discriminator_b is None):
      yield 'second_discriminator_a: set that of B as well, or neither'
    if self.identity_steps and not self.identity_weight:
      yield f'identity_steps={self.identity_steps}: has no effect with identity_weight=0'
    frames = facts.shapes['image_a'][0]
    if self.masked_frames and facts.kind != 'sound':
      yield f'masked_frames={self.masked_frames}: hides frames of voices, and these data are {facts.kind}s; set 0'
    elif self.masked_frames == 1:
      yield 'masked_frames=1: runs of fewer frames than 1 hide nothing; set 0, or more'
    elif self.masked_frames >= frames:
      yield f'masked_frames={self.masked_frames}: examples have {frames} frames, of which some must be seen'

  @property
  def players(self) -> dict[str, Player]:
    """Both generators, then both discriminators, each pair with one optimizer, as published."""
    return {
      'generator': Player('generator_loss', ('generator_a', 'generator_b')),
      'discriminator': Player('discriminator_loss', self.discriminators),
    }

  @property
  def discriminators(self) -> tuple[str, ...]:
    """The fields that hold one."""
    second = ('second_discriminator_a', 'second_discriminator_b') if self.second_discriminator_a else ()
    return ('discriminator_a', 'discriminator_b', *second)

  @property
  def multiple(self) -> int:
    """Of which heights and widths of what it translates must be multiples."""
    return math.lcm(self.generator_a.multiple, self.generator_b.multiple)

  def __call__(self, batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Both translations."""
    to_a, to_b = self.translate_to_a(batch), self.translate_to_b(batch)
    self.discriminator_a(to_a, True)
    self.discriminator_b(to_b, True)
    if self.second_discriminator_a:
      self.second_discriminator_a(to_a, True)
      self.second_discriminator_b(to_b, True)
    key = self.make_rng('pool')
    return self.pool_a(to_a, batch['row'], key), self.pool_b(to_b, batch['row'], key)

  def seen(self, images: jax.Array, mask: jax.Array | None) -> jax.Array:
    """What F and G see: images, or where frames may be hidden, the rest of them and the mask as a further channel."""
    if not self.masked_frames:
      return images
    mask = jnp.ones_like(images[..., :1]) * (1.0 if mask is None else mask)
    return jnp.concatenate([images * mask, mask], axis=-1)

  def masks(self, batch: Batch) -> tuple[jax.Array | None, jax.Array | None]:
    """Of A and of B; None where nothing is hidden."""
    if not self.masked_frames:
      return None, None
    keys = jax.random.split(self.make_rng('mask'))
    draw = lambda key, name: draw_masks(key, batch['row'], batch[name].shape, self.masked_frames)
    return draw(keys[0], 'image_a'), draw(keys[1], 'image_b')

  def to_a(self, images: jax.Array, rows: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """G of images of B (or of A)."""
    return self.generator_a(self.seen(images, mask), self.channels_a, rows)

  def to_b(self, images: jax.Array, rows: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """F of images of A (or of B)."""
    return self.generator_b(self.seen(images, mask), self.channels_b, rows)

  def generator_loss(self, batch: Batch, step: jax.Array) -> Loss:
    """The loss of F and G."""
    a, b, rows = batch['image_a'], batch['image_b'], batch['row']
    fooled = lambda logits: adversarial.LOSSES[self.loss].generator(None, logits).mean()  # none pairs, see `problems`
    mask_a, mask_b = self.masks(batch)
    fake_b, fake_a = self.to_b(a, rows, mask_a), self.to_a(b, rows, mask_b)
    back_a, back_b = self.to_a(fake_b, rows), self.to_b(fake_a, rows)
    fooled_b, fooled_a = fooled(self.discriminator_b(fake_b, False)), fooled(self.discriminator_a(fake_a, False))
    cycle_a, cycle_b = jnp.abs(back_a - a).mean(), jnp.abs(back_b - b).mean()
    loss = fooled_a + fooled_b + self.cycle_weight * (cycle_a + cycle_b)
    metrics = {'fooled_a': fooled_a, 'fooled_b': fooled_b, 'cycle_a': cycle_a, 'cycle_b': cycle_b}
    if self.second_discriminator_a:
      second_a = fooled(self.second_discriminator_a(back_a, False))
      second_b = fooled(self.second_discriminator_b(back_b, False))
      loss += second_a + second_b
      metrics |= {'second_fooled_a': second_a, 'second_fooled_b': second_b}
    if self.identity_weight:
      same_a, same_b = self.identity_terms(batch, step)
      loss += self.identity_weight * (same_a + same_b)
      metrics |= {'identity_a': same_a, 'identity_b': same_b}
    return loss, metrics

  def identity_terms(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean |G(A) - A| and |F(B) - B|; 0 once they no longer hold."""
    a, b, rows = batch['image_a'], batch['image_b'], batch['row']
    terms = lambda: (jnp.abs(self.to_a(a, rows) - a).mean(), jnp.abs(self.to_b(b, rows) - b).mean())
    if not self.identity_steps:
      return terms()
    return jax.lax.cond(step < self.identity_steps, terms, lambda: (jnp.zeros(()), jnp.zeros(())))

  def discriminator_loss(self, batch: Batch, step: jax.Array) -> Loss:
    """E[of the patches of real images, and of those that the pools give, or there and back], halved."""
    del step
    a, b, rows = batch['image_a'], batch['image_b'], batch['row']
    of_both = adversarial.LOSSES[self.loss].discriminator
    key_a, key_b = jax.random.split(self.make_rng('pool'))
    mask_a, mask_b = self.masks(batch)
    fake_b, fake_a = self.to_b(a, rows, mask_a), self.to_a(b, rows, mask_b)
    pooled_a, pooled_b = self.pool_a(fake_a, rows, key_a), self.pool_b(fake_b, rows, key_b)
    real_logits_a, fake_logits_a = self.discriminator_a(a, True), self.discriminator_a(pooled_a, False)
    real_logits_b, fake_logits_b = self.discriminator_b(b, True), self.discriminator_b(pooled_b, False)
    loss = of_both(real_logits_a, fake_logits_a).mean() + of_both(real_logits_b, fake_logits_b).mean()
    if self.second_discriminator_a:
      back_a, back_b = self.to_a(fake_b, rows), self.to_b(fake_a, rows)
      loss += of_both(self.second_discriminator_a(a, True), self.second_discriminator_a(back_a, False)).mean()
      loss += of_both(self.second_discriminator_b(b, True), self.second_discriminator_b(back_b, False)).mean()
    metrics = {
      'discriminator_accuracy_a': (real_logits_a > fake_logits_a).mean(),
      'discriminator_accuracy_b': (real_logits_b > fake_logits_b).mean(),
    }
    return SLOWED * loss, metrics

  def translate_to_a(self, batch: Batch) -> jax.Array:
    """G of the images of B, [B,H,W,C] in [-1, 1]; points [B,1,1,2]; frames of voices [B,T,bands,1]."""
    return self.to_a(batch['image_b'], batch['row'])

  def translate_to_b(self, batch: Batch) -> jax.Array:
    """F of the images of A, as `translate_to_a`."""
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
