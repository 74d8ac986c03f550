"""Data sets that are drawn from all combinations of some factors."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax.data.dataset import About, Dataset, Feature
from gen_jax.errors import UserError
from gen_jax.types import Batch


def every_combination(sizes: tuple[int, ...]) -> np.ndarray:
  """int32 [product of sizes, K], the last factor fastest."""
  return np.indices(sizes, np.int32).reshape(len(sizes), -1).T


def split_rows(number: int, split: str) -> np.ndarray:
  """The rows of 'train' (.8), 'validation' (.1) or 'test' (.1) of `number` in all: int64 [N], ascending.

  All rows are ranked by murmur3's fmix32 of their index, a bijection of 32-bit words, so there are no ties:
  the first tenth is the test split, the second tenth the validation split. UserError for any other name.
  """
  tenth = number // 10
  ranks = {'test': slice(tenth), 'validation': slice(tenth, 2 * tenth), 'train': slice(2 * tenth, None)}
  if split not in ranks:
    raise UserError(f"there is no split '{split}': use one of {', '.join(ranks)}.")
  h = np.arange(number, dtype=np.uint32)
  h = (h ^ h >> 16) * np.uint32(0x85EBCA6B)
  h = (h ^ h >> 13) * np.uint32(0xC2B2AE35)
  return np.sort(np.argsort(h ^ h >> 16)[ranks[split]])


def load(
  split: str,
  factor_names: tuple[str, ...],
  factor_sizes: tuple[int, ...],
  render: Callable[[jax.Array], jax.Array],
  levels: int,
) -> Dataset:
  """A split whose rows are factors, uint8 [N,K], which `render` (int32 [B,K] -> images uint8 [B,H,W,C]) draws."""
  every = every_combination(factor_sizes)
  arrays = {'factors': every[split_rows(len(every), split)].astype(np.uint8)}
  shape = jax.eval_shape(render, jax.ShapeDtypeStruct((1, len(factor_sizes)), jnp.int32)).shape[1:]

  def fetch(indices: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[indices] for name, values in arrays.items()}

  def finish(rows: Mapping[str, jax.Array]) -> Batch:
    factors = rows['factors'].astype(jnp.int32)
    return {**rows, 'factors': factors, 'image': render(factors)}

  return Dataset(
    size=len(arrays['factors']),
    features={'image': Feature(shape, levels)},
    num_classes=0,
    factor_sizes=factor_sizes,
    arrays=arrays,
    fetch=fetch,
    finish=finish,
    factor_names=factor_names,
    about=About(split_rule='combinations of factors divided 8 : 1 : 1 by a hash of their number'),
  )
