"""Diffusion and flow matching: one denoiser, any path from data to noise, target, density of times, and sampler."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.diffusion import classify, grids, guidance, outliers, samplers
from gen_jax.diffusion.paths import PATHS
from gen_jax.diffusion.settings import WORSE, Settings, problems_of_settings, settings_of
from gen_jax.diffusion.targets import TARGETS
from gen_jax.diffusion.times import DENSITIES, quantiles_of_rows, spaced_quantiles
from gen_jax.distributions import sample_rows, standard_normal, sum_dims
from gen_jax.errors import fraction, non_negative, one_of, positive
from gen_jax.metrics import Metric, measures
from gen_jax.models import standardization
from gen_jax.models.labels import hide_labels, labels_of, missing_labels, no_labels
from gen_jax.types import Batch, Facts, Player

OF_CLASSES = ('class_levels', 'class_interval', 'class_power', 'class_screening', 'class_candidates')


class Diffusion(nn.Module):
  """E |F(c_in x; sigma) - F*|^2, x = x_0 + sigma eps, summed over dimensions (Karras et al., 2022, eq. 8).

  `path`, `target` and `time` name what stands in `gen_jax.diffusion`: DDPM is variance_preserving, epsilon, uniform;
  EDM is edm, edm, log_normal; flow matching is linear, velocity, uniform or logit_normal. x_0 is an example less the
  mean of the training data, and `sigma_data` is their deviation about it unless it is given; both stand in the
  checkpoint.

  `conditional` gives the network labels, of which a share `label_dropout` is hidden, each by itself, so that one
  network is the model with and without them (Ho & Salimans, 2022).
  """

  denoiser: nn.Module  # (x, noise, labels, rows, train) -> [B,*image_shape]
  image_shape: tuple[int, int, int]
  value_range: tuple[float, float] | None  # of images; None of points
  path: str = 'edm'
  target: str = 'edm'
  time: str = 'log_normal'
  time_mean: float = -1.2  # of log sigma, or of the logit of t
  time_deviation: float = 1.2
  sigma_data: float = 0.0  # 0: measured
  conditional: bool = False
  label_dropout: float = 0.1
  num_classes: int = 0
  sampler: str = 'heun'  # config.sampler.name
  grid: str = 'path'  # config.sampler.grid
  class_levels: int = 10  # of noise, and the lowest and the highest of them, by which `class_log_prob` tells classes
  class_interval: tuple[float, float] = (1.2, 8.5)  # lower ones told fewer validation images of MNIST
  class_power: float = 2.0
  class_screening: int = 3  # levels by which the likeliest classes are found, which then get all; 0: every class does
  class_candidates: int = 3  # of these

  may_differ = OF_CLASSES
  players = {'model': Player('loss', ('denoiser',))}

  def problems(self, facts: Facts) -> Iterator[str]:
    """What is unknown, and labels where there are none."""
    yield from one_of(self, 'path', PATHS)
    yield from one_of(self, 'target', TARGETS)
    yield from one_of(self, 'time', DENSITIES)
    yield from fraction(self, 'label_dropout')
    yield from non_negative(self, 'sigma_data')
    yield from missing_labels(self, facts)
    yield from self.problems_of_effect()
    yield from positive(self, 'time_deviation', 'class_levels', 'class_interval', 'class_candidates')
    if not 0 <= self.class_screening < self.class_levels:
      yield f'class_screening={self.class_screening}: must be from 0 to below class_levels={self.class_levels}'
    if len(self.class_interval) != 2 or self.class_interval[0] >= self.class_interval[-1]:
      yield f'class_interval={self.class_interval}: must be two noise levels (low, high)'
    if facts.kind == 'image' and facts.value_range != (-1.0, 1.0):
      yield f'config.data.value_range={facts.value_range}: diffusion of images needs (-1.0, 1.0)'

  def problems_of_effect(self) -> Iterator[str]:
    """Fields that others leave without effect."""
    for without, names, remedy in (
      (self.time == 'uniform', ('time_mean', 'time_deviation'), "time='uniform'"),
      (not self.class_screening, ('class_candidates',), 'class_screening=0'),
      (not self.conditional, ('label_dropout', *OF_CLASSES), 'conditional=False'),
    ):
      yield from (
        f'{name}={getattr(self, name)}: has no effect with {remedy}; leave it out'
        for name in names
        if without and getattr(self, name) != getattr(type(self), name)
      )

  def problems_of_sampler(self, section: Mapping[str, Any]) -> Iterator[str]:
    """What in config.sampler is unknown, or without effect on this model."""
    return problems_of_settings(section, self.conditional)

  # The data

  def measure_data(self, examples: np.ndarray) -> dict[str, Any]:
    """The mean of examples [N,H,W,C], and their deviation unless `sigma_data` is given, as a collection."""
    return standardization.measure(examples, self.sigma_data)

  def setup(self):
    """The places of what `measure_data` gives."""
    self.data_mean, self.data_deviation = standardization.declare(self, self.image_shape[-1])

  @property
  def mean(self) -> jax.Array:
    """That of each channel of the training data, [1,1,1,C]."""
    return self.data_mean.value[None, None, None]

  @property
  def deviation(self) -> jax.Array:
    """sigma_data []."""
    return self.data_deviation.value

  # The denoiser

  def __call__(self, batch: Batch) -> jax.Array:
    """D of the examples themselves."""
    return self.denoise(batch['image'] - self.mean, jnp.ones(len(batch['image'])), labels_of(self, batch), batch['row'])

  def coefficients(self, sigma: jax.Array) -> Any:
    """c_skip, c_out and c_in at sigma [B], each [B,1,1,1]."""
    return TARGETS[self.target](PATHS[self.path], sigma[:, None, None, None], self.deviation)

  def estimate(
    self,
    x: jax.Array,
    sigma: jax.Array,
    labels: jax.Array | None,
    rows: jax.Array,
    train: bool = False,
    params: Any = None,
  ) -> jax.Array:
    """F(c_in x) of x = x_0 + sigma eps, sigma [B]; with other parameters of the network where they are given."""
    inputs = self.coefficients(sigma).input * x, jnp.log(sigma) / 4, labels, rows, train
    if params is not None:
      return self.denoiser.clone(parent=None).apply({'params': params}, *inputs)
    return self.denoiser(*inputs)

  def denoise(
    self, x: jax.Array, sigma: jax.Array, labels: jax.Array | None, rows: jax.Array, params: Any = None
  ) -> jax.Array:
    """D(x; sigma) = c_skip x + c_out F(c_in x), the estimate of E[x_0 | x]; sigma [B]."""
    c = self.coefficients(sigma)
    return c.skip * x + c.out * self.estimate(x, sigma, labels, rows, params=params)

  # Training

  def loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective above, averaged over the batch."""
    del step
    time_key, label_key, noise_key = jax.random.split(self.make_rng('noise'), 3)
    squared_error = self.squared_errors(batch, time_key, label_key, noise_key, train=True)[0]
    loss = squared_error.mean()
    return loss, {'error': loss / np.prod(self.image_shape)}

  def squared_errors(
    self, batch: Batch, time_key: jax.Array, label_key: jax.Array, noise_key: jax.Array, train: bool
  ) -> tuple[jax.Array, jax.Array]:
    """(|F - F*|^2 [B], sigma [B]) at a noise level of each example."""
    rows, labels = batch['row'], labels_of(self, batch)
    if train:
      labels = hide_labels(self, labels, label_key, rows)
    u = spaced_quantiles(time_key, rows) if train else quantiles_of_rows(time_key, rows)
    sigma = DENSITIES[self.time](PATHS[self.path], u, self.time_mean, self.time_deviation)
    x_0 = batch['image'] - self.mean
    x = x_0 + sigma[:, None, None, None] * self.noise(noise_key, rows)
    c = self.coefficients(sigma)
    target = (x_0 - c.skip * x) / c.out
    return sum_dims((self.estimate(x, sigma, labels, rows, train) - target) ** 2), sigma

  def noise(self, key: jax.Array, rows: jax.Array) -> jax.Array:
    """eps ~ N(0, I) of each row, [B,H,W,C]."""
    return sample_rows(standard_normal((len(rows), *self.image_shape)), key, rows)

  # Sampling

  def denoiser_of(self, batch: Batch, settings: Settings) -> samplers.Denoiser:
    """D of all rows at one sigma [], guided away from that of no labels, or of a worse model where there is one."""
    rows, labels = batch['row'], labels_of(self, batch)
    own = self.denoiser_with(labels, rows)
    if worse := self.get_variable(WORSE, 'denoiser'):
      other = self.denoiser_with(labels, rows, worse)
    elif self.conditional:
      other = self.denoiser_with(no_labels(self, rows), rows)
    else:
      return own
    return guidance.guide(own, other, settings.guidance, settings.interval)

  def denoiser_with(self, labels: jax.Array | None, rows: jax.Array, params: Any = None) -> samplers.Denoiser:
    """D of all rows at one sigma [], with these labels [B], and other parameters where they are given."""
    return lambda x, sigma: self.denoise(x, jnp.full(len(x), sigma), labels, rows, params)

  def ends(self) -> tuple[jax.Array, jax.Array]:
    """The least noise and the most."""
    path = PATHS[self.path]
    return path.sigma(path.t_min), path.sigma(path.t_max)

  def noise_levels(self) -> grids.Grid:
    """Where the sampler stops: at even times of the path, or by the rule of Karras et al. between its ends."""
    path = PATHS[self.path]
    if self.grid == 'path':
      return grids.uniform_time(path.sigma, path.t_min, path.t_max)
    return grids.karras(*self.ends())

  def latents(self, batch: Batch) -> jax.Array:
    """The noise that `decode` begins with, [B,D]."""
    return self.noise(self.make_rng('noise'), batch['row']).reshape(len(batch['row']), -1)

  def decode(self, z: jax.Array, batch: Batch) -> jax.Array:
    """The example to which the sampler brings noise z [B,D], in the model's range."""
    return self.in_range(self.solve(z.reshape(-1, *self.image_shape), batch)[0])

  def sample(self, batch: Batch) -> jax.Array:
    """x ~ p(x), or p(x|y)."""
    return self.decode(self.latents(batch), batch)

  def complete(self, batch: Batch) -> jax.Array:
    """The upper half of each image, floor(H / 2) rows, and below it what the sampler adds to them."""
    x_0 = batch['image'] - self.mean
    upper = (jnp.arange(self.image_shape[0]) < self.image_shape[0] // 2).astype(x_0.dtype)[None, :, None, None]
    noise = self.noise(self.make_rng('noise'), batch['row'])
    return self.in_range(self.solve(noise, batch, change=lambda d: guidance.inpaint(d, x_0, upper))[0])

  def trajectory(self, batch: Batch, frames: int) -> samplers.Path:
    """The way to samples in `frames` + 1 pictures, as the network sees it: states of the deviation of the data."""
    path = self.solve(self.noise(self.make_rng('noise'), batch['row']), batch, frames)[1]
    scale = self.deviation * jax.lax.rsqrt(self.deviation**2 + path.levels**2)
    states = self.mean[None] + scale.reshape(-1, 1, 1, 1, 1) * path.states
    return path._replace(states=states, estimates=self.mean[None] + path.estimates)

  def velocity(self, y: jax.Array, sigma: jax.Array, batch: Batch) -> jax.Array:
    """dy / d(-log sigma) of the states of `trajectory` at y [B,H,W,C], for one sigma [].

    y - m = sigma_data c_in x, with EDM's c_in, so by the probability-flow ODE it is sigma_data c_in (D - c_skip x).
    """
    c = TARGETS['edm'](PATHS['edm'], sigma, self.deviation)
    x = (y - self.mean) / (self.deviation * c.input)
    estimate = self.denoiser_of(batch, settings_of(self))(x, sigma)
    return self.deviation * c.input * (estimate - c.skip * x)

  def sample_guided(
    self,
    batch: Batch,
    log_prob: Callable[[jax.Array, jax.Array], jax.Array],
    strength: jax.Array | float,
    interval: guidance.Interval,
  ) -> jax.Array:
    """x ~ p(x) p(y|x)^strength about, p(x) without labels; log p(y | x; sigma) of x about the mean, see `guidance`."""
    plain = self.denoiser_with(no_labels(self, batch['row']), batch['row'])
    guided = guidance.classifier_guided(plain, log_prob, strength, interval)
    noise = self.latents(batch).reshape(-1, *self.image_shape)
    return self.in_range(self.solve(noise, batch, change=lambda _: guided)[0])

  def class_log_prob(self, batch: Batch, levels: int | None = None) -> jax.Array:
    """log p(x|y) [B] but for a constant that all classes share, by how well x is denoised, see `classify`."""
    x_0, rows = batch['image'] - self.mean, batch['row']
    how = self.make_rng('noise'), self.class_interval, levels or self.class_levels, self.class_power
    return classify.class_log_prob(self.denoiser_with(labels_of(self, batch), rows), x_0, rows, *how)

  def screening_log_prob(self, batch: Batch) -> jax.Array:
    """`class_log_prob` by a few levels of noise."""
    return self.class_log_prob(batch, self.class_screening)

  def solve(
    self, noise: jax.Array, batch: Batch, frames: int = 0, change: Callable = lambda denoise: denoise
  ) -> tuple[jax.Array, samplers.Path | None]:
    """What `samplers.sample` makes of noise [B,H,W,C], about the mean, by the denoiser or what `change` makes of it."""
    settings = settings_of(self)
    return samplers.sample(
      self.sampler,
      change(self.denoiser_of(batch, settings)),
      noise,
      self.noise_levels(),
      settings.steps,
      jax.random.split(self.make_rng('noise'))[0],
      batch['row'],
      settings.churn,
      frames,
    )

  def in_range(self, x_0: jax.Array) -> jax.Array:
    """An example about the mean as one of the data; images are clipped to their range, here alone."""
    x = x_0 + self.mean
    return x if self.value_range is None else jnp.clip(x, *self.value_range)

  @measures({'error': Metric("the squared error of the network's target, a mean over dimensions", '', 'lower')})
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """|F - F*|^2 / D of each example at one noise level of its own [B], with its label."""
    time_key, noise_key = jax.random.split(self.make_rng('noise'))
    squared_error, _ = self.squared_errors(batch, time_key, time_key, noise_key, train=False)
    return {'error': squared_error / np.prod(self.image_shape)}

  # Outliers

  def outlier_statistics(self, batch: Batch) -> dict[str, jax.Array]:
    """{'denoising': errors [B,8], 'path': moments [B,6]} of the model without labels, see `diffusion.outliers`."""
    x_0, rows = batch['image'] - self.mean, batch['row']
    denoise = self.denoiser_with(no_labels(self, rows), rows)
    levels = functools.partial(outliers.levels, self.deviation)
    key = self.make_rng('noise')
    return {
      'denoising': outliers.denoising_errors(denoise, x_0, levels(outliers.LEVELS), outliers.DRAWS, key, rows),
      'path': outliers.path_moments(denoise, x_0, levels(outliers.STEPS)),
    }
