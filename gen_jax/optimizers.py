"""Optax chains from plain numbers."""

import jax
import jax.numpy as jnp
import optax


def learning_rate_schedule(
  learning_rate: float, schedule: str, warmup_steps: int, decay_steps: int, final: float = 0.0
) -> optax.Schedule:
  """A linear warm-up from 0, then 'constant', or 'cosine' or 'linear' to `final` at `decay_steps` (warm-up included).

  'constant_linear' is constant for the first half of the steps after the warm-up, then linear (Zhu et al., 2017).
  """
  rest = max(decay_steps - warmup_steps, 1)
  after = {
    'constant': lambda: optax.constant_schedule(learning_rate),
    'cosine': lambda: optax.cosine_decay_schedule(learning_rate, rest, alpha=final / learning_rate),
    'linear': lambda: optax.linear_schedule(learning_rate, final, rest),
    'constant_linear': lambda: optax.linear_schedule(learning_rate, final, rest - rest // 2, rest // 2),
  }[schedule]()
  if not warmup_steps:
    return after
  warmup = optax.linear_schedule(0.0, learning_rate, warmup_steps)
  return optax.join_schedules([warmup, after], [warmup_steps])


def cosine_schedule(start: float, end: float, steps: int) -> optax.Schedule:
  """From `start` to `end` in `steps`, by half a period of the cosine."""
  fall = optax.cosine_decay_schedule(1.0, steps)
  return lambda count: end + (start - end) * fall(count)


def begin_at(schedule: optax.Schedule, update: int) -> optax.Schedule:
  """The schedule for an optimizer that begins at an update, and counts from there."""
  return (lambda count: schedule(count + update)) if update else schedule


def clip_weights(bound: float) -> optax.GradientTransformation:
  """Brings every parameter to [-bound, bound] after its update (Arjovsky et al., 2017, algorithm 1)."""

  def update(updates, state, params):
    clipped = jax.tree.map(lambda p, u: jnp.clip(p + u, -bound, bound) - p, params, updates)
    return clipped, state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def adam(
  schedule: optax.Schedule,
  b1: float,
  b2: float | optax.Schedule,
  eps: float,
  weight_decay: float,
  clip_norm: float,
  clip: float = 0.0,
) -> optax.GradientTransformation:
  """Adam, with decoupled weight decay (AdamW), and clipping of the global gradient norm and of the weights if not 0."""
  first = [optax.clip_by_global_norm(clip_norm)] if clip_norm else []
  last = [clip_weights(clip)] if clip else []
  # as in optax.adamw, where a decay of 0 would still read every parameter
  decay = optax.add_decayed_weights(weight_decay) if weight_decay else optax.identity()
  moments = optax.scale_by_adam
  if callable(b2):
    moments = optax.inject_hyperparams(moments, static_args=('b1', 'eps', 'eps_root'))
  adamw = optax.chain(moments(b1=b1, b2=b2, eps=eps), decay, optax.scale_by_learning_rate(schedule))
  return optax.chain(*first, adamw, *last)
