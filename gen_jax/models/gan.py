"""The generative adversarial network: any loss, penalty and networks, with or without labels."""

from collections.abc import Iterator, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from gen_jax import adversarial, augmentation
from gen_jax.augmentation import augment
from gen_jax.distributions import sample_rows, standard_normal
from gen_jax.errors import nearest, non_negative, one_of, positive
from gen_jax.metrics import Metric, measures
from gen_jax.models.labels import labels_of, missing_labels
from gen_jax.networks import growing
from gen_jax.networks.discriminators import ClassifierHead, DiscriminatorOutput, LinearHead, ProjectionHead
from gen_jax.networks.normalization import mean_over_devices
from gen_jax.randomness import row_keys
from gen_jax.schedules import Schedule, step_of, value_at
from gen_jax.stages import Stage
from gen_jax.types import Batch, Facts, Player

MIN_DEVIATION = 1e-12  # that is divided by: a batch of equal examples has none
Loss = tuple[jax.Array, dict[str, jax.Array]]


def standard_deviation(x: jax.Array) -> jax.Array:
  """The root of the variance over the global batch, averaged over dimensions, []."""
  mean, square = mean_over_devices(jnp.stack([x.mean(0), (x**2).mean(0)]))
  return jnp.sqrt(jnp.maximum(square - mean**2, 0).mean())


