"""Resampling: training sees the examples of one class, the positives, as often as a rule weighs them.

A rule is a frozen dataclass with the fields of `Uniform`; `weights` gives what each positive weighs, from what the
model says of all of them. The weights stand in `TrainState.data`, so a resumed run draws the same batches.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax import randomness
from gen_jax.data import order
from gen_jax.data.dataset import Dataset, labels_of
from gen_jax.errors import non_negative, one_of, positive
from gen_jax.randomness import row_keys
from gen_jax.types import Facts

FORMS = ('max', 'product')


@dataclasses.dataclass(frozen=True)
class Uniform:
  """All positives weigh the same: a batch holds as many of them as `share` says, and nothing else changes.

  Attributes:
    positive: the class of the positives.
    share: of a batch that is positive, in (0, 1).
    every: the training steps after which the weights are computed anew; 0: as many as an epoch of positives has.
  """

  positive: int = 1
  share: float = 0.5
  every: int = 0

  method = ''  # of the model, whose values [B, ...] of every positive `weights` is given; '': none

  def problems(self, facts: Facts) -> Iterator[str]:
    """A class of the data, and a share that leaves something of both."""
    yield from non_negative(self, 'every')
    if not 0 <= self.positive < facts.num_classes:
      classes = f'the classes 0 to {facts.num_classes - 1}' if facts.num_classes else 'no classes'
      yield f'positive={self.positive}: {facts.data_name} has {classes}'
    if not 0 < round(self.share * facts.batch_size) < facts.batch_size:
      yield f'share={self.share}: of {facts.batch_size} examples, it leaves none of the positives or of the others'

  def weights(
    self, values: Any, groups: np.ndarray | None, before: jax.Array, time: jax.Array, seed: jax.Array
  ) -> jax.Array:
    """What each positive weighs, [P], in any unit.

    Args:
      values: what `method` says of each [P, ...].
      groups: int [P], the group of each, of a rule that names an attribute of the data.
      before: the weights until now [P].
      time: how often they have been computed, [].
      seed: of the run, [].
    """
    del values, groups, time, seed
    return before


@dataclasses.dataclass(frozen=True)
class LatentRarity(Uniform):
  """Rare codes weigh more: by histograms of each latent's mean over all positives (Amini et al., 2019).

  Q_i is the density of latent i, its range cut into `bins` bins of equal width. 'product' weighs
  prod_i 1 / (Q_i + alpha) (their algorithm 1); 'max' takes the largest of the shares p_i, normalized over the examples,
  of the weights 1 / (Q_i + alpha), as the code of their course does. Where the weights would stand for fewer examples
  than `least_effective` of all, (sum w)^2 / sum w^2, they are tempered, w^t, until they do.
  """

  form: str = 'max'
  alpha: float = 0.001
  bins: int = 10
  least_effective: float = 0.05
  permuted: bool = False  # the weight of each is another one's, always the same: what resampling does but for rarity

  method = 'encode'

  def problems(self, facts: Facts) -> Iterator[str]:
    """A form, and numbers in their range."""
    yield from super().problems(facts)
    yield from positive(self, 'alpha', 'bins')
    yield from one_of(self, 'form', FORMS)
    if not 0 <= self.least_effective <= 1:
      yield f'least_effective={self.least_effective}: must lie in [0, 1]'

  def weights(
    self, values: Any, groups: np.ndarray | None, before: jax.Array, time: jax.Array, seed: jax.Array
  ) -> jax.Array:
    """The weights of codes [P,D]."""
    log_weights = log_rarity(values, self.form, self.alpha, self.bins)
    weights = temper(log_weights, self.least_effective)
    key = jax.random.fold_in(randomness.key(seed), 3)
    return jax.random.permutation(key, weights) if self.permuted else weights


def log_rarity(codes: jax.Array, form: str, alpha: float, bins: int) -> jax.Array:
  """log w [N] of codes [N,D], up to a constant: see `LatentRarity`."""
  low, high = codes.min(0), codes.max(0)
  width = jnp.where(high > low, (high - low) / bins, 1.0)  # a latent that is constant has one bin
  place = jnp.clip(jnp.floor((codes - low[None]) / width[None]), 0, bins - 1).astype(jnp.int32)
  counts = jax.vmap(lambda column: jnp.bincount(column, length=bins), 1)(place)  # [D,bins]
  density = counts / (len(codes) * width[:, None])
  log_inverse = -jnp.log(jax.vmap(jnp.take, (0, 1), 1)(density, place) + alpha)  # [N,D]
  if form == 'product':
    return log_inverse.sum(1)
  return (log_inverse - jax.nn.logsumexp(log_inverse, axis=0, keepdims=True)).max(1)


def effective_share(log_weights: jax.Array) -> jax.Array:
  """(sum w)^2 / (N sum w^2), in (0, 1]: the examples that the weights stand for, of all."""
  log_sum = jax.nn.logsumexp(log_weights)
  return jnp.exp(2 * log_sum - jax.nn.logsumexp(2 * log_weights)) / len(log_weights)


def temper(log_weights: jax.Array, least: float) -> jax.Array:
  """Weights w^t that sum to 1, with the largest t <= 1 for which their `effective_share` is at least `least`."""

  def halve(_, bounds):
    low, high = bounds
    middle = (low + high) / 2
    enough = effective_share(middle * log_weights) >= least
    return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

  tempered, _ = jax.lax.fori_loop(0, 24, halve, (jnp.float32(0), jnp.float32(1)))
  t = jnp.where(effective_share(log_weights) >= least, 1.0, tempered)
  return jax.nn.softmax(t * log_weights)


@dataclasses.dataclass(frozen=True)
class GroupBalance(Uniform):
  """Every group of positives weighs the same, by their true groups: what debiasing could reach that was told them."""

  attribute: str = ''  # of the data, which says the group of each positive

  def weights(
    self, values: Any, groups: np.ndarray | None, before: jax.Array, time: jax.Array, seed: jax.Array
  ) -> jax.Array:
    """One by the size of each positive's group."""
    return jnp.asarray(1 / np.bincount(groups)[groups], jnp.float32)


