"""One run on several processes of a cluster."""

import jax

from gen_jax.errors import UserError


def join_processes(spec: str) -> None:
  """Makes this process one of several: 'auto' where the cluster says which, else ADDRESS:PORT,PROCESSES,ID."""
  try:
    if spec == 'auto':
      jax.distributed.initialize()
    else:
      address, processes, index = spec.split(',')
      jax.distributed.initialize(address, int(processes), int(index))
  except (ValueError, RuntimeError) as error:
    reason = str(error).splitlines()[0]
    raise UserError(f"--distributed={spec}: {reason}; write 'auto' or ADDRESS:PORT,PROCESSES,ID") from None
