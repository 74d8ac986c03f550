"""The processes that are measured: each runs one side, ours or PyTorch's, and answers questions about it."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

ROOT = pathlib.Path(__file__).resolve().parents[2]


class BenchmarkError(Exception):
  """One line that says what stands in the way."""


def environment(caches: str) -> dict[str, str]:
  """That of a worker: compiled programs are kept in the folder `caches` alone, so what is new there compiles anew.

  JAX takes memory of a GPU as it needs it, not most of it at once: other workers need some too.
  """
  paths = [str(ROOT), str(ROOT / 'tests'), *filter(None, [os.environ.get('PYTHONPATH')])]
  return {
    **os.environ,
    'PYTHONPATH': os.pathsep.join(paths),
    'JAX_COMPILATION_CACHE_DIR': f'{caches}/jax',
    # as `launch.py` sets it
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': os.environ.get('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.2'),
    'TORCHINDUCTOR_CACHE_DIR': f'{caches}/inductor',
    'XLA_PYTHON_CLIENT_PREALLOCATE': 'false',
  }


class Worker:
  """A process `python -m MODULE` that answers questions, as `serve.py` does; what it says besides goes to `log`."""

  def __init__(self, python: str, module: str, caches: str, log: IO[str]):
    self._name, self._log, self._late = module.rpartition('.')[2], log, False
    self._said = tempfile.NamedTemporaryFile('r', errors='replace')  # noqa: SIM115, `close` closes it
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
    with open(self._said.name, 'w') as said:
      # a group of its own, as compilers leave processes behind when theirs is killed
      self._process = subprocess.Popen(
        [python, '-m', module], env=environment(caches), cwd=ROOT, stderr=said, start_new_session=True, **pipes
      )

  @property
  def pid(self) -> int:
    return self._process.pid

  def ask(self, do: str, seconds_left: float = threading.TIMEOUT_MAX, **arguments: Any) -> Any:
    """The worker's answer; BenchmarkError with the reason where there is none, or none in time, which ends it."""
    timer = threading.Timer(max(0.0, seconds_left), self._end_late)
    timer.daemon, begin = True, time.monotonic()
    timer.start()
    try:
      with contextlib.suppress(BrokenPipeError):
        print(json.dumps({'do': do, **arguments}), file=self._process.stdin, flush=True)
      line = self._process.stdout.readline()
    finally:
      timer.cancel()
    if not line:
      raise BenchmarkError(f'{self._name}.py {do}: {self._why_it_ended(time.monotonic() - begin)}')
    reply = json.loads(line)
    if 'error' in reply:
      raise BenchmarkError(f'{self._name}.py {do}: {reply["error"]}')
    return reply['answer']

  def _end_late(self) -> None:
    self._late = True
    self._kill()

  def _kill(self) -> None:
    with contextlib.suppress(ProcessLookupError):
      os.killpg(self._process.pid, signal.SIGKILL)

  def _why_it_ended(self, seconds: float) -> str:
    code = self._process.wait()
    if self._late:
      return f'ended after {seconds:.0f} s, as no time was left'
    last = next((line.strip() for line in reversed(self._said.readlines()) if line.strip()), 'without a word')
    return f'ended with exit code {code}: {last[:200]}'

  def close(self) -> None:
    """Ends the process, and those that it has started."""
    if self._said.closed:
      return
    with contextlib.suppress(subprocess.TimeoutExpired):
      self._process.communicate(timeout=5)  # closes its input, at which it ends
    self._kill()
    self._process.communicate()
    self._said.seek(0)
    self._log.write(self._said.read())
    self._log.flush()
    self._said.close()


def start_sides(
  ours: Sequence[str], modes: Sequence[str], torch_python: str, log: IO[str]
) -> tuple[contextlib.ExitStack, dict[str, Worker]]:
  """{name: a process} of our side, for each of these names, and of PyTorch's, for each mode; and what ends them all.

  They share caches of compiled programs, which are empty at first.
  """
  with contextlib.ExitStack() as stack:
    caches = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))

    def start(python: str, module: str) -> Worker:
      return stack.enter_context(contextlib.closing(Worker(python, module, caches, log)))

    workers = {name: start(sys.executable, 'benchmarks.ours') for name in ours}
    workers |= {mode: start(torch_python, 'benchmarks.peers') for mode in modes}
    return stack.pop_all(), workers


def machine(about: Mapping[str, Any]) -> str:
  """'AMD EPYC, 512-bit vectors, 2 cores', after the name of the GPU where there is one; by what our side says."""
  processor = f'{about["processor"]}, {os.cpu_count()} cores'
  return processor if about['device'] == 'cpu' else f'{about["device_kind"]}, {processor}'


def check_torch(python: str) -> None:
  """BenchmarkError where the interpreter has no PyTorch."""
  try:
    results = subprocess.run([python, '-c', 'import torch'], capture_output=True, text=True)
  except OSError as error:
    raise BenchmarkError(f'--torch_python={python} cannot be run: {error.strerror}') from None
  if results.returncode:
    reason = results.stderr.strip().splitlines()[-1:]
    raise BenchmarkError(
      f'{python} has no PyTorch ({"".join(reason)}): pip install torch, or name another --torch_python'
    )


def check_sides(ours: dict[str, Any], peers: dict[str, Any]) -> None:
  """BenchmarkError where the two cannot be compared, by what each says of itself."""
  if apart := set(ours['rows']) ^ set(peers['modes']):
    raise BenchmarkError(f'ours.py and peers.py do not hold the same rows: {", ".join(sorted(apart))}')
  if ours['device'] != peers['device']:
    raise BenchmarkError(
      f'JAX runs on {ours["device"]}, PyTorch on {peers["device"]}: give both the same, or hide the GPU'
    )


def check_rows(rows: list[str], known: list[str]) -> None:
  """BenchmarkError where one of the rows asked for is none."""
  if unknown := set(rows) - set(known):
    raise BenchmarkError(f'--rows: there is no {min(unknown)}; there are {", ".join(known)}')


def check_parameters(row: str, facts: Mapping[str, Mapping[str, Any]]) -> None:
  """BenchmarkError where the sides do not train models of one size."""
  counts = {side: fact['parameters'] for side, fact in facts.items()}
  if len(set(counts.values())) > 1:
    raise BenchmarkError(f'{row}: the sides differ in their number of parameters: {counts}')
