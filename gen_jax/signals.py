"""SIGINT (Ctrl-C) and SIGTERM, by which a cluster ends a job: when they are obeyed."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from gen_jax.errors import Interrupted


@contextlib.contextmanager
def handled(handler: Callable, *numbers: int) -> Iterator[Callable[[], None]]:
  """Calls `handler(number, frame)` for these signals inside, and yields what ends that earlier.

  In another thread than the main one, which alone gets signals, nothing is changed.
  """
  in_main_thread = threading.current_thread() is threading.main_thread()
  previous = {number: signal.signal(number, handler) for number in numbers} if in_main_thread else {}

  def restore() -> None:
    while previous:
      signal.signal(*previous.popitem())

  try:
    yield restore
  finally:
    restore()


@contextlib.contextmanager
def sigterm_interrupts() -> Iterator[None]:
  """SIGTERM ends what is inside as Ctrl-C does: by an exception, `Interrupted`."""

  def interrupt(number, frame):
    del frame
    raise Interrupted(number)

  with handled(interrupt, signal.SIGTERM):
    yield


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
  """Collects SIGTERM and SIGINT instead of obeying them, and says so; a second one is obeyed at once."""
  received = []

  def note(number, frame):
    del frame
    received.append(number)
    restore()
    # print is not safe here: the signal may have come in the midst of another one
    os.write(sys.__stderr__.fileno(), b'stopping as soon as this is saved; a second signal stops at once\n')

  with handled(note, signal.SIGTERM, signal.SIGINT) as restore:
    yield received
