"""Which example of B belongs to an example of A in a batch whose sides are no pairs: minibatch optimal transport.

(Fatras et al., 2020; Tong et al., 2023.)
"""

import jax
import jax.numpy as jnp
import optax

ROUNDS, DECAY = 200, 0.9  # of Sinkhorn; the temperature of a round by that before, until it is low enough


def squared_distances(a: jax.Array, b: jax.Array) -> jax.Array:
  """|a_i - b_j|^2 of examples [B,...], summed over dimensions, [B,B].

  No shift of a side and no scale of it changes an assignment by these: sum_i |a_i - b_p(i)|^2 is, up to terms that are
  equal for all permutations p, -2 sum_i a_i . b_p(i). So colors of one side need not be brought to those of the other.
  """
  a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
  return (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * jnp.matmul(a, b.T, precision='highest')


def optimal(costs: jax.Array) -> jax.Array:
  """The permutation p of least sum_i costs[i,p(i)], int32 [B]: the Hungarian algorithm, exact up to rounding."""
  places_a, places_b = optax.assignment.hungarian_algorithm(costs)
  return jnp.zeros(len(costs), jnp.int32).at[places_a].set(places_b.astype(jnp.int32))


def entropic(costs: jax.Array, temperature: jax.Array | float, keys: jax.Array) -> jax.Array:
  """p(i) ~ pi(. | i) of the plan that minimizes <pi, costs> - temperature H(pi), by a key for each i: int32 [B].

  With costs |a - b|^2 and temperature 2 sigma^2 that is how a Schroedinger bridge joins the ends, whose reference is a
  Brownian motion of variance sigma^2 t (Leonard, 2014). By Sinkhorn's iteration on potentials f and g (Cuturi, 2013),
  from a high temperature down; both marginals are uniform, so an example of B is drawn once on average.
  """

  def balance(i, f):
    t = jnp.maximum(temperature, jnp.ptp(costs) * DECAY**i)
    g = -t * jax.nn.logsumexp((f[:, None] - costs) / t, axis=0)
    return -t * jax.nn.logsumexp((g[None] - costs) / t, axis=1)

  f = jax.lax.fori_loop(0, ROUNDS, balance, jnp.zeros(len(costs)))
  g = -temperature * jax.nn.logsumexp((f[:, None] - costs) / temperature, axis=0)
  return jax.vmap(jax.random.categorical)(keys, (g[None] - costs) / temperature).astype(jnp.int32)
