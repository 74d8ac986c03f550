"""Waves of given magnitudes: Griffin and Lim's (1984) algorithm, plain and fast.

A spectrum is consistent where it is that of a wave. Its projections are P_1 = stft(istft(.)) on the consistent spectra
and P_2, which keeps the phases and sets the magnitudes, on those that are wanted.
"""

import functools

import jax
import jax.numpy as jnp

from gen_jax.audio.stft import istft, stft


@functools.partial(jax.jit, static_argnames=('hop', 'length'))
def griffin_lim(
  magnitudes: jax.Array, start: jax.Array, hop: int, length: int, iterations: int = 60, momentum: float = 0.99
) -> jax.Array:
  """The wave float32 [length] whose spectrum has nearly these magnitudes [T,F]; T = 1 + ceil(length / hop).

  c_n = P_1(P_2(t_{n-1})), t_n = c_n + momentum (c_n - c_{n-1}) (Perraudin, Balazs and Sondergaard, 2013, algorithm 2);
  with a momentum of 0 it is the plain algorithm, in which |c_n| never moves away from the magnitudes.

  Args:
    magnitudes: of the spectrum that is wanted.
    start: complex [T,F], of which only the phases count: those of a source, or random ones.
    hop: samples from a frame to the next.
    length: of the wave, samples.
    iterations: 0 takes the phases of `start` as they are.
    momentum: below 1.
  """
  size = 2 * (magnitudes.shape[1] - 1)

  def step(_, spectra):
    before, ahead = spectra
    consistent = stft(istft(with_magnitudes(ahead, magnitudes), hop, length), size, hop)
    return consistent, consistent + momentum * (consistent - before)

  start = with_magnitudes(start, magnitudes)
  _, ahead = jax.lax.fori_loop(0, iterations, step, (start, start))
  return istft(with_magnitudes(ahead, magnitudes), hop, length)


def with_magnitudes(spectrum: jax.Array, magnitudes: jax.Array) -> jax.Array:
  """A spectrum [T,F] with its phases, and these magnitudes; where it is 0 the phase is 0."""
  size = jnp.abs(spectrum)
  return magnitudes * jnp.where(size > 0, spectrum / jnp.where(size > 0, size, 1), 1)


def spectral_convergence(spectrum: jax.Array, magnitudes: jax.Array) -> jax.Array:
  """|| |spectrum| - magnitudes || / || magnitudes ||, of [T,F] each: 0 for a wave that has the magnitudes."""
  return jnp.linalg.norm(jnp.abs(spectrum) - magnitudes) / jnp.linalg.norm(magnitudes)
