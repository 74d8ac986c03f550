"""BoundModel: a model together with its parameters, whose methods are plain compiled functions."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax

from gen_jax import randomness
from gen_jax.errors import UserError


@functools.partial(jax.jit, static_argnums=(0, 1))
def apply(module: nn.Module, method: str | Callable, variables: Any, key: jax.Array, *arguments: Any) -> Any:
  """Compiled once for each module and method, not for each set of variables."""
  return module.apply(variables, *arguments, rngs=key, method=method)


class BoundModel:
  """`BoundModel(module, variables).decode(z, batch)` is `module.decode` applied to the variables, compiled.

  module     a model, see `types.Model`
  variables  {'params': ..., 'batch_stats': ...}, averaged where they should be
  seed       of all noise; what is drawn for an example depends on its batch['row'] too

  `'decode' in model` says whether the module has such a method; asking for one that it lacks, or that asks a batch for
  what this lacks, raises UserError.
  """

  def __init__(self, module: nn.Module, variables: Mapping[str, Any], seed: int = 0):
    self.module = module
    self._variables = variables
    self._key = randomness.key(seed)

  def __contains__(self, method: str) -> bool:
    return callable(getattr(type(self.module), method, None))

  def compute(self, function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(module, *arguments)`, compiled, in which the module's methods may be called."""
    return self.call(function, *arguments)

  def call(self, method: str | Callable[..., Any], *arguments: Any) -> Any:
    """A method of the module, or a function of it and the arguments, compiled."""
    try:
      return apply(self.module, method, self._variables, self._key, *arguments)
    except KeyError as error:
      batch = next((argument for argument in arguments if isinstance(argument, Mapping)), None)
      if batch is None or error.args[0] in batch:
        raise
      raise UserError(missing_in_batch(type(self.module).__name__, str(error.args[0]), batch)) from None

  @property
  def classes(self) -> int:
    """The number of classes that the model is conditional on; 0 if it is not conditional."""
    return self.module.num_classes if getattr(self.module, 'conditional', False) else 0

  def __getattr__(self, method: str) -> Callable[..., Any]:
    if method not in self:
      raise UserError(f'{type(self.module).__name__} has no method {method!r}')
    return functools.partial(self.call, method)


def missing_in_batch(model: str, name: str, batch: Mapping[str, Any]) -> str:
  """What to do about a batch without the array that a model asks it for."""
  meaning = {
    'row': "int32 [B] such as numpy.arange(B), by which each example's noise is keyed",
    'label': 'int32 [B], the class of each example',
  }
  rows = f', {meaning[name]}' if name in meaning else ''
  return f'{model} asks the batch for {name!r}{rows}; this one has {", ".join(batch)}: see gen_jax.types.Batch'
