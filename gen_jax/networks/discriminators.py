"""Networks from examples to features, alike in form: `(x [B,...], train) -> float32 [B,F]`; and heads.

A head reads the features [B,F] as a DiscriminatorOutput. Batch normalization here takes the moments of the batch in
evaluation too: real and fake batches are normalized apart, and a running mean would be that of neither. `train` moves
the vectors of spectral norms on.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import at_least_one, non_negative, one_of, positive
from gen_jax.networks.equalized import EqualizedDense
from gen_jax.networks.generators import DCGAN_INIT, RELU_XAVIER
from gen_jax.networks.layers import Conv
from gen_jax.networks.normalization import BatchNorm, SpectralConv, SpectralDense
from gen_jax.types import Facts


def leaky_relu(x: jax.Array) -> jax.Array:
  """Slope .2 below 0 (Radford et al., 2016)."""
  return jax.nn.leaky_relu(x, 0.2)


class MLPDiscriminator(nn.Module):
  """Dense layers with leaky ReLU after each."""

  hidden: Sequence[int] = (128, 128, 128)
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """Widths above 0."""
    yield from positive(self, 'hidden')

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Features [B,F] of x [B,...], which is flattened first."""
    del train
    x = x.reshape(len(x), -1)
    for width in self.hidden:
      x = leaky_relu(nn.Dense(width, dtype=self.dtype)(x))
    return x.astype(jnp.float32)


class ConvDiscriminator(nn.Module):
  """Convolutions of stride 2 with leaky ReLU (Radford et al., 2016), flattened.

  `norm`: 'batch' after all but the first, which gradient penalties do not allow, 'spectral' of every kernel, or 'none'.
  """

  features: Sequence[int] = (64, 128, 256)
  kernel: int = 4
  norm: str = 'batch'
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """Layers, and a norm."""
    yield from at_least_one(self, 'features')
    yield from positive(self, 'kernel')
    yield from one_of(self, 'norm', ('batch', 'spectral', 'none'))

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[B,H,W,C]."""
    for i, width in enumerate(self.features):
      if self.norm == 'spectral':
        x = SpectralConv(width, self.kernel, strides=2, dtype=self.dtype)(x, train)
      else:
        batch = self.norm == 'batch' and i > 0
        layer = Conv(width, self.kernel, strides=2, use_bias=not batch, kernel_init=DCGAN_INIT, dtype=self.dtype)
        x = BatchNorm(running=False, dtype=self.dtype)(layer(x), train) if batch else layer(x)
      x = leaky_relu(x)
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

  def problems(self, facts: Facts) -> Iterator[str]:
    """Blocks, and images that are large enough for the halvings."""
    yield from at_least_one(self, 'features')
    yield from non_negative(self, 'halvings')
    if self.norm not in ('spectral', 'none'):
      yield f'norm={self.norm!r}: ResNetDiscriminator knows spectral and none'
    if self.halvings > len(self.features):
      yield f'halvings={self.halvings}: there are {len(self.features)} blocks'
    height, width, _ = facts.image_shape
    if min(height, width) < 2**self.halvings:
      yield f'halvings={self.halvings}: nothing is left of images {height}x{width}; use fewer'

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[B,H,W,C]."""

    def conv(x: jax.Array, width: int, kernel: int, init: Callable) -> jax.Array:
      if self.norm == 'spectral':
        return SpectralConv(width, kernel, kernel_init=init, dtype=self.dtype)(x, train)
      return Conv(width, kernel, kernel_init=init, dtype=self.dtype)(x)

    for i, width in enumerate(self.features):
      pool = mean_pool if i < self.halvings else lambda x: x
      y = conv(x if i == 0 else jax.nn.relu(x), width, 3, RELU_XAVIER)  # the image itself is not cut at 0
      y = conv(jax.nn.relu(y), width, 3, RELU_XAVIER)
      learned = i < self.halvings or x.shape[-1] != width
      # a 1x1 convolution and a mean over places commute, and the smaller image is cheaper
      shortcut = conv(pool(x), width, 1, nn.initializers.xavier_uniform()) if learned else x
      x = pool(y) + shortcut
    return jax.nn.relu(x).sum((1, 2)).astype(jnp.float32)


