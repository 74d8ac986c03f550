"""All that knows about devices and processes."""

from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gen_jax.errors import UserError


def data_parallel(step: Callable, streamed: bool = False) -> Callable:
  """`step(state, inputs, count, rows)` on every device, in an axis named 'batch'.

  `state` and `count` are the same on all devices; `rows` [devices, B / devices] are the global rows of each; `inputs`
  are split over the devices in their first axis if `streamed`, else the same on all. Returns what is equal on all
  devices, so nothing is ever replicated or unreplicated by hand.
  """
  # over several processes arrays that are the same on all devices cannot be donated
  donated = (0,) if jax.process_count() == 1 else ()
  in_axes = (None, 0 if streamed else None, None, 0)
  return jax.pmap(step, 'batch', in_axes=in_axes, out_axes=(None, None), donate_argnums=donated)


def local_rows(batch_size: int) -> np.ndarray:
  """The rows of the global batch that this process's devices take, int32 [local devices, batch_size / devices]."""
  if batch_size % jax.device_count():
    raise UserError(
      f'batch_size={batch_size} does not divide over {jax.device_count()} devices: '
      f'choose a multiple of {jax.device_count()}'
    )
  rows = np.arange(batch_size, dtype=np.int32).reshape(jax.process_count(), jax.local_device_count(), -1)
  return rows[jax.process_index()]


def replicate(tree):
  """Copies host arrays to every local device, once."""
  devices = np.arange(jax.local_device_count())
  return jax.pmap(lambda x, _: x, in_axes=(None, 0), out_axes=None)(tree, devices)


def on_all_processes(tree, split: bool = False):
  """This process's arrays as its part of the global ones, which a call that was compiled ahead of time takes.

  `split`: over the devices in the first axis; else they are the same on all.
  """
  if jax.process_count() == 1:
    return tree
  devices = [device for process in range(jax.process_count()) for device in jax.local_devices(process)]
  spec = PartitionSpec('batch') if split else PartitionSpec()
  return multihost_utils.host_local_array_to_global_array(tree, Mesh(devices, ('batch',)), spec)


def split_over_devices(tree):
  """Starts to copy host arrays [devices, ...] to the devices; the copies of several processes start with the call."""
  if jax.process_count() > 1:
    return tree
  sharding = NamedSharding(Mesh(jax.local_devices(), ('batch',)), PartitionSpec('batch'))
  return jax.device_put(tree, sharding)


def to_host(tree):
  """Numpy copies of arrays that are equal on all devices; never views, which a donated buffer would change."""
  return jax.tree.map(lambda x: np.array(x.addressable_data(0) if isinstance(x, jax.Array) else x), tree)


def wait_between_dispatches() -> bool:
  """Whether two dispatches in flight may deadlock: CPU processes whose collectives overtake each other."""
  return jax.process_count() > 1 and jax.default_backend() == 'cpu'


def any_process(flag: bool) -> bool:
  """True on all processes if it is on one, so that all stop at the same step."""
  return flag if jax.process_count() == 1 else bool(multihost_utils.process_allgather(np.array(flag)).any())


def barrier(name: str) -> None:
  """Returns when every process is here."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def is_main() -> bool:
  """Whether this process is the one that writes."""
  return jax.process_index() == 0
