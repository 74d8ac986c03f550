"""Means over a split of what a model says of each example, such as the ELBO; and the number of active units."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from gen_jax.evaluation.bound import BoundModel
from gen_jax.evaluation.needs import methods, needs, renamed
from gen_jax.evaluation.source import Source, collect
from gen_jax.metrics import Metric, measures


@renamed('terms')
@measures(of_method='per_example')
@needs(methods('per_example'))
def means(model: BoundModel, source: Source) -> Iterator[tuple[str, float]]:
  """The mean over the split of each term of `model.per_example`; a vector term [B,D] gives one value a dimension."""
  totals, count = {}, 0.0
  for batch in source.batches():
    for name, x in model.per_example(batch).items():
      totals[name] = totals.get(name, 0.0) + masked_sum(x, batch['mask'])
    count += float(jnp.sum(batch['mask']))
  for name, total in totals.items():
    mean = total / count
    if mean.ndim == 0:
      yield name, float(mean)
    else:
      yield from ((f'{name}_{i:02d}', float(x)) for i, x in enumerate(mean))


def masked_sum(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """The sum over the rows [B,...] that `mask` [B] keeps, in float64."""
  return np.einsum('b...,b->...', np.asarray(x, np.float64), np.asarray(mask, np.float64))


@measures({'active_units': Metric('the number of latents whose mean varies over the examples')})
@needs(methods('encode'))
def active_units(model: BoundModel, source: Source, threshold: float = 0.01) -> Iterator[tuple[str, float]]:
  """The number of latents with Var_x(E_q[z|x]) > threshold (Burda et al., 2016, section 5.2)."""
  codes = collect(source.batches(), codes=model.encode)['codes']
  yield 'active_units', float((codes.astype(np.float64).var(axis=0) > threshold).sum())
