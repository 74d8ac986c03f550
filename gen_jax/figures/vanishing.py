"""Why a generator stops learning from a good discriminator: its gradient under both losses of Goodfellow et al. (2014).

With D = sigmoid(f) the generator's gradient is -sigmoid(f) df/dG for log(1 - D) and -(1 - sigmoid(f)) df/dG for
-log D: equal where D knows nothing, f = 0, and the first is gone where D is sure, f << 0 (section 3).
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from gen_jax import build, randomness
from gen_jax.errors import UserError
from gen_jax.networks import ClassifierHead
from gen_jax.training import loop
from gen_jax.training.step import norm, objective
from gen_jax.types import Batch

LOSSES = ('minimax', 'non_saturating')
BATCHES = 8  # over which a norm is averaged


def generator_gradients(config: ConfigDict, counts: Sequence[int]) -> dict[str, np.ndarray]:
  """{loss: norms [len(counts)]} of the generator's gradient after so many steps of the discriminator alone.

  From the start of the run that `config` describes, the generator as it is initialised; `counts` rise. A norm is the
  mean over 8 batches, the same for both losses and all counts.
  """
  data = build.dataset(config, 'train')
  if data.arrays is None:
    raise UserError(f'{config.data.name} is streamed, and this mode needs it on the device: raise data.resident_mib')
  game, process = build.model(config, data), build.preprocessor(config, data, train=True)
  optimizer = build.optimizers(config, game)['discriminator']
  state = loop.fresh_state(config, data, game, build.optimizers(config, game))
  key, rows = randomness.key(config.seed), jnp.arange(config.batch_size, dtype=jnp.int32)
  data_key, model_key = jax.random.split(key)
  batch_of = loop.batches_of(config, data, 1)
  # an auxiliary classifier's cross-entropy is the same under both losses
  head = game.head.clone(generator_weight=0.0) if isinstance(game.head, ClassifierHead) else game.head
  groups = game.players['discriminator'].trains
  arrays = jax.device_put(dict(data.arrays))

  def batch(arrays: Any, step: jax.Array) -> Batch:
    raw = jax.tree.map(lambda x: x[0], batch_of(arrays, step, 0, rows))
    return process(raw | {'row': rows}, jax.random.fold_in(data_key, step))

  @jax.jit
  def play(arrays: Any, params: Any, variables: Any, opt_state: Any, step: jax.Array):
    """One step of the discriminator."""
    trained = {group: params[group] for group in groups if group in params}
    step_key = jax.random.fold_in(model_key, step)
    gradients, (_, changed) = jax.grad(objective, has_aux=True)(
      trained, params, variables, batch(arrays, step), step, step_key, game, 'discriminator_loss'
    )
    updates, opt_state = optimizer.update(gradients, opt_state, trained)
    return params | optax.apply_updates(trained, updates), variables | changed, opt_state

  @functools.partial(jax.jit, static_argnums=0)
  def gradient_norm(loss: str, arrays: Any, params: Any, variables: Any) -> jax.Array:
    """The mean norm of the generator's gradient."""

    def of_batch(i: jax.Array) -> jax.Array:
      gradients, _ = jax.grad(objective, has_aux=True)(
        {'generator': params['generator']}, params, variables, batch(arrays, i), i, jax.random.fold_in(model_key, i),
        game.clone(loss=loss, head=head), 'generator_loss',
      )  # fmt: skip
      return norm(gradients)

    return jax.lax.map(of_batch, jnp.arange(BATCHES, dtype=jnp.int32) + 10**6).mean()  # batches and noise of their own

  params, variables, opt_state = dict(state.params), dict(state.variables), state.opt_state['discriminator']
  found, step = {loss: [] for loss in LOSSES}, 0
  for count in counts:
    for step in range(step, count):  # noqa: B020
      params, variables, opt_state = play(arrays, params, variables, opt_state, jnp.int32(step))
    step = count
    for loss in LOSSES:
      found[loss].append(float(gradient_norm(loss, arrays, params, variables)))
  return {loss: np.array(values) for loss, values in found.items()}
