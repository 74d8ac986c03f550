"""Translation as transport: flow matching that begins at the images of A in place of noise (Tong et al., 2023)."""

from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.config import SAMPLER
from gen_jax.diffusion import coupling, flows
from gen_jax.diffusion.settings import settings_of
from gen_jax.diffusion.times import spaced_quantiles
from gen_jax.distributions import sample_rows, standard_normal, sum_dims
from gen_jax.errors import non_negative, one_of
from gen_jax.metrics import Metric, measures
from gen_jax.models.image_pool import gather
from gen_jax.models.translation import problems_of_images
from gen_jax.randomness import row_keys
from gen_jax.types import Batch, Facts, Player

COUPLINGS = ('paired', 'optimal', 'entropic')
T_MIN = 1e-3  # times of training lie in [T_MIN, 1 - T_MIN]: with sigma > 0 the velocity has no bounds at the ends
UNUSED = ('grid', 'guidance', 'interval', 'churn', 'autoguidance')  # keys of config.sampler


class Bridge(nn.Module):
  """E |v(x_t, t) - u|^2, x_t = (1 - t) a + t b + sigma sqrt(t (1 - t)) z, z ~ N(0, I), a sum over dimensions.

  u = (1 - 2t) / (2t (1 - t)) (x_t - mean) + b - a is the velocity that takes N(mean, sigma^2 t (1 - t)) along its path
  between an image a of A and an image b of B (SB-CFM in the paper): b - a on a straight line, with sigma = 0. So
  dx/dt = v takes A to B, and backward B to A; both ways are one network, and nothing in them is random. Time runs from
  A, t = 0, to B, t = 1; in `gen_jax.diffusion.paths` it runs from data to noise.

  `coupling` says which b belongs to an a:
    paired    that of its pair
    optimal   the least sum of |a - b|^2 in the batch, of all devices: for unpaired images
    entropic  a draw from the plan of temperature 2 sigma^2 in the batch, with which p_t is that of the Schroedinger
              bridge; for images it is the optimal one, as their distances are far larger than sigma
  """

  network: nn.Module  # (x, noise, labels, rows, train) -> [B,H,W,C]
  channels_a: int
  channels_b: int
  value_range: tuple[float, float] | None  # of images; None of points
  coupling: str = 'optimal'
  sigma: float = 0.0
  sampler: str = 'heun'  # config.sampler.name: 'ddim' is Euler's step

  reads = ('image_a', 'image_b')  # of a batch
  players = {'model': Player('loss', ('network',))}

  def problems(self, facts: Facts) -> Iterator[str]:
    """A coupling that the data allow, sides of one shape, images in [-1, 1]."""
    yield from one_of(self, 'coupling', COUPLINGS)
    yield from non_negative(self, 'sigma')
    if self.coupling == 'paired' and facts.own_order:
      yield f"coupling='paired': the images of {facts.data_name} are no pairs; choose optimal"
    if self.coupling == 'entropic' and not self.sigma:
      yield "coupling='entropic': has temperature 2 sigma^2; set sigma above 0, or choose optimal, which is its limit"
    (*size_a, _), (*size_b, _) = (facts.shapes[name] for name in self.reads)
    if size_a != size_b:
      sizes = f'A is {size_a[0]}x{size_a[1]}, and B {size_b[0]}x{size_b[1]}'
      yield f'config.data.size=0: {sizes}; set a size, to which both are brought'
    if self.channels_a != self.channels_b:
      channels = f'{self.channels_a} channels and those of B {self.channels_b}'
      yield f'config.data.name={facts.data_name}: images of A have {channels}, and no path between; choose CycleGAN'
    yield from problems_of_images(facts)

  def problems_of_sampler(self, section: Mapping[str, Any]) -> Iterator[str]:
    """A rule that is none of `flows`, and settings without effect."""
    if section['name'] not in flows.RULES:
      rules = "'ddim', which is Euler's step, or 'heun'"
      yield f'name={section["name"]!r}: a path from image to image is no denoising; choose {rules}'
    for key in UNUSED:
      if section[key] != SAMPLER[key].default:
        yield f'{key}={section[key]}: has no effect on a Bridge; leave it out'

  @property
  def multiple(self) -> int:
    """Of which heights and widths of what it translates must be multiples."""
    return self.network.multiple

  def __call__(self, batch: Batch) -> jax.Array:
    """v at the images of A, where their way begins."""
    return self.velocity(batch['image_a'], jnp.zeros(len(batch['image_a'])), batch['row'])

  def velocity(self, x: jax.Array, t: jax.Array, rows: jax.Array, train: bool = False) -> jax.Array:
    """v(x, t) at times t [B], [B,H,W,C]."""
    return self.network(x, 4 * t - 2, None, rows, train)

  # Training

  def loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective above; as metrics it by dimension, and the mean squared difference of a and b once coupled."""
    del step
    a, rows = batch['image_a'], batch['row']
    time_key, noise_key, coupling_key = jax.random.split(self.make_rng('noise'), 3)
    b = self.partners(batch, coupling_key)
    t = (T_MIN + (1 - 2 * T_MIN) * spaced_quantiles(time_key, rows))[:, None, None, None]
    z = sample_rows(standard_normal(a.shape), noise_key, rows)
    x, u = path_at(a, b, z, t, self.sigma)
    loss = sum_dims((self.velocity(x, t.reshape(-1), rows, train=True) - u) ** 2).mean()
    return loss, {'error': loss / a[0].size, 'coupled': ((b - a) ** 2).mean()}

  def partners(self, batch: Batch, key: jax.Array) -> jax.Array:
    """The b of each a, [B,H,W,C]; of unpaired images from the batch of all devices, solved on each of them."""
    if self.coupling == 'paired':
      return batch['image_b']
    a, b, rows = gather((batch['image_a'], batch['image_b'], batch['row']))
    order = jnp.argsort(rows)
    a, b, rows = a[order], b[order], rows[order]
    costs = coupling.squared_distances(a, b)
    if self.coupling == 'entropic':
      places = coupling.entropic(costs, 2 * self.sigma**2, row_keys(key, rows))
    else:
      places = coupling.optimal(costs)
    return b[places[jnp.searchsorted(rows, batch['row'])]]

  # Translation

  def along(self, rows: jax.Array) -> flows.Velocity:
    """v of all rows at one time []."""
    return lambda x, t: self.velocity(x, jnp.full(len(x), t), rows)

  def transport(self, x: jax.Array, rows: jax.Array, start: float, end: float) -> jax.Array:
    """Where images x at time `start` are at time `end`; images are clipped to their range there, and nowhere else."""
    x = flows.integrate(self.sampler, self.along(rows), x, start, end, settings_of(self).steps)
    return x if self.value_range is None else jnp.clip(x, *self.value_range)

  def translate_to_b(self, batch: Batch) -> jax.Array:
    """The images of A at t = 1, [B,H,W,C] in the model's range; points [B,1,1,2]."""
    return self.transport(batch['image_a'], batch['row'], 0.0, 1.0)

  def translate_to_a(self, batch: Batch) -> jax.Array:
    """The images of B at t = 0, [B,H,W,C] in the model's range; points [B,1,1,2]."""
    return self.transport(batch['image_b'], batch['row'], 1.0, 0.0)

  def trajectory(self, batch: Batch, frames: int) -> jax.Array:
    """The images of A on their way, at `frames` + 1 even times from 0 to 1, not clipped: [frames + 1,B,H,W,C]."""
    steps = settings_of(self).steps
    return flows.trajectory(self.sampler, self.along(batch['row']), batch['image_a'], 0.0, 1.0, steps, frames)

  @measures({
    'l1': Metric('the mean absolute difference of a translation from the truth, in [-1, 1]', '', 'lower'),
    'cycle_a': Metric('the mean absolute difference of A from what becomes of it there and back', '', 'lower'),
    'cycle_b': Metric('the mean absolute difference of B from what becomes of it there and back', '', 'lower'),
  })
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """Of pairs the mean |b - translation of a|, of all others how far each image is from itself there and back, [B]."""
    a, b, rows = batch['image_a'], batch['image_b'], batch['row']
    distance = lambda x, y: sum_dims(jnp.abs(x - y)) / (x.size / len(x))
    to_b = self.translate_to_b(batch)
    if self.coupling == 'paired':
      return {'l1': distance(to_b, b)}
    to_a = self.translate_to_a(batch)
    back_a, back_b = self.transport(to_b, rows, 1.0, 0.0), self.transport(to_a, rows, 0.0, 1.0)
    return {'cycle_a': distance(back_a, a), 'cycle_b': distance(back_b, b)}


def path_at(
  a: jax.Array, b: jax.Array, z: jax.Array, t: jax.Array, sigma: jax.Array | float
) -> tuple[jax.Array, jax.Array]:
  """(x_t, u) on the path from a to b with noise z, all [B,...]; t [B,1,...] in (0, 1).

  u is d/dt x_t with z held fixed: with x_t - mean = sigma sqrt(t (1 - t)) z its first term is
  sigma (1 - 2t) / (2 sqrt(t (1 - t))) z.
  """
  spread = jnp.sqrt(t * (1 - t))
  return (1 - t) * a + t * b + sigma * spread * z, b - a + sigma * (1 - 2 * t) / (2 * spread) * z
