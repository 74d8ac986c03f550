"""The variational diffusion model: a bound on log p(x), whose noise schedule may be learned."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.diffusion import grids, guidance, samplers
from gen_jax.diffusion.settings import Settings, problems_of_settings, settings_of
from gen_jax.diffusion.times import quantiles_of_rows, spaced_quantiles
from gen_jax.distributions import log_normal, sample_rows, standard_normal, sum_dims
from gen_jax.errors import fraction, non_negative, positive
from gen_jax.metrics import Metric, measures
from gen_jax.models.labels import hide_labels, labels_of, missing_labels, no_labels
from gen_jax.networks.likelihoods import bits, bits_per_dim_terms
from gen_jax.types import Batch, Facts, Player


class VDM(nn.Module):
  """-log p(x) <= prior + reconstruction + diffusion, in nats per example (Kingma et al., 2021, eq. 11 and 17).

  Images x of `levels` values in [-1, 1] become z_t = alpha x + sigma n, alpha^2 = sigmoid(-gamma(t)), sigma^2 =
  sigmoid(gamma(t)), n ~ N(0, I), and the network estimates n_hat = z + network(z). `timesteps` T > 0 is the number of
  discrete steps; 0 is continuous time.

  The parameters of `schedule` descend the bound by its ends; what lies between them does not change a bound of
  continuous time, and descends the variance of its estimate instead. With T > 0 all descend the bound.

  The ends must suit the data. At gamma(0) values that are 2 / (levels - 1) apart must be told from each other: -13.3
  for 256, and -4 for 2. At gamma(1) little may be left of an image: the prior term is about sum x^2 e^-gamma(1) / 2.
  """

  denoiser: nn.Module  # (z beside its Fourier features, noise, labels, rows, train) -> [B,*image_shape]
  schedule: nn.Module  # as those of networks/noise_schedules.py
  image_shape: tuple[int, int, int]
  levels: int
  timesteps: int = 0
  fourier: tuple[int, ...] = (6, 7)  # k of the sines and cosines beside z (appendix C), see `fourier_features`
  evaluated_times: int = 1  # noise levels of each example in evaluation
  conditional: bool = False
  label_dropout: float = 0.1
  num_classes: int = 0
  sampler: str = 'ancestral'  # config.sampler.name
  grid: str = 'path'  # config.sampler.grid

  players = {'model': Player('loss', ('denoiser', 'schedule'))}
  may_differ = ('evaluated_times',)

  def problems(self, facts: Facts) -> Iterator[str]:
    """What is no image of gray values in [-1, 1], and labels where there are none."""
    yield from non_negative(self, 'timesteps', 'fourier')
    yield from positive(self, 'evaluated_times')
    yield from fraction(self, 'label_dropout')
    yield from missing_labels(self, facts)
    most = math.ceil(math.log2(max(self.levels, 2))) - 1  # at which one gray value to the next is a period
    if facts.kind == 'image' and max(self.fourier, default=0) > most:
      yield f'fourier={self.fourier}: of {self.levels} gray values, k is at most {most}'
    if facts.kind != 'image':
      yield f'name=VDM: sees images, and {facts.data_name} holds {facts.kind}; choose Diffusion'
    elif facts.value_range != (-1.0, 1.0):
      yield f'config.data.value_range={facts.value_range}: VDM needs (-1.0, 1.0)'
    if facts.dequantize:
      yield 'config.data.dequantize=True: VDM is a distribution of discrete values; choose Diffusion'

  def problems_of_sampler(self, section: Mapping[str, Any]) -> Iterator[str]:
    """What in config.sampler is unknown, or without effect on this model."""
    yield from problems_of_settings(section, self.conditional)
    if section['autoguidance']:
      yield f'autoguidance={section["autoguidance"]}: a VDM is guided by its labels alone; set it to 0'

  def __call__(self, batch: Batch) -> tuple[jax.Array, jax.Array]:
    """gamma(1/2) [B], and n_hat of the examples there."""
    gamma = self.gamma(jnp.full(len(batch['image']), 0.5))
    return gamma, self.estimate_noise(batch['image'], gamma, labels_of(self, batch), batch['row'])

  # The noise levels and the network

  def gamma(self, t: jax.Array) -> jax.Array:
    """2 log (sigma / alpha) at times of any shape."""
    low, high = self.schedule.ends()
    return low + (high - low) * self.schedule.progress(t)

  def estimate_noise(
    self, z: jax.Array, gamma: jax.Array, labels: jax.Array | None, rows: jax.Array, train: bool = False
  ) -> jax.Array:
    """n_hat of z [B,H,W,C] at gamma [B]."""
    channels = {'outputs': z.shape[-1]} if self.fourier else {}
    return z + self.denoiser(self.fourier_features(z), gamma / 8, labels, rows, train, **channels)

  def fourier_features(self, z: jax.Array) -> jax.Array:
    """z, and sin and cos of 2 pi 2^k (levels - 1) / levels z, as channels: [B,H,W,C] -> [B,H,W,C (1 + 2 len(fourier))].

    The factor brings values that are 2 / (levels - 1) apart to 2 / levels, as they are in the paper: those of k = 7
    have one phase at all of 256 values, and so say how far z is from the nearest, as those of k = 0 do of 2.
    """
    z_even = (self.levels - 1) / self.levels * z
    angles = [2 * np.pi * 2.0**k * z_even for k in self.fourier]
    return jnp.concatenate([z, *(wave(angle) for angle in angles for wave in (jnp.sin, jnp.cos))], axis=-1)

  def noise(self, key: jax.Array, rows: jax.Array) -> jax.Array:
    """n ~ N(0, I) of each row, [B,H,W,C]."""
    return sample_rows(standard_normal((len(rows), *self.image_shape)), key, rows)

  # The bound

  def loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The bound, averaged over the batch."""
    del step
    label_key, time_key, noise_key = jax.random.split(self.make_rng('noise'), 3)
    rows = batch['row']
    labels = hide_labels(self, labels_of(self, batch), label_key, rows)
    t = spaced_quantiles(time_key, rows)
    terms = self.terms(batch['image'], t, labels, rows, noise_key, train=True)
    means = {name: term.mean() for name, term in terms.items()}
    loss = nll = means['prior'] + means['reconstruction'] + means['diffusion']
    if not self.timesteps:
      loss += self.spread(t, terms['diffusion'])
    return loss, {'nll': nll, **means}

  def terms(
    self, x: jax.Array, t: jax.Array, labels: jax.Array | None, rows: jax.Array, key: jax.Array, train: bool = False
  ) -> dict[str, jax.Array]:
    """The parts of the bound of x [B,H,W,C], each estimated with noise of its own at one time t [B]."""
    reconstruction_key, diffusion_key = jax.random.split(key)

    # 1. PRIOR  KL(q(z_1|x) || p(z_1))
    prior = self.prior(x)

    # 2. RECONSTRUCTION  E -log p(x|z_0)
    reconstruction = self.reconstruction(x, self.noise(reconstruction_key, rows))

    # 3. DIFFUSION  1/2 E gamma'(t) |n - n_hat(z_t; t)|^2
    diffusion = self.diffusion(x, t, self.noise(diffusion_key, rows), labels, rows, train)
    return {'prior': prior, 'reconstruction': reconstruction, 'diffusion': diffusion}

  def prior(self, x: jax.Array) -> jax.Array:
    """KL(q(z_1|x) || N(0, I)) = 1/2 sum_i alpha^2 x_i^2 + sigma^2 - 1 - log sigma^2, [B]."""
    alpha_squared = jax.nn.sigmoid(-self.schedule.ends()[1])  # and sigma^2 is 1 less it
    return 0.5 * sum_dims(alpha_squared * (x**2 - 1) - jnp.log1p(-alpha_squared))

  def reconstruction(self, x: jax.Array, noise: jax.Array) -> jax.Array:
    """-log p(x|z_0) [B] at z_0 / alpha = x + e^(gamma(0) / 2) n, where p(v|z_0) ~ q(z_0|v) of all values v."""
    deviation = jnp.exp(0.5 * self.schedule.ends()[0])
    values = jnp.linspace(-1.0, 1.0, self.levels)[None, None, None, None]
    distance = (x[..., None] - values) / deviation + noise[..., None]
    # the sum holds the term of x itself, e^(-n^2 / 2), and so never vanishes
    return sum_dims(0.5 * noise**2 + jnp.log(jnp.exp(-0.5 * distance**2).sum(-1)))

  def diffusion(
    self, x: jax.Array, t: jax.Array, noise: jax.Array, labels: jax.Array | None, rows: jax.Array, train: bool = False
  ) -> jax.Array:
    """1/2 gamma'(t) |n - n_hat|^2, [B] at t [B].

    With T steps 1/2 T (e^(gamma(t) - gamma(t - 1/T)) - 1) |n - n_hat|^2, t rounded up to the next of them.
    """
    if self.timesteps:
      t = jnp.ceil(t * self.timesteps) / self.timesteps
      gamma = self.gamma(t)
      weight = self.timesteps * jnp.expm1(gamma - self.gamma(t - 1 / self.timesteps))
    else:
      low, high = self.schedule.ends()
      progress, rate = jax.lax.stop_gradient(self.progress_and_rate(t))  # see `spread`
      gamma, weight = low + (high - low) * progress, (high - low) * rate
    squares = gamma[:, None, None, None]
    z = jnp.sqrt(jax.nn.sigmoid(-squares)) * x + jnp.sqrt(jax.nn.sigmoid(squares)) * noise
    return 0.5 * weight * sum_dims((noise - self.estimate_noise(z, gamma, labels, rows, train)) ** 2)

  def progress_and_rate(self, t: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Of the schedule at t, and the derivative there."""
    return jax.jvp(self.schedule.progress, (t,), (jnp.ones_like(t),))

  def spread(self, t: jax.Array, diffusion: jax.Array) -> jax.Array:
    """0, whose gradient is that of E L^2 / (E L)^2 with respect to what lies between the ends of the schedule; L [B].

    A schedule decides which noise levels are seen how often. E L^2 = integral of w(p) p' dp over progress p with some
    w, p' its rate where it is p; so for each example p is held fixed: that needs no derivative of the network. Where
    the parameters move p by dp at t, the time at which it was p moves by -dp / p', and the rate there by -p'' dp / p'.
    """
    progress, rate = self.progress_and_rate(t)
    _, curvature = jax.jvp(lambda t: self.progress_and_rate(t)[1], (t,), (jnp.ones_like(t),))
    fixed = jax.lax.stop_gradient
    rate_there = rate - fixed(curvature / rate) * progress
    mean = jax.lax.pmean(diffusion.mean(), 'batch')
    spread = (fixed(diffusion**2 / rate) * rate_there).mean() / fixed(mean) ** 2
    return spread - fixed(spread)

  @measures(
    {
      'nll': Metric('-log p(x), bounded from above', 'nats', 'lower', True),
      'prior': Metric('of the bound, what the last noise level still tells of an image', 'nats', 'lower'),
      'reconstruction': Metric('of the bound, what is lost from the image to the first noise level', 'nats', 'lower'),
      'diffusion': Metric('of the bound, what denoising lacks at all noise levels', 'nats', 'lower'),
    },
    bits_per_dim_terms,
  )
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """The bound of each example and its parts [B], with its label, at `evaluated_times` times of its own."""
    time_key, noise_key = jax.random.split(self.make_rng('noise'))
    rows, labels, count = batch['row'], labels_of(self, batch), self.evaluated_times
    u = quantiles_of_rows(time_key, rows)
    at = lambda k: self.terms(batch['image'], (u + k / count) % 1, labels, rows, jax.random.fold_in(noise_key, k))
    terms = jax.tree.map(lambda term: term.mean(0), jax.lax.map(at, jnp.arange(count)))
    nll = terms['prior'] + terms['reconstruction'] + terms['diffusion']
    return {'nll': nll, 'bits_per_dim': bits(-nll, batch['image'][0].size), **terms}

  # Sampling, on z / alpha = x + e^(gamma / 2) n

  def denoise(self, x: jax.Array, sigma: jax.Array, labels: jax.Array | None, rows: jax.Array) -> jax.Array:
    """D(x; sigma) = x - sigma n_hat, the estimate of E[x_0 | x]; sigma [B]."""
    gamma = 2 * jnp.log(sigma)
    z = jnp.sqrt(jax.nn.sigmoid(-gamma))[:, None, None, None] * x
    return x - sigma[:, None, None, None] * self.estimate_noise(z, gamma, labels, rows)

  def denoiser_of(self, batch: Batch, settings: Settings) -> samplers.Denoiser:
    """D of all rows at one sigma [], guided by the labels of the batch where the model has them."""
    rows = batch['row']
    at = lambda labels: lambda x, sigma: self.denoise(x, jnp.full(len(x), sigma), labels, rows)
    if not self.conditional:
      return at(None)
    return guidance.guide(at(batch['label']), at(no_labels(self, rows)), settings.guidance, settings.interval)

  def ends(self) -> tuple[jax.Array, jax.Array]:
    """The least noise and the most."""
    return tuple(jnp.exp(jnp.asarray(gamma) / 2) for gamma in self.schedule.ends())

  def noise_levels(self) -> grids.Grid:
    """Where the sampler stops: at even times of the schedule, or by the rule of Karras et al. between its ends."""
    if self.grid == 'path':
      return grids.uniform_time(lambda t: jnp.exp(self.gamma(t) / 2), 0.0, 1.0)
    return grids.karras(*self.ends())

  def latents(self, batch: Batch) -> jax.Array:
    """z_1 ~ N(0, I), from which `decode` begins, [B,D]."""
    return self.noise(self.make_rng('noise'), batch['row']).reshape(len(batch['row']), -1)

  def decode(self, z: jax.Array, batch: Batch) -> jax.Array:
    """The image to which the sampler brings z_1 [B,D]: the likeliest values of p(x|z_0), those nearest to D there."""
    x = self.solve(z.reshape(-1, *self.image_shape), batch)[0]
    gaps = self.levels - 1
    return jnp.round((jnp.clip(x, -1, 1) + 1) / 2 * gaps) / gaps * 2 - 1

  def sample(self, batch: Batch) -> jax.Array:
    """x ~ p(x), or p(x|y)."""
    return self.decode(self.latents(batch), batch)

  def trajectory(self, batch: Batch, frames: int) -> samplers.Path:
    """The way to samples in `frames` + 1 pictures, as the network sees it: states z, estimates of x."""
    path = self.solve(self.noise(self.make_rng('noise'), batch['row']), batch, frames)[1]
    alpha = jax.lax.rsqrt(1 + path.levels**2)
    return path._replace(states=alpha.reshape(-1, 1, 1, 1, 1) * path.states)

  def solve(self, z: jax.Array, batch: Batch, frames: int = 0) -> tuple[jax.Array, samplers.Path | None]:
    """What `samplers.sample` makes of z_1 [B,H,W,C]."""
    settings, levels = settings_of(self), self.noise_levels()
    return samplers.sample(
      self.sampler,
      self.denoiser_of(batch, settings),
      z * jnp.sqrt(1 + levels(0, settings.steps) ** -2),  # z_1 / alpha is more than sigma n, by the image within it
      levels,
      settings.steps,
      jax.random.split(self.make_rng('noise'))[0],
      batch['row'],
      settings.churn,
      frames,
    )

  # The density of the probability flow

  @property
  def mean(self) -> jax.Array:
    """What the noise is added about, [1,1,1,C]: 0."""
    return jnp.zeros((1, 1, 1, self.image_shape[-1]))

  def dequantize(self, batch: Batch, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(z = z_0 / alpha ~ q(z|x) [B,H,W,C], log p(x|z) - log q(z|x) [B]): log P(x) >= E log p(z) + that."""
    noise, gamma = self.noise(key, batch['row']), self.schedule.ends()[0]
    log_q = sum_dims(log_normal(noise) - gamma / 2)
    return batch['image'] + jnp.exp(gamma / 2) * noise, -self.reconstruction(batch['image'], noise) - log_q
