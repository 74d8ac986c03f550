"""Milliseconds a training step here and in PyTorch, side by side.

python tests/benchmarks/compare.py [--rows=mlp_vae,gan_2d] [--repeats=5] [--seconds=2] [--torch_python=PATH]

A row is a model that `ours.py` and `peers.py` both hold under its name. Each side runs in a process of its own, so that
neither's idle threads disturb the other, and they take turns: ours, each mode of PyTorch, ours again ... The peer is
the mode of PyTorch with the best median. Ratios are peer / ours, above 1 where we are faster.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from load import Others, wait_for_calm

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIDES = ('ours', 'eager', 'channels_last', 'compile', 'compile, channels_last')
HEADER = ('row', *(f'{side} ms' for side in SIDES), 'peer / ours (min..max)', 'floor ms', 'first step s: ours',
          'compile')  # fmt: skip
CALM = 0.05  # cores that others may keep busy; as PyTorch spins, one core taken may cost it all of its speed
TRIES = 4  # of a turn that others disturb
PATIENCE = 60.0  # seconds in which a turn waits for calm


class BenchmarkError(Exception):
  """One line that says what stands in the way."""


class Worker:
  """A process that runs one side and answers questions."""

  def __init__(self, python: str, module: str):
    path = os.pathsep.join([str(ROOT), str(ROOT / 'tests')])
    environment = {**os.environ, 'PYTHONPATH': path, 'TORCHINDUCTOR_FORCE_DISABLE_CACHES': '1'}
    environment.pop('JAX_COMPILATION_CACHE_DIR', None)  # what compiles is to be seen on both sides
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
    self._name = module
    self._process = subprocess.Popen([python, '-m', f'benchmarks.{module}'], env=environment, cwd=ROOT, **pipes)

  @property
  def pid(self) -> int:
    return self._process.pid

  def ask(self, do: str, **arguments: Any) -> Any:
    """The worker's answer; BenchmarkError with its reason."""
    with contextlib.suppress(BrokenPipeError):
      print(json.dumps({'do': do, **arguments}), file=self._process.stdin, flush=True)
    line = self._process.stdout.readline()
    if not line:
      raise BenchmarkError(f'{self._name}.py ended with exit code {self._process.wait()} at {do}')
    reply = json.loads(line)
    if 'error' in reply:
      raise BenchmarkError(f'{self._name}.py {do}: {reply["error"]}')
    return reply['answer']

  def close(self) -> None:
    try:
      self._process.communicate(timeout=5)  # closes its input, at which it ends
    except subprocess.TimeoutExpired:
      self._process.kill()
      self._process.communicate()


@contextlib.contextmanager
def both_sides(torch_python: str) -> Iterator[tuple[Worker, Worker]]:
  """Ours and PyTorch's."""
  with (
    contextlib.closing(Worker(sys.executable, 'ours')) as ours,
    contextlib.closing(Worker(torch_python, 'peers')) as peers,
  ):
    yield ours, peers


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


def check_sides(ours: dict[str, Any], peers: dict[str, Any], rows: list[str]) -> None:
  """BenchmarkError where the two cannot be compared."""
  if apart := set(ours['rows']) ^ set(peers['rows']):
    raise BenchmarkError(f'ours.py and peers.py do not hold the same rows: {", ".join(sorted(apart))}')
  if unknown := set(rows) - set(ours['rows']):
    raise BenchmarkError(f'--rows: there is no {min(unknown)}; there are {", ".join(ours["rows"])}')
  if ours['device'] != peers['device']:
    raise BenchmarkError(
      f'JAX runs on {ours["device"]}, PyTorch on {peers["device"]}: give both the same, or hide the GPU'
    )


