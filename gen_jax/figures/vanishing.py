"""Why a generator stops learning from a good discriminator: its gradient under both losses of Goodfellow et al. (2014).

With D = sigmoid(f) the generator's gradient is -sigmoid(f) df/dG for log(1 - D) and -(1 - sigmoid(f)) df/dG for
-log D: equal where D knows nothing, f = 0, and the first is gone where D is sure, f << 0 (section 3).
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from gen_jax import build, randomness
from gen_jax.data.dataset import Dataset
from gen_jax.errors import UserError
from gen_jax.evaluation.source import Source
from gen_jax.figures.figure import Output, Picture, Text, figure
from gen_jax.plots import gradient_norms
from gen_jax.runs import Run
from gen_jax.training import dispatch, loop
from gen_jax.training.step import norm, objective
from gen_jax.types import Batch

LOSSES = ('minimax', 'non_saturating')
BATCHES = 8  # over which a norm is averaged
DISCRIMINATOR_STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200)


def two_logistic_players(model: Any, source: Source) -> str | None:
  """A generator and a discriminator that train by one of the losses of Goodfellow et al. (2014)."""
  if {'generator', 'discriminator'} <= set(model.players) and model.loss in LOSSES:
    return None
  return f'needs a GAN of loss {" or ".join(LOSSES)}; this is a {type(model).__name__}'


@figure(
  "the generator's gradient while only the discriminator learns: figures/vanishing.png",
  needs=(two_logistic_players,),
  place=110,
)
def vanish(run: Run) -> Iterator[Output]:
  """The gradient under both losses, from the start of the run's config: the generator stays as it is initialized."""
  norms = generator_gradients(run.config, DISCRIMINATOR_STEPS, run.source.open('train'))
  for loss, values in norms.items():
    yield Text(f'{loss}: ' + ', '.join(f'{n}: {x:.3g}' for n, x in zip(DISCRIMINATOR_STEPS, values, strict=True)))
  canvas = gradient_norms.gradient_curves(DISCRIMINATOR_STEPS, norms)
  yield Picture('vanishing', canvas, "The generator's gradient while only the discriminator learns")


def generator_gradients(
  config: ConfigDict, counts: Sequence[int], data: Dataset | None = None
) -> dict[str, np.ndarray]:
  """{loss: norms [len(counts)]} of the generator's gradient after so many steps of the discriminator alone.

  From the start of the run that `config` describes, the generator as it is initialized; `counts` rise. A norm is the
  mean over 8 batches, the same for both losses and all counts. `data`: the training split, if it is open.
  """
  task = build.task(config, data=data)
  data, model, optimizer = task.data, task.model, task.optimizers['discriminator']
  if data.arrays is None:
    raise UserError(f'{config.data.name} is streamed, and this mode needs it on the device: raise data.resident_mib')
  state, seed = loop.fresh_state(task), np.uint32(config.seed)
  key, rows = randomness.key(config.seed), jnp.arange(config.batch_size, dtype=jnp.int32)
  data_key, model_key = jax.random.split(key)
  batch_of = dispatch.resident_batch(data, config.batch_size, 1)
  # an auxiliary classifier's cross-entropy is the same under both losses
  head = model.head.clone(generator_weight=0.0) if hasattr(model.head, 'generator_weight') else model.head
  groups = model.players['discriminator'].trains
  arrays = jax.device_put(dict(data.arrays))

  def batch_at(arrays: Any, step: jax.Array) -> Batch:
    raw = jax.tree.map(lambda x: x[0], batch_of(arrays, state._replace(step=step), seed, 0, rows))
    return task.preprocess(raw | {'row': rows}, jax.random.fold_in(data_key, step))

  @jax.jit
  def discriminator_step(arrays: Any, params: Any, variables: Any, opt_state: Any, step: jax.Array):
    """The discriminator's parameters after one more step, its variables and the state of its optimizer."""
    trained = {group: params[group] for group in groups if group in params}
    step_key = jax.random.fold_in(model_key, step)
    gradients, (_, changed) = jax.grad(objective, has_aux=True)(
      trained, params, variables, batch_at(arrays, step), step, step_key, model, 'discriminator_loss'
    )
    updates, opt_state = optimizer.update(gradients, opt_state, trained)
    return params | optax.apply_updates(trained, updates), variables | changed, opt_state

  @functools.partial(jax.jit, static_argnums=0)
  def gradient_norm(loss: str, arrays: Any, params: Any, variables: Any) -> jax.Array:
    """The mean norm of the generator's gradient."""

    def of_batch(i: jax.Array) -> jax.Array:
      gradients, _ = jax.grad(objective, has_aux=True)(
        {'generator': params['generator']}, params, variables, batch_at(arrays, i), i, jax.random.fold_in(model_key, i),
        model.clone(loss=loss, head=head), 'generator_loss',
      )  # fmt: skip
      return norm(gradients)

    return jax.lax.map(of_batch, jnp.arange(BATCHES, dtype=jnp.int32) + 10**6).mean()  # batches and noise of their own

  params, variables, opt_state = dict(state.params), dict(state.variables), state.opt_state['discriminator']
  norms, step = {loss: [] for loss in LOSSES}, 0
  for count in counts:
    while step < count:
      params, variables, opt_state = discriminator_step(arrays, params, variables, opt_state, jnp.int32(step))
      step += 1
    for loss in LOSSES:
      norms[loss].append(float(gradient_norm(loss, arrays, params, variables)))
  return {loss: np.array(values) for loss, values in norms.items()}
