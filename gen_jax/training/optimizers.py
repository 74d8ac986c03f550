"""Optax chains from plain numbers."""

import optax


def learning_rate_schedule(
  learning_rate: float, schedule: str, warmup_steps: int, decay_steps: int
) -> optax.Schedule:
  """A linear warm-up from 0, then 'constant', or 'cosine' down to 0 at `decay_steps` (warm-up included)."""
  after = {
    'constant': lambda: optax.constant_schedule(learning_rate),
    'cosine': lambda: optax.cosine_decay_schedule(learning_rate, max(decay_steps - warmup_steps, 1)),
  }[schedule]()
  if not warmup_steps:
    return after
  warmup = optax.linear_schedule(0.0, learning_rate, warmup_steps)
  return optax.join_schedules([warmup, after], [warmup_steps])


def adam(
  schedule: optax.Schedule, b1: float, b2: float, eps: float, weight_decay: float, clip_norm: float
) -> optax.GradientTransformation:
  """Adam, with decoupled weight decay (AdamW) and clipping by the global gradient norm where these are not 0."""
  clip = [optax.clip_by_global_norm(clip_norm)] if clip_norm else []
  # as in optax.adamw, where a decay of 0 would still read every parameter
  decay = optax.add_decayed_weights(weight_decay) if weight_decay else optax.identity()
  adamw = optax.chain(optax.scale_by_adam(b1, b2, eps), decay, optax.scale_by_learning_rate(schedule))
  return optax.chain(*clip, adamw)