def build(
  ours: Worker, peers: Worker, row: str, modes: list[str], folder: str
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
  """What each side says of the row once it has taken a step, and why a mode of PyTorch failed."""
  path = f'{folder}/images.npy'
  ours.ask('export', row=row, path=path)
  facts, failures = {'ours': ours.ask('build', row=row)}, {}
  for mode in modes:
    try:
      facts[mode] = peers.ask('build', row=row, mode=mode, path=path)
    except BenchmarkError as error:
      failures[mode] = str(error)
  if len(facts) == 1:
    raise BenchmarkError(f'{row}: every mode of PyTorch failed: {failures}')
  counts = {side: fact['parameters'] for side, fact in facts.items()}
  if len(set(counts.values())) > 1:
    raise BenchmarkError(f'{row}: the sides differ in their number of parameters: {counts}')
  return facts, failures


def turn(ours: Worker, peers: Worker, side: str, seconds: float) -> tuple[float, float]:
  """One side's ms/step, and the cores that others kept busy meanwhile: of the calmest try."""
  results, processes = [], (ours.pid, peers.pid)
  while len(results) < TRIES:
    wait_for_calm(processes, CALM, PATIENCE / TRIES)
    others = Others(processes)
    ms = ours.ask('run', seconds=seconds) if side == 'ours' else peers.ask('run', mode=side, seconds=seconds)
    results.append((ms, others.cores()))
    if results[-1][1] <= CALM:
      break
  return min(results, key=lambda entry: entry[1])


def take_turns(
  ours: Worker, peers: Worker, sides: list[str], repeats: int, seconds: float
) -> tuple[dict[str, list[float]], float]:
  """Each side's ms/step of every repeat, and the most cores that others kept busy."""
  rounds = [{side: turn(ours, peers, side, seconds) for side in sides} for _ in range(repeats)]
  times = {side: [results[side][0] for results in rounds] for side in sides}
  return times, max(cores for results in rounds for _, cores in results.values())


def cells(row: str, facts: dict[str, dict[str, float]], times: dict[str, list[float]], gflops: float) -> list[str]:
  """The row of the table."""
  medians = {side: statistics.median(values) for side, values in times.items()}
  peer = min((side for side in medians if side != 'ours'), key=medians.get)
  ratios = [theirs / own for theirs, own in zip(times[peer], times['ours'], strict=True)]
  shown = {side: f'{value:.2f}' for side, value in medians.items()}
  gflop = next((fact['gflop'] for fact in facts.values() if 'gflop' in fact), None)
  compiled = facts.get('compile')
  return [
    row,
    *(shown.get(side, '-') for side in SIDES),
    f'{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})',
    f'{1e3 * gflop / gflops:.3f}' if gflop else '-',
    f'{facts["ours"]["first_step_s"]:.1f}',
    f'{compiled["first_step_s"]:.1f}' if compiled else '-',
  ]


def line(columns: list[str] | tuple[str, ...]) -> str:
  return f'| {" | ".join(columns)} |'


def compare(rows: list[str], repeats: int, seconds: float, torch_python: str) -> None:
  """Prints the table."""
  check_torch(torch_python)
  with both_sides(torch_python) as (ours, peers):
    about, theirs = ours.ask('about'), peers.ask('about')
    wait_for_calm((ours.pid, peers.pid), CALM, PATIENCE)
    gflops = ours.ask('gflops')
  check_sides(about, theirs, rows)
  print(f'{about["processor"]}, {os.cpu_count()} cores; {about["text"]}; {theirs["text"]}')
  print(f'median of {repeats} alternating repeats of {seconds:g} s; float32; floor: the matrix products of a step')
  print(f'at the {gflops:.0f} GFLOP/s that JAX reaches with matrices of 2048 x 2048')
  print(f'\n{line(HEADER)}\n{line(["---"] * len(HEADER))}', flush=True)
  notes = []
  for row in rows or about['rows']:
    with both_sides(torch_python) as (ours, peers), tempfile.TemporaryDirectory() as folder:
      facts, failures = build(ours, peers, row, theirs['modes'][row], folder)
      times, cores = take_turns(ours, peers, list(facts), repeats, seconds)
    label = row if cores <= CALM else f'{row} (disturbed)'
    print(line(cells(label, facts, times, gflops)), flush=True)
    notes += [f'{row}, {mode}: {reason}' for mode, reason in failures.items()]
    if cores > CALM:
      notes.append(f'{row}: other processes kept up to {cores:.2f} cores busy: measure again when they are done')
  print('\n'.join(['', *notes]))


def main() -> int:
  """The exit code: 0, or 2 after one line that says what is wrong."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--rows', default='', help='names, with commas between them; all by default')
  parser.add_argument('--repeats', type=int, default=5)
  parser.add_argument('--seconds', type=float, default=2.0, help='of each repeat of each side')
  parser.add_argument('--torch_python', default=sys.executable, help='the interpreter that has PyTorch')
  options = parser.parse_args()
  if options.repeats < 1 or not options.seconds > 0:
    parser.error('--repeats and --seconds must be above 0')
  try:
    compare([row for row in options.rows.split(',') if row], options.repeats, options.seconds, options.torch_python)
  except BenchmarkError as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  return 0


if __name__ == '__main__':
  sys.exit(main())
