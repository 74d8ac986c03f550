"""Integration of dx/dt = v(x, t) between any two times, forward or backward, by rules alike in form.

A rule is (velocity, x [B,...], t [], h []) -> x at t + h. For the samplers of denoisers see `samplers`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Velocity = Callable[[jax.Array, jax.Array], jax.Array]  # (x [B,...], t []) -> [B,...]


def euler(velocity: Velocity, x: jax.Array, t: jax.Array, h: jax.Array) -> jax.Array:
  """x + h v(x, t), of order 1."""
  return x + h * velocity(x, t)


def heun(velocity: Velocity, x: jax.Array, t: jax.Array, h: jax.Array) -> jax.Array:
  """With the mean of the slopes at both ends of Euler's step, of order 2."""
  slope = velocity(x, t)
  return x + h / 2 * (slope + velocity(x + h * slope, t + h))


RULES = {'ddim': euler, 'heun': heun}  # by config.sampler.name


def integrate(
  name: str,
  velocity: Velocity,
  x: jax.Array,
  start: jax.Array | float,
  end: jax.Array | float,
  steps: jax.Array | int,
) -> jax.Array:
  """x(end) from x(start) = x, by even steps; all numbers may be traced, and nothing is compiled anew for them."""
  h = (end - start) / steps
  return jax.lax.fori_loop(0, steps, lambda i, x: RULES[name](velocity, x, start + i * h, h), x)


def trajectory(
  name: str, velocity: Velocity, x: jax.Array, start: float, end: float, steps: jax.Array | int, frames: int
) -> jax.Array:
  """x at `frames` + 1 even times from `start` to `end`, [frames + 1,B,...].

  By `steps` steps, or somewhat more, so that there are equally many between any two frames.
  """
  times = start + (end - start) * jnp.arange(frames + 1) / frames
  between = -(-steps // frames)

  def move(x, ends):
    x = integrate(name, velocity, x, *ends, between)
    return x, x

  _, states = jax.lax.scan(move, x, (times[:-1], times[1:]))
  return jnp.concatenate([x[None], states])