class GAN(nn.Module):
  """Two players: D tells x from G(z), z ~ N(0, I), and G makes that hard (Goodfellow et al., 2014).

  `loss` names one of `adversarial.LOSSES`, `penalty` a term of D's gradient that is added to D's loss `penalty_weight`
  times, at every `penalty_every`-th training step that many times as much (Karras et al., 2020, appendix B, who also
  adapt Adam to the fewer steps). `drift` r^2 keeps a Wasserstein critic near 0. `augment` names what D sees all images
  through, penalties too. `conditional` gives labels to both: x ~ G(z, y), and D by its head, a ProjectionHead or a
  ClassifierHead.

  A continuous G of a connected z also draws what lies between the modes. With `latent_modes` K, z is of one of K
  equally probable ones, one-hot beside the normal numbers, and G may part its modes by them; D does not see it.

  Networks that grow make and see images of the resolution of their `stage`, losses and penalties too; of what is new in
  it they take a share that rises from 0 to 1 (Karras et al., 2018, section 2).
  """

  generator: nn.Module  # (z, labels, shape, train) -> [B, *shape]; while it grows with fade=[]
  discriminator: nn.Module  # (x, train) -> [B,F]; while it grows with fade=[]
  image_shape: tuple[int, int, int]
  head: nn.Module = LinearHead()  # (features, labels, train) -> DiscriminatorOutput
  latent_dim: int = 128
  latent_modes: int = 1
  loss: str = 'non_saturating'
  penalty: str = 'none'
  penalty_weight: Schedule = 0.0
  penalty_every: int = 1
  drift: float = 0.0
  critic_steps: int = 1
  augment: Sequence[str] = ()
  conditional: bool = False
  num_classes: int = 0
  stage: Stage | None = None  # of networks that grow

  former_fields = {'components': 'latent_modes'}
  averaged = ('generator',)  # what an average of the parameters is of

  def problems(self, facts: Facts) -> Iterator[str]:
    """Fields that leave others without effect or meaning, and networks that do not fit the data or each other."""
    yield from positive(self, 'latent_dim', 'latent_modes', 'critic_steps', 'penalty_every')
    yield from non_negative(self, 'penalty_weight', 'drift')
    yield from one_of(self, 'loss', adversarial.LOSSES)
    yield from one_of(self, 'penalty', ('none', *adversarial.PENALTIES))
    yield from missing_labels(self, facts)
    yield from self.problems_of_penalty()
    yield from self.problems_of_slope(facts)
    yield from self.problems_of_labels()
    yield from self.problems_of_range(facts)
    yield from self.problems_of_growth(facts)

  def problems_of_penalty(self) -> Iterator[str]:
    """A penalty and its weight need each other, and examples that are judged one by one."""
    weighted = callable(self.penalty_weight) or self.penalty_weight > 0
    if self.penalty == 'none' and (weighted or self.penalty_every > 1):
      yield (
        f"penalty='none': penalty_weight={self.penalty_weight} and penalty_every={self.penalty_every} have no penalty; "
        'set them to 0 and 1, or choose one'
      )
    if self.penalty != 'none' and not weighted:
      yield f'penalty_weight=0: penalty={self.penalty!r} needs a weight, or choose none'
    if self.penalty != 'none' and getattr(self.discriminator, 'norm', 'none') == 'batch':
      yield (
        f'penalty={self.penalty!r}: takes the gradient of each example alone, which batch normalization couples to the '
        "others; set config.model.discriminator.norm='none' or 'spectral'"
      )

  def problems_of_slope(self, facts: Facts) -> Iterator[str]:
    """A Wasserstein critic's slope must be bounded, and clipping its weights must not clip the generator's."""
    norm, head_is_spectral = getattr(self.discriminator, 'norm', 'none'), getattr(self.head, 'spectral', False)
    clipped = facts.optimizers['discriminator']['clip_weights']
    bounded = self.penalty != 'none' or clipped or (norm == 'spectral' and head_is_spectral)
    if self.loss == 'wasserstein' and not bounded:
      yield (
        "loss='wasserstein': nothing bounds the critic's slope; set penalty='wgan_gp', "
        "player_optimizers.discriminator.clip_weights, or discriminator.norm='spectral' and head.spectral=True"
      )
    yield from adversarial.problems_of_clipping(facts)

  def problems_of_labels(self) -> Iterator[str]:
    """Both networks must see the labels, or none."""
    head, needs_labels = type(self.head).__name__, isinstance(self.head, ProjectionHead | ClassifierHead)
    if needs_labels and not self.conditional:
      yield f'conditional=False: {head} needs labels; set conditional=True, or choose LinearHead'
    if self.conditional and not needs_labels:
      yield f'conditional=True: {head} sees no labels; choose ProjectionHead or ClassifierHead'
    if getattr(self.generator, 'condition', 'embedding') == 'batch_norm' and not self.conditional:
      yield "generator.condition='batch_norm': needs labels; set conditional=True, or 'embedding'"

  def problems_of_range(self, facts: Facts) -> Iterator[str]:
    """Images lie in [-1, 1], where the generator's tanh ends and the augmentations' zeros are gray; points anywhere."""
    if unknown := set(self.augment) - set(augmentation.AUGMENTATIONS):
      word = min(unknown)
      yield f'augment: {word!r} is unknown{nearest(word, augmentation.AUGMENTATIONS)}'
    images, bounded = facts.kind == 'image', getattr(self.generator, 'bounded', True)
    if self.augment and not images:
      yield 'augment: knows images, not points; set augment=()'
    if images and facts.value_range != (-1.0, 1.0):
      yield f'config.data.value_range={facts.value_range}: a GAN of images needs (-1.0, 1.0)'
    if images and not bounded:
      yield 'generator: images lie in [-1, 1]; set generator.bounded=True'
    if bounded and not images:
      yield 'generator: points have no bounds; choose MLPGenerator with bounded=False'

  def problems_of_growth(self, facts: Facts) -> Iterator[str]:
    """Networks that can grow, and square images."""
    height, width, _ = facts.image_shape
    if not self.stage:
      return
    for field in ('generator', 'discriminator'):
      network = getattr(self, field)
      if not getattr(network, 'grows', False):
        remedy = f'choose Progressive{field.title()} with skip=False, or set config.stages.resolutions=()'
        yield f'{field}: {type(network).__name__} does not grow; {remedy}'
    if height != width:
      yield f'config.stages.resolutions: are of square images, and these have {height}x{width}; set config.data.size'

  @property
  def players(self) -> dict[str, Player]:
    """D, `critic_steps` times, then G."""
    return {
      'discriminator': Player('discriminator_loss', ('discriminator', 'head'), self.critic_steps),
      'generator': Player('generator_loss', ('generator',)),
    }

  def __call__(self, batch: Batch) -> jax.Array:
    """Logits of fake examples, [B]."""
    return self.discriminate(self.generate_from(self.latents(batch), batch), batch, train=True).logits

  @property
  def shape(self) -> tuple[int, int, int]:
    """(H, W, C) of what G makes and D sees."""
    side = self.stage and self.stage.resolution
    return (side, side, self.image_shape[-1]) if side else self.image_shape

  def growth(self) -> dict[str, jax.Array]:
    """{'fade': the share of what is new}, in a stage that is faded in; {} in others."""
    if not (self.stage and self.stage.fade_steps):
      return {}
    return {'fade': growing.fade_at(step_of(self), self.stage.start, self.stage.fade_steps)}

  def real(self, batch: Batch) -> jax.Array:
    """The examples of a batch as D sees them."""
    return growing.see_at(batch['image'], self.stage.resolution, **self.growth()) if self.stage else batch['image']

  def sample_latents(self, batch: Batch, key: jax.Array) -> jax.Array:
    """z ~ N(0, I) [B,Z]; of K modes beside it which one, one-hot, brought to mean 0 and variance 1, [B,Z+K]."""
    rows, p = batch['row'], 1 / self.latent_modes
    normal = standard_normal((len(rows), self.latent_dim))
    if self.latent_modes == 1:
      return sample_rows(normal, key, rows)
    normal_key, mode_key = jax.random.split(key)
    mode = jax.vmap(lambda key: jax.random.randint(key, (), 0, self.latent_modes))(row_keys(mode_key, rows))
    one_hot = (jax.nn.one_hot(mode, self.latent_modes) - p) / (p * (1 - p)) ** 0.5
    return jnp.concatenate([sample_rows(normal, normal_key, rows), one_hot], axis=-1)

  def discriminate(self, x: jax.Array, batch: Batch, train: bool = False) -> DiscriminatorOutput:
    """D's logits of examples x with the labels of `batch`."""
    return self.head(self.discriminator(x, train, **self.growth()), labels_of(self, batch), train)

  def generate(self, batch: Batch, key: jax.Array) -> jax.Array:
    """G(z) as in training: normalized by the moments of the batch."""
    return self.generate_from(self.sample_latents(batch, key), batch, train=True)

  def generate_from(self, z: jax.Array, batch: Batch, train: bool = False) -> jax.Array:
    """G(z), [B, *shape]; normalized by the moments of the batch in training, elsewhere by the running ones."""
    return self.generator(z, labels_of(self, batch), self.shape, train, **self.growth())

  def discriminator_loss(self, batch: Batch, step: jax.Array) -> Loss:
    """E[of real and fake] + penalty_weight E[penalty] + drift E[r^2] + cross-entropy of real examples."""
    noise_key, mix_key, real_key, fake_key = jax.random.split(self.make_rng('noise'), 4)
    rows = batch['row']
    real = augment(self.real(batch), self.augment, real_key, rows)
    fake = augment(self.generate(batch, noise_key), self.augment, fake_key, rows)
    # apart, as each of the two may have batch statistics of its own
    of_real, of_fake = self.discriminate(real, batch, train=True), self.discriminate(fake, batch)
    r, f = of_real.logits, of_fake.logits
    loss = adversarial.LOSSES[self.loss].discriminator(r, f).mean() + self.drift * (r**2).mean()
    # the share of pairs that the logits put in order, whatever the loss makes of their level
    metrics = {'real': r.mean(), 'fake': f.mean(), 'discriminator_accuracy': (r > f).mean()}

    if self.penalty != 'none':
      mix = jax.vmap(jax.random.uniform)(row_keys(mix_key, rows))
      penalty = self.lazy_penalty(real, fake, mix, batch, step)
      loss += value_at(self.penalty_weight, step) * penalty
      metrics['penalty'] = penalty
    if isinstance(self.head, ClassifierHead):
      cross_entropy = optax.softmax_cross_entropy_with_integer_labels(of_real.class_logits, batch['label']).mean()
      loss += self.head.discriminator_weight * cross_entropy
      metrics['cross_entropy'] = cross_entropy
    return loss, metrics

  def lazy_penalty(
    self, real: jax.Array, fake: jax.Array, mix: jax.Array, batch: Batch, step: jax.Array
  ) -> jax.Array:
    """The mean of the penalty, `penalty_every` times as large at every so many steps, else 0, []."""

    def penalty() -> jax.Array:
      logits = lambda x: self.discriminate(x, batch).logits
      return adversarial.PENALTIES[self.penalty](logits, real, fake, mix).mean()

    if self.penalty_every == 1:
      return penalty()
    return jax.lax.cond(step % self.penalty_every == 0, lambda: self.penalty_every * penalty(), lambda: 0.0)

  def generator_loss(self, batch: Batch, step: jax.Array) -> Loss:
    """E[of fake, beside fresh real examples for a loss that pairs] + cross-entropy of fake examples.

    `diversity`: the standard deviation of fake examples by that of the real ones. Of networks that grow, `resolution`,
    and `fade`, the share of what is new.
    """
    noise_key, fake_key, real_key = jax.random.split(self.make_rng('noise'), 3)
    fake = self.generate(batch, noise_key)
    of_fake = self.discriminate(augment(fake, self.augment, fake_key, batch['row']), batch)
    adversary, r = adversarial.LOSSES[self.loss], None
    if adversary.pairs:
      real = augment(self.real(batch), self.augment, real_key, batch['row'])
      r = self.discriminate(real, batch).logits
    loss = adversary.generator(r, of_fake.logits).mean()
    if isinstance(self.head, ClassifierHead):
      cross_entropy = optax.softmax_cross_entropy_with_integer_labels(of_fake.class_logits, batch['label']).mean()
      loss += self.head.generator_weight * cross_entropy
    diversity = standard_deviation(fake) / jnp.maximum(standard_deviation(self.real(batch)), MIN_DEVIATION)
    metrics = {'diversity': diversity}
    if self.stage:
      metrics |= {'resolution': jnp.float32(self.stage.resolution), 'fade': self.growth().get('fade', jnp.float32(1))}
    return loss, metrics

  def latents(self, batch: Batch) -> jax.Array:
    """z as `sample_latents` gives it; what `sample` decodes."""
    return self.sample_latents(batch, self.make_rng('noise'))

  def decode(self, z: jax.Array, batch: Batch) -> jax.Array:
    """G(z), of networks that grow enlarged to the size of the data."""
    x = self.generate_from(z, batch)
    return growing.repeat_to(x, self.image_shape[0]) if self.stage else x

  def sample(self, batch: Batch) -> jax.Array:
    """G(z) for fresh z."""
    return self.decode(self.latents(batch), batch)

  def logits(self, batch: Batch) -> jax.Array:
    """D's logits of the examples of a batch, [B]."""
    return self.discriminate(self.real(batch), batch).logits

  def fake_logits(self, batch: Batch) -> jax.Array:
    """D's logits of as many samples, with the labels of the batch, [B]."""
    return self.discriminate(self.generate_from(self.latents(batch), batch), batch).logits

  @measures({
    'real': Metric("the discriminator's logit of an example; above 0 it takes it for real"),
    'fake': Metric("the discriminator's logit of a sample"),
  })
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """Logits of each example, and of as many samples, [B]."""
    return {'real': self.logits(batch), 'fake': self.fake_logits(batch)}