@dataclasses.dataclass(frozen=True)
class Mistakes(Uniform):
  """Positives that the model takes for others after `epochs` weigh `factor` times as much from then on.

  In the manner of Just Train Twice (Liu et al., 2021), without its second training from the start.
  """

  epochs: int = 2
  factor: float = 5.0

  method = 'class_logits'

  def problems(self, facts: Facts) -> Iterator[str]:
    """Numbers in their range."""
    yield from super().problems(facts)
    yield from positive(self, 'epochs', 'factor')

  def weights(
    self, values: Any, groups: np.ndarray | None, before: jax.Array, time: jax.Array, seed: jax.Array
  ) -> jax.Array:
    """The weights of logits [P]."""
    return jnp.where(time == self.epochs, jnp.where(values < 0, self.factor, 1.0), before)


# The draw


def positives_of(data: Dataset, rule: Any) -> np.ndarray:
  """The examples of the class that the rule weighs, int32 [P]."""
  return np.flatnonzero(labels_of(data) == rule.positive).astype(np.int32)


def problems_of_data(data: Dataset, rule: Any) -> Iterator[str]:
  """Why nothing can be drawn by the rule: no positive, or nothing else, or not the attribute that it names."""
  if data.arrays is None:
    yield f'config.resampling: needs {data.about.what} in memory; raise config.data.resident_mib'
    return
  positives = positives_of(data, rule)
  if not 0 < len(positives) < data.size:
    name, what = data.names_of_classes[rule.positive], 'nothing but examples' if len(positives) else 'no example'
    yield f'config.resampling.positive={rule.positive}: {data.about.what} has {what} of class {name}'
  if (attribute := getattr(rule, 'attribute', None)) is None:
    return
  if attribute not in data.attributes:
    known = ', '.join(data.attributes) or 'none'
    yield f'config.resampling.attribute={attribute!r}: the attributes of {data.about.what} are {known}'
  elif data.arrays[attribute][positives].min(initial=0) < 0:
    yield f'config.resampling.positive={rule.positive}: its examples have no {attribute}'


def with_resampling(data: Dataset, rule: Any) -> Dataset:
  """The data set with batches in which `rule.share` are positives, drawn by the weights in TrainState.data.

  Of a finished run, `data` may say how many there are of each class, and have no rows.
  """
  number = data.class_counts[rule.positive] if data.class_counts else len(positives_of(data, rule))
  state = state_of_weights(jnp.full(number, 1 / number), jnp.zeros((), jnp.int32))
  return data._replace(initial_state=state, rows=weighted_rows(data, rule))


def state_of_weights(weights: jax.Array, time: jax.Array) -> dict[str, jax.Array]:
  """What `TrainState.data` holds: the weights, their running sum, and how often they were computed."""
  weights = weights / weights.sum()
  return {'weights': weights, 'cumulative': jnp.cumsum(weights), 'time': time}


def weighted_rows(data: Dataset, rule: Any) -> Callable[..., jax.Array]:
  """The order of a resampled data set, see `Dataset.rows`: positives by weight, with replacement; others in turn.

  Positives stand evenly between the others, so that every device has as many.
  """

  @functools.cache
  def both() -> tuple[np.ndarray, np.ndarray]:
    positives = positives_of(data, rule)
    return positives, np.setdiff1d(np.arange(data.size, dtype=np.int32), positives)

  def rows(seed, state, batch, row, batch_size: int, size: int) -> jax.Array:
    """The examples at rows `row` [B] of a batch."""
    del size
    positives, others = both()
    number = round(rule.share * batch_size)  # of positives in a batch
    before = row * number // batch_size  # those that stand before the row
    is_positive = (row + 1) * number // batch_size > before
    key = jax.random.fold_in(jax.random.fold_in(randomness.key(seed), 2), batch)
    u = jax.vmap(jax.random.uniform)(row_keys(key, row))
    place = jnp.searchsorted(state['cumulative'], u * state['cumulative'][-1], side='right')
    positive = jnp.asarray(positives)[jnp.minimum(place, len(positives) - 1)]
    in_turn = order.rows(seed, batch, row - before, batch_size - number, len(others))
    return jnp.where(is_positive, positive, jnp.asarray(others)[in_turn])

  return rows
