"""Masked convolutions: networks whose output at a pixel sees only the pixels before it in raster order."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.errors import at_least_one, positive
from gen_jax.networks.layers import Conv
from gen_jax.types import Facts


def taps(before: int, dilation: int, first: bool) -> tuple[int, tuple[int, int]]:
  """(kernel size, padding) of a convolution along one axis with `before` taps before its own place.

  In the first layer it leaves its own place out (mask A of van den Oord et al., 2016a), later not (mask B). Padding of
  -1 drops the last place, so that no weight is computed only to be masked.
  """
  return (before, (before, -1)) if first else (before + 1, (before * dilation, 0))


class Gate(nn.Module):
  """tanh(a + U y) * sigmoid(b + V y) with the label y in one-hot form (van den Oord et al., 2016b, eq. 4)."""

  num_classes: int
  dtype: Any

  @nn.compact
  def __call__(self, h: jax.Array, label: jax.Array | None) -> jax.Array:
    """a and b side by side in the last axis of h [B,H,W,2F], label int32 [B] or None -> [B,H,W,F]."""
    if label is not None:
      one_hot = jax.nn.one_hot(label, self.num_classes)
      h = h + nn.Dense(h.shape[-1], use_bias=False, dtype=self.dtype)(one_hot)[:, None, None]
    a, b = jnp.split(h, 2, axis=-1)
    return jnp.tanh(a) * jax.nn.sigmoid(b)


class VerticalStack(nn.Module):
  """What lies in the rows above a pixel, for each layer of the horizontal stack."""

  features: int
  kernel: int
  dilations: Sequence[int]
  num_classes: int
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array, label: jax.Array | None) -> list[jax.Array]:
    """[B,H,W,C] -> [B,H,W,2F] for each layer, of which row i depends on the rows before i of x."""
    before, above = self.kernel // 2, []
    for i, d in enumerate(self.dilations):
      rows, up = taps(before, d, first=i == 0)
      window, pads = (rows, self.kernel), (up, (before * d, before * d))
      v = Conv(2 * self.features, window, padding=pads, dilation=d, dtype=self.dtype)(x)
      above.append(Conv(2 * self.features, 1, dtype=self.dtype)(v))
      if i + 1 < len(self.dilations):
        x = Gate(self.num_classes, self.dtype)(v, label)
    return above


class HorizontalStack(nn.Module):
  """What lies left of a pixel, joined with the rows above; residual and skip connections, then 1x1 convolutions."""

  features: int
  kernel: int
  dilations: Sequence[int]
  hidden: int
  num_classes: int
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array, above: Sequence[jax.Array], outputs: int, label: jax.Array | None) -> jax.Array:
    """Rows [B,H,W,C] and [B,H,W,2F] for each layer -> float32 [B,H,W,outputs]; each row sees itself alone."""
    h, skips = x, []
    for i, (d, v) in enumerate(zip(self.dilations, above, strict=True)):
      columns, left = taps(self.kernel // 2, d, first=i == 0)
      y = Conv(2 * self.features, (1, columns), padding=((0, 0), left), dilation=d, dtype=self.dtype)(h) + v
      y = Gate(self.num_classes, self.dtype)(y, label)
      skips.append(Conv(self.hidden, 1, dtype=self.dtype)(y))
      if i + 1 < len(self.dilations):
        # the pixel itself is in x, so the first layer must not pass x on
        h = (h if i else 0) + Conv(self.features, 1, dtype=self.dtype)(y)
    h = jax.nn.relu(Conv(self.hidden, 1, dtype=self.dtype)(jax.nn.relu(sum(skips))))
    return Conv(outputs, 1, dtype=self.dtype)(h).astype(jnp.float32)


class GatedPixelCNN(nn.Module):
  """The gated PixelCNN (van den Oord et al., 2016b, figure 2): two stacks, so that no pixel is hidden from those after.

  The stacks are apart so that sampling, which fills a row from left to right, runs the vertical one once a row.
  """

  features: int = 32
  layers: int = 6
  kernel: int = 5  # odd; each layer sees kernel // 2 times its dilation further up, left and right
  dilations: Sequence[int] = (1,)  # of the layers in turn, over and over; the first is 1
  hidden: int = 64  # of the skip connections and the 1x1 convolutions after them
  num_classes: int = 0
  dtype: Any = jnp.float32

  def problems(self, facts: Facts) -> Iterator[str]:
    """An even kernel has no middle; a first dilation above 1 skips the nearest pixels."""
    yield from positive(self, 'features', 'layers', 'hidden')
    yield from at_least_one(self, 'dilations')
    if self.kernel % 2 == 0 or self.kernel < 3:
      yield f'kernel={self.kernel}: must be odd and at least 3'
    if self.dilations and self.dilations[0] != 1:
      yield f'dilations={self.dilations}: the first must be 1, or the nearest pixels are not seen'

  def setup(self) -> None:
    """Both stacks."""
    shared = (self.features, self.kernel, self.dilation_of_layers())
    self.vertical = VerticalStack(*shared, self.num_classes, self.dtype)
    self.horizontal = HorizontalStack(*shared, self.hidden, self.num_classes, self.dtype)

  def dilation_of_layers(self) -> tuple[int, ...]:
    """One a layer."""
    return tuple(itertools.islice(itertools.cycle(self.dilations), self.layers))

  def rows_above(self) -> int:
    """How many rows above its own an output sees."""
    return sum(self.dilation_of_layers()) * (self.kernel // 2)

  def __call__(self, x: jax.Array, outputs: int, label: jax.Array | None = None) -> jax.Array:
    """[B,H,W,C] -> float32 [B,H,W,outputs], at each pixel a function of the pixels before it and of label [B]."""
    return self.horizontal(x, self.vertical(x, label), outputs, label)
