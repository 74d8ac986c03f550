"""A relay between JAX and its coordination service in process 0, which keeps silent when that is lost.

JAX's client ends its process as soon as the connection to the service breaks, by a fatal error with a C++ stack, and
cannot be told otherwise. Through the relay it sees no break; what happens then is for `gen_jax.training.watch`.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

CHUNK = 2**16  # bytes passed on at a time
RETRY = 0.1  # seconds until it is tried again to connect


def relay_to(host: str, port: int) -> int:
  """A port at 127.0.0.1 whose connections are passed on to (host, port), as long as this process lives."""
  door = socket.create_server(('127.0.0.1', 0))
  in_thread(pass_all_on, door, (host, port))
  return door.getsockname()[1]


def in_thread(function: Callable, *arguments: Any) -> threading.Thread:
  """Runs a function in a thread that does not keep the process alive."""
  thread = threading.Thread(target=function, args=arguments, daemon=True)
  thread.start()
  return thread


def pass_all_on(door: socket.socket, address: tuple[str, int]) -> None:
  """Connects whatever comes through the door with the address."""
  while True:
    inner, _ = door.accept()
    in_thread(pass_both_ways, inner, address)


def pass_both_ways(inner: socket.socket, address: tuple[str, int]) -> None:
  """Waits until somebody listens at the address, then passes on what either side says, until the inner one ends."""
  with inner, connect(address) as outer:
    for side in (inner, outer):
      side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    inward = in_thread(pass_on, outer, inner)
    pass_on(inner, outer)
    with contextlib.suppress(OSError):  # the outer one is lost
      outer.shutdown(socket.SHUT_RDWR)
    inward.join()


def connect(address: tuple[str, int]) -> socket.socket:
  """A connection, as soon as somebody listens."""
  while True:
    with contextlib.suppress(OSError):
      return socket.create_connection(address)
    time.sleep(RETRY)


def pass_on(source: socket.socket, target: socket.socket) -> None:
  """Passes on bytes until the source has no more; where the target is lost, they are dropped."""
  with contextlib.suppress(OSError):
    while data := source.recv(CHUNK):
      with contextlib.suppress(OSError):
        target.sendall(data)
