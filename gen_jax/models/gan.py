"""The generative adversarial network: any loss, penalty and networks, with or without labels."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from gen_jax import adversarial
from gen_jax.augmentation import augment
from gen_jax.distributions import sample_rows, standard_normal
from gen_jax.networks.discriminators import ClassifierHead, Judgement, LinearHead
from gen_jax.networks.normalization import over_devices
from gen_jax.randomness import row_keys
from gen_jax.types import Batch, Player

LEAST = 1e-12  # spread that is divided by, of a batch of equal examples
Loss = tuple[jax.Array, dict[str, jax.Array]]


def spread(x: jax.Array) -> jax.Array:
  """The root of the variance over the global batch, averaged over dimensions, []."""
  mean, square = over_devices(jnp.stack([x.mean(0), (x**2).mean(0)]))
  return jnp.sqrt(jnp.maximum(square - mean**2, 0).mean())


class GAN(nn.Module):
  """Two players: D tells x from G(z), z ~ N(0, I), and G makes that hard (Goodfellow et al., 2014).

  `loss` names a game of `adversarial`, `penalty` a term of D's gradient that is added to D's loss `penalty_weight`
  times, at every `penalty_every`-th training step that many times as much (Karras et al., 2020, appendix B, who also
  adapt Adam to the fewer steps). `drift` r^2 keeps a Wasserstein critic near 0. `augment` names what D sees all images
  through, penalties too. `conditional` gives labels to both: x ~ G(z, y), and D by its head, a ProjectionHead or a
  ClassifierHead.

  A continuous G of a connected z also draws what lies between the modes. With `components` K, z is of one of K equally
  probable ones, one-hot beside the normal numbers, and G may part its modes by them; D does not see it.
  """

  generator: nn.Module  # (z, labels, shape, train) -> [B, *shape]
  discriminator: nn.Module  # (x, train) -> [B,F]
  image_shape: tuple[int, int, int]
  head: nn.Module = LinearHead()  # (features, labels, train) -> Judgement
  latent_dim: int = 128
  components: int = 1
  loss: str = 'non_saturating'
  penalty: str = 'none'
  penalty_weight: float = 0.0
  penalty_every: int = 1
  drift: float = 0.0
  critic_steps: int = 1
  augment: Sequence[str] = ()
  conditional: bool = False
  num_classes: int = 0

  averaged = ('generator',)  # what an average of the parameters is of

  @property
  def players(self) -> dict[str, Player]:
    """D, `critic_steps` times, then G."""
    return {
      'discriminator': Player('discriminator_loss', ('discriminator', 'head'), self.critic_steps),
      'generator': Player('generator_loss', ('generator',)),
    }

  def __call__(self, batch: Batch) -> jax.Array:
    """Logits of fake examples, [B]."""
    return self.judged(self.decode(self.latents(batch), batch), batch, train=True).logit

  def labels(self, batch: Batch) -> jax.Array | None:
    """Those of the batch where the model is conditional."""
    return batch['label'] if self.conditional else None

  def drawn(self, batch: Batch, key: jax.Array) -> jax.Array:
    """z ~ N(0, I), [B,Z]; of K components beside it which one, one-hot, brought to mean 0 and variance 1, [B,Z+K]."""
    rows, p = batch['row'], 1 / self.components
    normal = standard_normal((len(rows), self.latent_dim))
    if self.components == 1:
      return sample_rows(normal, key, rows)
    normal_key, component_key = jax.random.split(key)
    component = jax.vmap(lambda key: jax.random.randint(key, (), 0, self.components))(row_keys(component_key, rows))
    one_hot = (jax.nn.one_hot(component, self.components) - p) / (p * (1 - p)) ** 0.5
    return jnp.concatenate([sample_rows(normal, normal_key, rows), one_hot], axis=-1)

  def judged(self, x: jax.Array, batch: Batch, train: bool = False) -> Judgement:
    """What D says of examples x with the labels of `batch`."""
    return self.head(self.discriminator(x, train), self.labels(batch), train)

  def fake(self, batch: Batch, key: jax.Array) -> jax.Array:
    """G(z) in training."""
    return self.generator(self.drawn(batch, key), self.labels(batch), self.image_shape, True)

  def discriminator_loss(self, batch: Batch, step: jax.Array) -> Loss:
    """E[of real and fake] + penalty_weight E[penalty] + drift E[r^2] + cross-entropy of real examples."""
    noise, mixing, real_key, fake_key = jax.random.split(self.make_rng('noise'), 4)
    rows = batch['row']
    real = augment(batch['image'], self.augment, real_key, rows)
    fake = augment(self.fake(batch, noise), self.augment, fake_key, rows)
    # apart, as each of the two may have batch statistics of its own
    of_real, of_fake = self.judged(real, batch, train=True), self.judged(fake, batch)
    r, f = of_real.logit, of_fake.logit
    loss = adversarial.GAMES[self.loss].discriminator(r, f).mean() + self.drift * (r**2).mean()
    # the share of pairs that the logits put in order, whatever the loss makes of their level
    metrics = {'real': r.mean(), 'fake': f.mean(), 'discriminator_accuracy': (r > f).mean()}

    if self.penalty != 'none':
      mix = jax.vmap(jax.random.uniform)(row_keys(mixing, rows))
      penalty = self.lazily(lambda: self.penalized(real, fake, mix, batch), step)
      loss += self.penalty_weight * penalty
      metrics['penalty'] = penalty
    if isinstance(self.head, ClassifierHead):
      cross_entropy = optax.softmax_cross_entropy_with_integer_labels(of_real.classes, batch['label']).mean()
      loss += self.head.discriminator_weight * cross_entropy
      metrics['cross_entropy'] = cross_entropy
    return loss, metrics

  def penalized(self, real: jax.Array, fake: jax.Array, mix: jax.Array, batch: Batch) -> jax.Array:
    """The mean of the penalty, []."""
    logit = lambda x: self.judged(x, batch).logit
    return adversarial.PENALTIES[self.penalty](logit, real, fake, mix).mean()

  def lazily(self, penalty: Callable[[], jax.Array], step: jax.Array) -> jax.Array:
    """`penalty_every` times the penalty at every so many steps, else 0."""
    if self.penalty_every == 1:
      return penalty()
    return jax.lax.cond(step % self.penalty_every == 0, lambda: self.penalty_every * penalty(), lambda: 0.0)

  def generator_loss(self, batch: Batch, step: jax.Array) -> Loss:
    """E[of fake] + cross-entropy of fake examples; `diversity`: their spread by that of the real ones."""
    noise, key = jax.random.split(self.make_rng('noise'))
    fake = self.fake(batch, noise)
    found = self.judged(augment(fake, self.augment, key, batch['row']), batch)
    loss = adversarial.GAMES[self.loss].generator(found.logit).mean()
    if isinstance(self.head, ClassifierHead):
      cross_entropy = optax.softmax_cross_entropy_with_integer_labels(found.classes, batch['label']).mean()
      loss += self.head.generator_weight * cross_entropy
    return loss, {'diversity': spread(fake) / jnp.maximum(spread(batch['image']), LEAST)}

  def latents(self, batch: Batch) -> jax.Array:
    """z as `drawn`; what `sample` decodes."""
    return self.drawn(batch, self.make_rng('noise'))

  def decode(self, z: jax.Array, batch: Batch) -> jax.Array:
    """G(z) for z as `drawn`."""
    return self.generator(z, self.labels(batch), self.image_shape, False)

  def sample(self, batch: Batch) -> jax.Array:
    """G(z) for z as `drawn`."""
    return self.decode(self.latents(batch), batch)

  def logits(self, batch: Batch) -> jax.Array:
    """D's logits of the examples of a batch, [B]."""
    return self.judged(batch['image'], batch).logit

  def fake_logits(self, batch: Batch) -> jax.Array:
    """D's logits of as many samples, with the labels of the batch, [B]."""
    return self.judged(self.sample(batch), batch).logit

  def evaluate(self, batch: Batch) -> dict[str, jax.Array]:
    """Logits of each example, and of as many samples, [B]."""
    return {'real': self.logits(batch), 'fake': self.fake_logits(batch)}
