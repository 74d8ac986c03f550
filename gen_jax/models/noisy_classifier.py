"""A classifier of images with noise, which guides the diffusion of them."""

from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.diffusion.paths import PATHS
from gen_jax.diffusion.times import DENSITIES, spaced_quantiles
from gen_jax.distributions import sample_rows, standard_normal
from gen_jax.errors import one_of, positive
from gen_jax.metrics import Metric, measures
from gen_jax.models import standardization
from gen_jax.types import Batch, Facts, Player

LEVELS = (0.1, 0.5, 1.0, 2.0, 5.0)  # sigma at which the accuracy is told


class NoisyClassifier(nn.Module):
  """E -log p(y | x; sigma), x = x_0 + sigma eps, nats an example (Dhariwal & Nichol, 2021, section 4).

  `path` and `time` name what stands in `gen_jax.diffusion`, as of a `Diffusion`. x_0 is an image less the mean of the
  training data, whose deviation is sigma_data, as of a `Diffusion` of the same data; the encoder sees x /
  sqrt(sigma_data^2 + sigma^2).
  """

  encoder: nn.Module  # (x, noise, outputs, rows, train) -> [B,outputs]
  image_shape: tuple[int, int, int]
  num_classes: int
  path: str = 'edm'
  time: str = 'log_normal'
  time_mean: float = -0.6  # of log sigma, or of the logit of t
  time_deviation: float = 1.6

  players = {'model': Player('loss', ('encoder',))}

  def problems(self, facts: Facts) -> Iterator[str]:
    """What is unknown, and labels and a range where there are none."""
    yield from one_of(self, 'path', PATHS)
    yield from one_of(self, 'time', DENSITIES)
    yield from positive(self, 'time_deviation')
    if not facts.num_classes:
      yield f'name=NoisyClassifier: {facts.data_name} has no labels; choose a data set with classes'
    if facts.kind == 'image' and facts.value_range != (-1.0, 1.0):
      yield f'config.data.value_range={facts.value_range}: diffusion of images needs (-1.0, 1.0)'

  # The data

  def measure_data(self, examples: np.ndarray) -> dict[str, Any]:
    """The mean of examples [N,H,W,C] and their deviation, as a collection."""
    return standardization.measure(examples)

  def setup(self):
    """The places of what `measure_data` gives."""
    self.data_mean, self.data_deviation = standardization.declare(self, self.image_shape[-1])

  # The classifier

  def __call__(self, batch: Batch) -> jax.Array:
    """log p(y | x; 1) of the examples themselves."""
    x = self.centered(batch)
    return self.log_posterior(x, jnp.ones(len(x)), batch['row'])

  def centered(self, batch: Batch) -> jax.Array:
    """The images less the mean of the data."""
    return batch['image'] - self.data_mean.value[None, None, None]

  def log_posterior(self, x: jax.Array, sigma: jax.Array, rows: jax.Array, train: bool = False) -> jax.Array:
    """log p(y | x; sigma) of every class y [B,classes]; x [B,H,W,C] about the mean, sigma [B]."""
    scale = jax.lax.rsqrt(self.data_deviation.value**2 + sigma**2)
    logits = self.encoder(scale[:, None, None, None] * x, jnp.log(sigma) / 4, self.num_classes, rows, train)
    return jax.nn.log_softmax(logits)

  def loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective above, averaged over the batch."""
    del step
    time_key, noise_key = jax.random.split(self.make_rng('noise'))
    u = spaced_quantiles(time_key, batch['row'])
    sigma = DENSITIES[self.time](PATHS[self.path], u, self.time_mean, self.time_deviation)
    log_p = self.log_posterior(self.add_noise(batch, sigma, noise_key), sigma, batch['row'], train=True)
    cross_entropy = -of_labels(log_p, batch).mean()
    return cross_entropy, {'accuracy': (log_p.argmax(-1) == batch['label']).mean()}

  def add_noise(self, batch: Batch, sigma: jax.Array, key: jax.Array) -> jax.Array:
    """x_0 + sigma eps, sigma [B]."""
    x_0 = self.centered(batch)
    return x_0 + sigma[:, None, None, None] * sample_rows(standard_normal(x_0.shape), key, batch['row'])

  @measures({
    'accuracy_at_sigma_{sigma}': Metric('the share of images with so much noise whose class it tells', '', 'higher'),
    'cross_entropy': Metric('-log p(y | x; sigma), a mean over several levels of noise', 'nats', 'lower', True),
  })
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """At each of LEVELS whether the class is told, 1 or 0, and the mean of -log p(y | x; sigma): [B] each."""
    key, results, log_ps = self.make_rng('noise'), {}, []  # one eps for all levels, which so differ in nothing else
    for sigma in LEVELS:
      level = jnp.full(len(batch['row']), sigma)
      log_p = self.log_posterior(self.add_noise(batch, level, key), level, batch['row'])
      results[f'accuracy_at_sigma_{sigma:g}'] = (log_p.argmax(-1) == batch['label']).astype(jnp.float32)
      log_ps.append(of_labels(log_p, batch))
    return {**results, 'cross_entropy': -jnp.stack(log_ps).mean(0)}


def of_labels(log_p: jax.Array, batch: Batch) -> jax.Array:
  """log p(y|x) [B] of the label of each example."""
  return jnp.take_along_axis(log_p, batch['label'][:, None], axis=1)[:, 0]
