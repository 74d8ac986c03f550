"""A batch shared by devices, by `jax.pmap` or `jax.shard_map`, and all else that knows of devices and processes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gen_jax.errors import UserError

SAME, SPLIT = PartitionSpec(), PartitionSpec('batch')  # on all devices; over them in the first axis

_meetings = 0  # see `meetings`


def meetings() -> int:
  """How often this process has come to a place where all processes wait for each other."""
  return _meetings


def count_meeting() -> None:
  """Called at these places, so that others can tell that this process goes on."""
  global _meetings
  _meetings += 1


def donated_arguments() -> tuple[int, ...]:
  """The state, whose memory a step may use again; over several processes what is equal on all cannot be donated."""
  return (0,) if jax.process_count() == 1 else ()


def by_pmap(step: Callable, streamed: bool) -> Callable:
  """`data_parallel` by `jax.pmap`."""
  in_axes = (None, 0 if streamed else None, None, None, 0)
  return jax.pmap(step, 'batch', in_axes=in_axes, out_axes=(None, None), donate_argnums=donated_arguments())


def by_shard_map(step: Callable, streamed: bool) -> Callable:
  """`data_parallel` by `jax.shard_map`, of which `jax.pmap` is made today."""

  def step_of_device(state, inputs, seed, count, rows):
    """A shard of what is split has a first axis of 1."""
    inputs = jax.tree.map(lambda x: x[0], inputs) if streamed else inputs
    return step(state, inputs, seed, count, rows[0])

  mesh = mesh_of_devices()
  specs = (SAME, SPLIT if streamed else SAME, SAME, SAME, SPLIT)
  sharded = jax.shard_map(step_of_device, mesh=mesh, in_specs=specs, out_specs=(SAME, SAME), check_vma=False)
  shardings = tuple(NamedSharding(mesh, spec) for spec in specs)
  return ShardedStep(jax.jit(sharded, in_shardings=shardings, donate_argnums=donated_arguments()), streamed)


class ShardedStep(NamedTuple):
  """A step whose arguments are, as those of `jax.pmap`, the parts of this process."""

  step: Any  # jitted, which takes global arrays
  streamed: bool

  def __call__(self, *arguments: Any) -> Any:
    """The state and the metrics after it."""
    return self.step(*self.on_all(*arguments))

  def lower(self, *arguments: Any) -> Any:
    """As that of a jitted function."""
    return self.step.lower(*self.on_all(*arguments))

  def on_all(self, state: Any, inputs: Any, seed: Any, count: Any, rows: Any) -> tuple[Any, ...]:
    """The arguments as global arrays."""
    return state, on_all_processes(inputs, self.streamed), seed, count, on_all_processes(rows, split=True)


BY_NAME = {'pmap': by_pmap, 'shard_map': by_shard_map}  # the values of config.data_parallel


def data_parallel(step: Callable, streamed: bool = False, how: str = 'pmap') -> Callable:
  """`step(state, inputs, seed, count, rows)` on every device, in an axis named 'batch'.

  `state`, `seed` and `count` are the same on all devices; `rows` [devices, B / devices] are the global rows of each;
  `inputs` are split over the devices in their first axis if `streamed`, else the same on all. Returns what is equal on
  all devices, so nothing is ever replicated or unreplicated by hand. `how` changes no bit of the results.
  """
  return BY_NAME[how](step, streamed)


def local_rows(batch_size: int) -> np.ndarray:
  """The rows of the global batch that this process's devices take, int32 [local devices, batch_size / devices]."""
  if batch_size % jax.device_count():
    raise UserError(
      f'batch_size={batch_size} does not divide over {jax.device_count()} devices: '
      f'choose a multiple of {jax.device_count()}'
    )
  rows = np.arange(batch_size, dtype=np.int32).reshape(jax.process_count(), jax.local_device_count(), -1)
  return rows[jax.process_index()]


def mesh_of_devices() -> Mesh:
  """All devices, those of a process beside each other, in one axis named 'batch'."""
  return Mesh([d for process in range(jax.process_count()) for d in jax.local_devices(process)], ('batch',))


def replicate(tree):
  """Copies host arrays to every local device, once."""
  return jax.device_put(tree, NamedSharding(Mesh(jax.local_devices(), ('batch',)), SAME))


def on_all_processes(tree, split: bool = False):
  """This process's arrays as its part of the global ones, which a call that was compiled ahead of time takes.

  `split`: over the devices in the first axis; else they are the same on all.
  """
  if jax.process_count() == 1:
    return tree
  return multihost_utils.host_local_array_to_global_array(tree, mesh_of_devices(), SPLIT if split else SAME)


def split_over_devices(tree):
  """Starts to copy host arrays [devices, ...] to the devices; the copies of several processes start with the call."""
  if jax.process_count() > 1:
    return tree
  return jax.device_put(tree, NamedSharding(Mesh(jax.local_devices(), ('batch',)), SPLIT))


def to_host(tree):
  """Numpy copies of arrays that are equal on all devices; never views, which a donated buffer would change."""
  return jax.tree.map(lambda x: np.array(x.addressable_data(0) if isinstance(x, jax.Array) else x), tree)


def wait_between_dispatches() -> bool:
  """Whether two dispatches in flight may deadlock: CPU processes whose collectives overtake each other."""
  return jax.process_count() > 1 and jax.default_backend() == 'cpu'


def highest(number: int) -> int:
  """The highest of all processes' numbers, so that all stop at the same step, for the same reason."""
  count_meeting()
  return number if jax.process_count() == 1 else int(multihost_utils.process_allgather(np.array(number)).max())


def barrier(name: str) -> None:
  """Returns when every process is here."""
  count_meeting()
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def is_main() -> bool:
  """Whether this process is the one that writes."""
  return jax.process_index() == 0