class DiscriminatorOutput(NamedTuple):
  """D(x) = sigmoid(logit), the probability that x is real, and of an auxiliary classifier the logits of the classes."""

  logits: jax.Array  # [B]
  class_logits: jax.Array | None = None  # [B,K]


class LinearHead(nn.Module):
  """w h + b; `spectral`: of spectral norm 1, `equalized`: with an equalized learning rate."""

  spectral: bool = False
  equalized: bool = False

  def problems(self, facts: Facts) -> Iterator[str]:
    """One scale of the weights at most."""
    yield from problems_of_scale(self)

  @nn.compact
  def __call__(self, h: jax.Array, labels: jax.Array | None, train: bool) -> DiscriminatorOutput:
    """Knows no labels."""
    del labels
    return DiscriminatorOutput(dense_layer(self, 1)(h, train)[:, 0])


class ProjectionHead(nn.Module):
  """w h + b + <v_y, h> with a learned vector of the label y (Miyato & Koyama, 2018, eq. 4)."""

  num_classes: int
  spectral: bool = False
  equalized: bool = False

  def problems(self, facts: Facts) -> Iterator[str]:
    """One scale of the weights at most."""
    yield from problems_of_scale(self)

  @nn.compact
  def __call__(self, h: jax.Array, labels: jax.Array, train: bool) -> DiscriminatorOutput:
    """Needs the labels [B]."""
    # all products at once, of which the label's is taken: a dense layer without bias, whose kernel holds the v_y
    products = dense_layer(self, self.num_classes, use_bias=False)(h, train)
    of_label = jnp.take_along_axis(products, labels[:, None], axis=1)[:, 0]
    return DiscriminatorOutput(dense_layer(self, 1)(h, train)[:, 0] + of_label)


class ClassifierHead(nn.Module):
  """w h + b, and an auxiliary classifier, whose cross-entropy both players minimize (Odena et al., 2017).

  Weights: the discriminator's, of real examples, and the generator's, of its own (Gulrajani et al., 2017: 1 and .1).
  """

  num_classes: int
  discriminator_weight: float = 1.0
  generator_weight: float = 0.1
  spectral: bool = False
  equalized: bool = False

  def problems(self, facts: Facts) -> Iterator[str]:
    """Weights of a cross-entropy, one scale of the weights at most."""
    yield from problems_of_scale(self)
    yield from non_negative(self, 'discriminator_weight', 'generator_weight')

  @nn.compact
  def __call__(self, h: jax.Array, labels: jax.Array | None, train: bool) -> DiscriminatorOutput:
    """The labels enter neither kind of logits."""
    del labels
    logits = dense_layer(self, 1)(h, train)[:, 0]
    return DiscriminatorOutput(logits, class_logits=dense_layer(self, self.num_classes)(h, train))


def problems_of_scale(head: nn.Module) -> Iterator[str]:
  """Weights of spectral norm 1 and those of an equalized learning rate have a scale each."""
  if head.spectral and head.equalized:
    yield 'spectral=True and equalized=True: each sets the scale of the weights; choose one'


def dense_layer(head: nn.Module, features: int, use_bias: bool = True) -> Callable[[jax.Array, bool], jax.Array]:
  """(h, train) -> a dense layer of it; in a compact method of the head."""
  if head.spectral:
    return SpectralDense(features, use_bias)
  if head.equalized:
    layer = EqualizedDense(features, gain=1.0, use_bias=use_bias)
  else:
    layer = nn.Dense(features, use_bias=use_bias, kernel_init=DCGAN_INIT)
  return lambda h, train: layer(h)
