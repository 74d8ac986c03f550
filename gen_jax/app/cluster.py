"""One run on several processes of a cluster."""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from typing import NamedTuple

import jax
from jax._src.clusters import ClusterEnv  # for 'auto'; jax.distributed.initialize keeps what it finds to itself

from gen_jax.errors import UserError, show
from gen_jax.training import parallel
from gen_jax.training.relay import relay_to
from gen_jax.training.watch import Watch, call_roll

FORM = "'auto' or ADDRESS:PORT,PROCESSES,ID"
NEVER = 10**8  # seconds after which JAX itself would miss a process: the watch sees it earlier, and says it
SETTLING = 10.0  # seconds in which the watch finds out that another process is the reason of an error here


class Place(NamedTuple):
  """That of this process among those of a run."""

  host: str  # of process 0
  port: int
  processes: int
  index: int
  local_devices: list[int] | None = None  # None: all


def parse(spec: str, timeout: int) -> Place:
  """The place that --distributed says, or where it is 'auto', the cluster. UserError where it says none."""
  if spec == 'auto':
    address, processes, index, devices = ClusterEnv.auto_detect_unset_distributed_params(*[None] * 5, timeout)
    if None in (address, processes, index):
      raise UserError('--distributed=auto: no cluster is found that says who is who; name ADDRESS:PORT,PROCESSES,ID')
    host, port = address.rsplit(':', 1)
    return Place(host, int(port), processes, index, devices and list(devices))
  match = re.fullmatch(r'(.+):(\d+),(\d+),(\d+)', spec)
  if not match:
    raise UserError(f'--distributed={spec}: write {FORM}')
  host, (port, processes, index) = match[1].strip('[]'), map(int, match.groups()[1:])
  if not 0 < port < 2**16:
    raise UserError(f'--distributed={spec}: the port must lie between 1 and 65535; write {FORM}')
  if processes < 1:
    raise UserError(f'--distributed={spec}: there is at least one process; write {FORM}')
  if not index < processes:
    raise UserError(f'--distributed={spec}: of {processes} processes, IDs are 0 to {processes - 1}; write {FORM}')
  return Place(host, port, processes, index)


@contextlib.contextmanager
def joined(spec: str, timeout: int) -> Iterator[None]:
  """Inside, this process is one of several; all leave together.

  Ends this process, after one line, where another one is gone, has failed, or does not answer for `timeout` seconds.

  Raises:
    UserError: the place is none; others have not come in time.
  """
  place = parse(spec, timeout)
  links, port = call_roll(place.host, place.port, place.processes, place.index, timeout)
  watch = Watch(links, parallel.meetings, timeout, end_process)
  watch.start()
  try:
    begin(place, port, timeout)
    yield
  except KeyboardInterrupt as error:
    if str(error):  # that the run is saved, to which all have come
      watch.leave(timeout=SETTLING)
    else:
      watch.fail('interrupted')
    raise
  except (UserError, OSError) as error:
    watch.fail(str(error))
    raise
  except Exception as error:
    time.sleep(SETTLING)
    watch.fail(f'{type(error).__name__}: {" ".join(str(error).split())[:200]}')
    raise
  watch.leave()
  jax.distributed.shutdown()


def begin(place: Place, port: int, timeout: int) -> None:
  """Begins JAX on all processes; `port` is that of its coordination service, in process 0."""
  host = place.host
  if place.index:
    host, port = '127.0.0.1', relay_to(host, port)
  bypass_proxies(host)
  jax.config.update('jax_enable_preemption_service', False)  # signals are heard by `gen_jax.signals`
  jax.distributed.initialize(
    f'[{host}]:{port}' if ':' in host else f'{host}:{port}',
    place.processes,
    place.index,
    place.local_devices,
    heartbeat_timeout_seconds=NEVER,
    shutdown_timeout_seconds=timeout,
  )


def bypass_proxies(host: str) -> None:
  """Keeps gRPC from asking a proxy of the network for this host, where there is one."""
  if {name.lower() for name in os.environ} & {'grpc_proxy', 'http_proxy', 'https_proxy'}:
    name, others = 'no_grpc_proxy', os.environ.get('no_proxy', '')
    os.environ[name] = f'{os.environ.get(name, others)},{host}'.lstrip(',')


def end_process(line: str) -> None:
  """Ends this process at once, as its main thread may wait for ever."""
  show(f'error: {line}')
  os._exit(2)
