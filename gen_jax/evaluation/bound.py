"""The verbs of a trained model as plain compiled functions."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from gen_jax import randomness
from gen_jax.errors import UserError
from gen_jax.training.state import TrainState
from gen_jax.types import Model


@functools.partial(jax.jit, static_argnums=(0, 1))
def apply(model: Model, verb: str | Callable, variables: Any, key: jax.Array, *arguments: Any) -> Any:
  """Compiled once for each model and verb, not for each state."""
  return model.apply(variables, *arguments, rngs=key, method=verb)


class Verbs:
  """`verbs.decode(z, batch)` is the model's `decode` at a state; the averaged parameters where there are any."""

  def __init__(self, model: Model, state: TrainState, seed: int = 0):
    self._model = model
    variables = {'params': state.params, **state.variables}
    self._variables = {name: tree | state.ema.get(name, {}) for name, tree in variables.items()}
    self._key = randomness.key(seed)

  def __contains__(self, verb: str) -> bool:
    return callable(getattr(type(self._model), verb, None))

  def compute(self, function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(model, *arguments)` compiled, with the model at this state."""
    return apply(self._model, function, self._variables, self._key, *arguments)

  @property
  def classes(self) -> int:
    """How many classes the model is conditional on; 0 if it is not conditional."""
    return self._model.num_classes if getattr(self._model, 'conditional', False) else 0

  def __getattr__(self, verb: str) -> Callable[..., Any]:
    if verb not in self:
      raise UserError(f'{type(self._model).__name__} has no verb {verb!r}')
    return functools.partial(apply, self._model, verb, self._variables, self._key)
