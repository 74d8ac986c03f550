"""Noise that does not depend on how a batch is split over devices."""

import jax


def row_keys(key: jax.Array, rows: jax.Array) -> jax.Array:
  """One key for each global row: [B] keys from `key` and int32 `rows` [B]."""
  return jax.vmap(jax.random.fold_in, (None, 0))(key, rows)
