"""The autoencoder, whose bottleneck is its only constraint."""

from collections.abc import Iterator

import flax.linen as nn
import jax

from gen_jax.distributions import sum_dims
from gen_jax.errors import positive
from gen_jax.metrics import Metric, measures
from gen_jax.types import Batch, Facts, Player


class Autoencoder(nn.Module):
  """|x - decoder(encoder(x))|^2, summed over pixels, averaged over the batch (Hinton & Salakhutdinov, 2006).

  The reconstruction is bounded to the data's range by a sigmoid. There is no prior, so there is nothing to sample.
  """

  encoder: nn.Module  # (x, outputs) -> [B, outputs]
  decoder: nn.Module  # (z, shape) -> [B, *shape]
  image_shape: tuple[int, int, int]
  latent_dim: int = 10
  low: float = 0.0  # images lie in [low, 1]

  players = {'model': Player('loss', ('encoder', 'decoder'))}

  def problems(self, facts: Facts) -> Iterator[str]:
    """A latent."""
    yield from positive(self, 'latent_dim')

  def __call__(self, batch: Batch) -> jax.Array:
    """The reconstruction [B,H,W,C]."""
    return self.reconstruct(batch)

  def loss(self, batch: Batch, step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The squared error above."""
    squared_error = self.per_example(batch)['squared_error'].mean()
    return squared_error, {'squared_error': squared_error}

  @measures({
    'squared_error': Metric(
      'the squared difference of an example and its reconstruction, summed over pixels', '', 'lower', True
    ),
  })
  def per_example(self, batch: Batch) -> dict[str, jax.Array]:
    """The squared error of each image, [B]."""
    return {'squared_error': sum_dims((batch['image'] - self.reconstruct(batch)) ** 2)}

  def encode(self, batch: Batch) -> jax.Array:
    """The code [B,D]."""
    return self.encoder(batch['image'], self.latent_dim)

  def decode(self, z: jax.Array, batch: Batch) -> jax.Array:
    """The image of a code: z [B,D] -> [B,H,W,C] in [low, 1]."""
    return self.low + (1 - self.low) * nn.sigmoid(self.decoder(z, self.image_shape))

  def reconstruct(self, batch: Batch) -> jax.Array:
    """The image decoded from its own code."""
    return self.decode(self.encode(batch), batch)
