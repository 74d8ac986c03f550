"""The PixelCNN, an autoregressive model of images."""

from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.distributions import log_likelihood, sample_rows
from gen_jax.metrics import Metric, measures
from gen_jax.models.labels import labels_of, missing_labels
from gen_jax.networks.likelihoods import Bernoulli, bits_per_dim_terms
from gen_jax.types import Batch, Facts, Player


class PixelCNN(nn.Module):
  """-log p(x) = -sum_i log p(x_i | x_1, ..., x_(i-1)) over the pixels in raster order (van den Oord et al., 2016b).

  Exact where the likelihood is; in nats per example. With `conditional` it is -log p(x|y) for the label y.
  """

  network: nn.Module  # as GatedPixelCNN: its two stacks, and (x, outputs, label) -> [B,H,W,outputs]
  likelihood: nn.Module  # (the network's output, target) -> p(x_i | pixels before i)
  image_shape: tuple[int, int, int]
  conditional: bool = False
  num_classes: int = 0

  players = {'model': Player('loss', ('network', 'likelihood'))}

  def problems(self, facts: Facts) -> Iterator[str]:
    """Labels where it is conditional; a distribution of the data."""
    yield from missing_labels(self, facts)
    if isinstance(self.likelihood, Bernoulli) and not self.likelihood.binary:
      yield (
        "config.data.binarize='none': Bernoulli is no distribution of gray values; binarize, or choose Categorical"
      )

  @property
  def outputs(self) -> int:
    """Numbers that the likelihood needs for a pixel."""
    return self.image_shape[-1] * self.likelihood.outputs

  def __call__(self, batch: Batch) -> jax.Array:
    """log p(x) [B]."""
    return self.log_prob(batch)

  def log_prob(self, batch: Batch) -> jax.Array:
    """log p(x), or log p(x|y), of each image [B]."""
    h = self.network(batch['image'], self.outputs, labels_of(self, batch))
    return log_likelihood(self.likelihood(h), batch['image'])

  def loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective above, averaged over the batch."""
    x = batch['image']
    h = self.network(x, self.outputs, labels_of(self, batch))
    nll = -log_likelihood(self.likelihood(h, target=x), x).mean()
    return nll, {'nll': nll}

  @measures({'nll': Metric('-log p(x), exact', 'nats', 'lower', True)}, bits_per_dim_terms)
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """-log p(x) of each example [B], and in bits for each dimension."""
    log_prob = self.log_prob(batch)
    return {'nll': -log_prob, **bits_per_dim_terms(self.likelihood, log_prob, batch['image'])}

  def sample(self, batch: Batch) -> jax.Array:
    """x ~ p(x), or p(x|y) [B,H,W,C]."""
    return self.fill(jnp.zeros((batch['row'].shape[0], *self.image_shape)), batch, start=0)

  def complete(self, batch: Batch) -> jax.Array:
    """The upper half of each image, floor(H / 2) rows, and below it a sample given them."""
    return self.fill(batch['image'], batch, start=self.image_shape[0] // 2)

  def fill(self, x: jax.Array, batch: Batch, start: int) -> jax.Array:
    """x [B,H,W,C] with the rows from `start` on drawn pixel by pixel, each given those before it."""
    height, width, _ = self.image_shape
    label, key = labels_of(self, batch), self.make_rng('noise')
    # all that a row sees: its outputs are those of the whole image, whatever the padding above the window
    rows = min(self.network.rows_above() + 1, height)

    def fill_row(i: jax.Array, x: jax.Array) -> jax.Array:
      """x with row i drawn."""
      top = jnp.maximum(i + 1 - rows, 0)
      window = jax.lax.dynamic_slice_in_dim(x, top, rows, axis=1)
      above = [jax.lax.dynamic_slice_in_dim(v, i - top, 1, axis=1) for v in self.network.vertical(window, label)]

      def fill_pixel(j: jax.Array, row: jax.Array) -> jax.Array:
        h = self.network.horizontal(row, above, self.outputs, label)
        p = self.likelihood(jax.lax.dynamic_slice_in_dim(h, j, 1, axis=2))
        pixel = sample_rows(p, jax.random.fold_in(key, i * width + j), batch['row'])
        return jax.lax.dynamic_update_slice_in_dim(row, pixel, j, axis=2)

      row = jax.lax.fori_loop(0, width, fill_pixel, jax.lax.dynamic_slice_in_dim(x, i, 1, axis=1))
      return jax.lax.dynamic_update_slice_in_dim(x, row, i, axis=1)

    return jax.lax.fori_loop(start, height, fill_row, x)
