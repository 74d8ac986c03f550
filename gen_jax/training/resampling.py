"""The weights of resampling, computed anew from the model as it is, inside the compiled loop."""

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax import build, randomness
from gen_jax.build import Task
from gen_jax.data.resampling import positives_of, state_of_weights
from gen_jax.schedules import step_variables
from gen_jax.training.state import TrainState

CHUNK = 256  # positives that a device has the model look at, at a time

Inputs = Mapping[str, jax.Array]  # the arrays of the data set


def steps_of_epoch(task: Task) -> int:
  """The training steps in which as many positives are drawn as there are."""
  rule = task.resampling
  number = len(task.data.initial_state['weights'])
  return math.ceil(number / round(rule.share * task.config.batch_size))


def update_of(task: Task) -> Callable[[TrainState, Inputs, jax.Array], TrainState]:
  """(state, inputs, seed) -> the state before its step, its weights computed anew every `every` steps of the rule.

  Each device has the model look at a part of the positives, as they are in evaluation.
  """
  rule, data = task.resampling, task.data
  every, positives = rule.every or steps_of_epoch(task), positives_of(data, rule)
  preprocess = build.preprocessor(task.config, data, train=False)
  groups = data.arrays[rule.attribute][positives] if hasattr(rule, 'attribute') else None

  def values_of(state: TrainState, inputs: Inputs, index: jax.Array) -> jax.Array:
    """What the rule's method says of examples [CHUNK]."""
    batch = data.finish({name: array[index] for name, array in inputs.items()} | {'index': index, 'row': index})
    variables = {'params': state.params, **state.variables, **step_variables(state.step)}
    key = randomness.key(0)
    return task.model.apply(variables, preprocess(batch, key), rngs=key, method=rule.method)

  def all_values(state: TrainState, inputs: Inputs) -> jax.Array:
    """What it says of all positives, [P, ...]."""
    devices = jax.lax.axis_size('batch')
    chunks = math.ceil(len(positives) / (devices * CHUNK))
    parts = jnp.asarray(np.resize(positives, (devices, chunks, CHUNK)))  # from the start again, to fill the last
    own = jax.lax.map(lambda index: values_of(state, inputs, index), parts[jax.lax.axis_index('batch')])
    values = jax.lax.all_gather(own, 'batch')  # [devices, chunks, CHUNK, ...]
    return values.reshape(-1, *values.shape[3:])[: len(positives)]

  def new_data(state: TrainState, inputs: Inputs, seed: jax.Array) -> dict[str, jax.Array]:
    """`TrainState.data` with new weights."""
    values, time = all_values(state, inputs) if rule.method else None, state.data['time']
    return state_of_weights(rule.weights(values, groups, state.data['weights'], time, seed), time + 1)

  def update(state: TrainState, inputs: Inputs, seed: jax.Array) -> TrainState:
    """The state before a step."""
    due = state.step % every == 0
    return state._replace(data=jax.lax.cond(due, new_data, lambda state, *_: state.data, state, inputs, seed))

  return update
