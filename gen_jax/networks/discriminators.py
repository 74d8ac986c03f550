"""Networks from examples to features, alike in form: `(x [B,...], train) -> float32 [B,F]`; and heads that judge these.

A discriminator's batch normalisation takes the moments of the batch in evaluation too: real and fake batches are
normalised apart, and a running mean would be that of neither. `train` moves the vectors of spectral norms on.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.networks.generators import SMALL, XAVIER
from gen_jax.networks.layers import Conv
from gen_jax.networks.normalization import BatchNorm, SpectralConv, SpectralDense


def leaky(x: jax.Array) -> jax.Array:
  """Slope .2 below 0 (Radford et al., 2016)."""
  return jax.nn.leaky_relu(x, 0.2)


class MLPDiscriminator(nn.Module):
  """Dense layers with leaky ReLU after each."""

  hidden: Sequence[int] = (128, 128, 128)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Of any shape, flattened."""
    del train
    x = x.reshape(len(x), -1)
    for width in self.hidden:
      x = leaky(nn.Dense(width, dtype=self.dtype)(x))
    return x.astype(jnp.float32)


class ConvDiscriminator(nn.Module):
  """Convolutions of stride 2 with leaky ReLU (Radford et al., 2016), flattened.

  `norm`: 'batch' after all but the first, which gradient penalties do not allow, 'spectral' of every kernel, or 'none'.
  """

  features: Sequence[int] = (64, 128, 256)
  kernel: int = 4
  norm: str = 'batch'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[B,H,W,C]."""
    for i, width in enumerate(self.features):
      if self.norm == 'spectral':
        x = SpectralConv(width, self.kernel, strides=2, dtype=self.dtype)(x, train)
      else:
        batch = self.norm == 'batch' and i > 0
        layer = Conv(width, self.kernel, strides=2, use_bias=not batch, kernel_init=SMALL, dtype=self.dtype)
        x = BatchNorm(running=False, dtype=self.dtype)(layer(x), train) if batch else layer(x)
      x = leaky(x)
    return x.reshape(len(x), -1).astype(jnp.float32)


def mean_pool(x: jax.Array) -> jax.Array:
  """Half the height and width, rounded down."""
  return nn.avg_pool(x, (2, 2), strides=(2, 2))


class ResNetDiscriminator(nn.Module):
  """Residual blocks, ReLU, a sum over all places (Miyato et al., 2018, table 4).

  `features` are the widths of the blocks, of which the first `halvings` halve the size. `norm`: 'spectral' or 'none'.
  """

  features: Sequence[int] = (128, 128, 128, 128)
  halvings: int = 2
  norm: str = 'spectral'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[B,H,W,C]."""

    def conv(x: jax.Array, width: int, kernel: int, init: Callable) -> jax.Array:
      if self.norm == 'spectral':
        return SpectralConv(width, kernel, kernel_init=init, dtype=self.dtype)(x, train)
      return Conv(width, kernel, kernel_init=init, dtype=self.dtype)(x)

    for i, width in enumerate(self.features):
      pool = mean_pool if i < self.halvings else lambda x: x
      y = conv(x if i == 0 else jax.nn.relu(x), width, 3, XAVIER)  # the image itself is not cut at 0
      y = conv(jax.nn.relu(y), width, 3, XAVIER)
      learned = i < self.halvings or x.shape[-1] != width
      # a 1x1 convolution and a mean over places commute, and the smaller image is cheaper
      shortcut = conv(pool(x), width, 1, nn.initializers.xavier_uniform()) if learned else x
      x = pool(y) + shortcut
    return jax.nn.relu(x).sum((1, 2)).astype(jnp.float32)


class Judgement(NamedTuple):
  """What a head says of each example."""

  logit: jax.Array  # of real, [B]
  classes: jax.Array | None = None  # logits of the classes, [B,K]


class LinearHead(nn.Module):
  """w h + b."""

  spectral: bool = False

  @nn.compact
  def __call__(self, h: jax.Array, labels: jax.Array | None, train: bool) -> Judgement:
    """Knows no labels."""
    del labels
    return Judgement(linear(self.spectral, 1)(h, train)[:, 0])


class ProjectionHead(nn.Module):
  """w h + b + <v_y, h> with a learned vector of the label y (Miyato & Koyama, 2018, eq. 4)."""

  num_classes: int
  spectral: bool = False

  @nn.compact
  def __call__(self, h: jax.Array, labels: jax.Array, train: bool) -> Judgement:
    """Needs the labels [B]."""
    # all products at once, of which the label's is taken: a dense layer without bias, whose kernel holds the v_y
    products = linear(self.spectral, self.num_classes, use_bias=False)(h, train)
    of_label = jnp.take_along_axis(products, labels[:, None], axis=1)[:, 0]
    return Judgement(linear(self.spectral, 1)(h, train)[:, 0] + of_label)


class ClassifierHead(nn.Module):
  """w h + b, and an auxiliary classifier, whose cross-entropy both players minimise (Odena et al., 2017).

  Weights: the discriminator's, of real examples, and the generator's, of its own (Gulrajani et al., 2017: 1 and .1).
  """

  num_classes: int
  discriminator_weight: float = 1.0
  generator_weight: float = 0.1
  spectral: bool = False

  @nn.compact
  def __call__(self, h: jax.Array, labels: jax.Array | None, train: bool) -> Judgement:
    """The label does not enter the judgement."""
    del labels
    return Judgement(linear(self.spectral, 1)(h, train)[:, 0], linear(self.spectral, self.num_classes)(h, train))


def linear(spectral: bool, features: int, use_bias: bool = True) -> Callable[[jax.Array, bool], jax.Array]:
  """(h, train) -> a dense layer of it; in a compact method."""
  if spectral:
    return SpectralDense(features, use_bias)
  layer = nn.Dense(features, use_bias=use_bias, kernel_init=SMALL)
  return lambda h, train: layer(h)
