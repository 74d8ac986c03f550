"""How much of the machine other processes take, by Linux's /proc; 0 elsewhere."""

import os
import pathlib
import time
from collections.abc import Sequence

PROC = pathlib.Path('/proc')


def busy_seconds() -> float:
  """Core-seconds used since the machine started, by all processes and by other guests of its host."""
  user, nice, system, _, _, irq, softirq, steal, *_ = map(int, (PROC / 'stat').read_text().split('\n')[0].split()[1:])
  return (user + nice + system + irq + softirq + steal) / os.sysconf('SC_CLK_TCK')


def seconds_of(process: int) -> float:
  """Core-seconds that one process has used, all its threads together."""
  # the name, in brackets, may hold spaces; user and system time are the 12th and 13th words after it
  fields = (PROC / str(process) / 'stat').read_text().rpartition(')')[2].split()
  return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class Others:
  """The cores that others than these processes keep busy, from the moment it is made."""

  def __init__(self, processes: Sequence[int]):
    self._processes, self._there = (*processes, os.getpid()), (PROC / 'stat').exists()
    self._begin, self._used = time.monotonic(), self._seconds()

  def _seconds(self) -> float:
    return busy_seconds() - sum(map(seconds_of, self._processes)) if self._there else 0.0

  def cores(self) -> float:
    """Their mean number."""
    return max(0.0, self._seconds() - self._used) / (time.monotonic() - self._begin)


def wait_for_calm(processes: Sequence[int], cores: float, seconds: float) -> None:
  """Returns when others keep at most so many cores busy, or after so many seconds."""
  begin = time.monotonic()
  while time.monotonic() - begin < seconds:
    others = Others(processes)
    time.sleep(0.3)
    if others.cores() <= cores:
      return
