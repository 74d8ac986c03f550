"""How training spends its time: densities of the noise level, alike in form so that a diff is the idea.

Each maps a quantile u in (0, 1) to sigma. In training a batch has quantiles evenly spaced from a random start, so that
every batch sees the whole density (low-discrepancy or antithetic times; Kingma et al., 2021, appendix I.1). Elsewhere
that of an example must not depend on the batch that it is in.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gen_jax.diffusion.paths import Path

Density = Callable[[Path, jax.Array, float, float], jax.Array]  # (path, u, mean, deviation) -> sigma
EDGE = 1e-6  # of the unit interval: float32 has no quantiles of 0 and 1
GOLDEN = 2_654_435_769  # 2^32 by the golden ratio


def uniform(path: Path, u: jax.Array, mean: float, deviation: float) -> jax.Array:
  """t ~ U(t_min, t_max) (Ho et al., 2020)."""
  del mean, deviation
  return path.sigma(path.t_min + u * (path.t_max - path.t_min))


def log_normal(path: Path, u: jax.Array, mean: float, deviation: float) -> jax.Array:
  """log sigma ~ N(mean, deviation^2) (Karras et al., 2022, table 1)."""
  del path
  return jnp.exp(mean + deviation * jax.scipy.special.ndtri(u))


def logit_normal(path: Path, u: jax.Array, mean: float, deviation: float) -> jax.Array:
  """t = sigmoid(n), n ~ N(mean, deviation^2) (Esser et al., 2024, section 3.1)."""
  t = jax.nn.sigmoid(mean + deviation * jax.scipy.special.ndtri(u))
  return path.sigma(jnp.clip(t, path.t_min, path.t_max))


DENSITIES = {'uniform': uniform, 'log_normal': log_normal, 'logit_normal': logit_normal}


def spaced_quantiles(key: jax.Array, rows: jax.Array) -> jax.Array:
  """(U + row / B) mod 1 of the global rows 0 to B - 1, B their number on all devices: float32 [b] in (0, 1).

  Each is uniform by itself; the start U is one for the whole batch, as `key` is the same on all devices.
  """
  u = (jax.random.uniform(key) + rows / (len(rows) * devices())) % 1
  return jnp.clip(u, EDGE, 1 - EDGE)


def quantiles_of_rows(key: jax.Array, rows: jax.Array) -> jax.Array:
  """(U + row / phi) mod 1, phi the golden ratio: float32 [B] in (0, 1), of consecutive rows nearly evenly spaced.

  That of a row is the same in any batch.
  """
  turn = rows.astype(jnp.uint32) * jnp.uint32(GOLDEN)  # mod 2^32, where float32 would round the product
  u = (jax.random.uniform(key) + turn / 2.0**32) % 1
  return jnp.clip(u, EDGE, 1 - EDGE)


def devices() -> int:
  """How many share a batch; 1 outside of an axis 'batch'."""
  try:
    return jax.lax.axis_size('batch')
  except NameError:  # evaluation
    return 1
