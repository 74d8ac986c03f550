"""Processes that train, for tests that kill them or join several: forked from one that has imported what they need.

Imports take longer than a small run. As a program this is the process that forks; JAX is never used in it, as its
threads would be missing from the forks. It reads lines of JSON: [MODULE, LOG, ARGUMENTS] asks for a process that runs
`MODULE.main(*ARGUMENTS)`, what it says goes to the file LOG, and the answer is its number; a number asks for the exit
code of that process, once it has ended.
"""

import atexit
import functools
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys

SECONDS = 300  # after which a process is killed
ROOT = pathlib.Path(__file__).parents[1]


class Process:
  """A process that runs `main(*arguments)` of a module, by its path below tests; its log is a file."""

  def __init__(self, log: pathlib.Path, module: str, *arguments: str | int):
    self.log = log
    self._number = ask([module, str(log), arguments])

  def wait(self) -> int:
    """The exit code; less than 0, the signal that killed it."""
    return ask(self._number)


def ask(question: list | int) -> int:
  """The answer of the process that forks."""
  forking = start_forking()
  forking.stdin.write(json.dumps(question) + '\n')
  forking.stdin.flush()
  return int(forking.stdout.readline())


@functools.cache
def start_forking() -> subprocess.Popen:
  """The process that forks, one for each worker of the tests."""
  forking = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
  atexit.register(forking.communicate)  # ends its input, and thereby it
  return forking


def answer_questions() -> None:
  """Answers each line of the standard input."""
  for line in sys.stdin:
    question = json.loads(line)
    print(wait_for(question) if isinstance(question, int) else fork(*question), flush=True)


def wait_for(number: int) -> int:
  """The exit code of a process, once it has ended."""
  return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def fork(name: str, log: str, arguments: list[str | int]) -> int:
  """The number of a new process that runs `main` of a module and ends."""
  module = importlib.import_module(name)  # before it forks, so that it is imported once for all
  if number := os.fork():
    return number
  signal.alarm(SECONDS)
  with open(log, 'w') as file:  # for what it prints, and the traceback that it may end with
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
  sys.exit(module.main(*arguments))


if __name__ == '__main__':
  sys.path.insert(0, str(ROOT))
  answer_questions()
