"""Means of what a model says of each example."""

from collections.abc import Callable, Iterator

import jax.numpy as jnp
import numpy as np

from gen_jax.types import Batch

Batches = Callable[[], Iterator[Batch]]


def asked(rows: np.ndarray, classes: int) -> Batch:
  """The batch that `sample` takes: rows int32 [B], and of each class in turn where there are classes."""
  return {'row': rows} | ({'label': rows % classes} if classes else {})


def masked_sum(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """The sum over the rows [B, ...] that `mask` [B] keeps, in float64."""
  return np.einsum('b...,b->...', np.asarray(x, np.float64), np.asarray(mask, np.float64))


def terms(verbs, batches: Batches) -> Iterator[tuple[str, float]]:
  """The mean over the split of each term of `model.evaluate`; a vector term [B,D] gives one value a dimension."""
  totals, count = {}, 0.0
  for batch in batches():
    for name, x in verbs.evaluate(batch).items():
      totals[name] = totals.get(name, 0.0) + masked_sum(x, batch['mask'])
    count += float(jnp.sum(batch['mask']))
  for name, total in totals.items():
    mean = total / count
    if mean.ndim == 0:
      yield name, float(mean)
    else:
      yield from ((f'{name}_{i:02d}', float(x)) for i, x in enumerate(mean))


def active_units(verbs, batches: Batches, threshold: float = 0.01) -> Iterator[tuple[str, float]]:
  """The number of latents with Var_x(E_q[z|x]) > threshold (Burda et al., 2016, section 5.2)."""
  codes, masks = [], []
  for batch in batches():
    codes.append(np.asarray(verbs.encode(batch), np.float64))
    masks.append(np.asarray(batch['mask']) > 0)
  variance = np.concatenate(codes)[np.concatenate(masks)].var(axis=0)
  yield 'active_units', float((variance > threshold).sum())
